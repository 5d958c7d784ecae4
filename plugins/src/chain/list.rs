//! The `chain!` macro: from one list of plugins it writes the tables of a configuration that name policies, their
//! validated form, the compiled chain, a request's memory, and the walks in both directions.

/// Writes everything that depends on the list of plugins. One line a plugin: `/// why here` and `slot: Type,`.
macro_rules! chain {
    ($( $(#[doc = $why:literal])+ $slot:ident : $plugin:ty ),+ $(,)?) => {
        use $crate::chain::list::reversed;
        use pingora_http::RequestHeader;
        use schemars::JsonSchema;
        use serde::Deserialize;
        use std::collections::BTreeMap;

        use $crate::chain::resolve::{Layered, Named};
        use $crate::chain::slot::Making;
        use $crate::contract::consumers::Mentioned;
        use $crate::contract::file::FileRef;
        use $crate::contract::flow::{Flow, Refusal};
        use $crate::contract::place::At;
        use $crate::contract::plugin::{BodyChunk, CompileError, Done, Plugin};
        use $crate::contract::policy::{Layer, Placed, PolicyRef};
        use $crate::contract::report::Report;
        use $crate::contract::services::Services;
        use $crate::contract::value::Value;
        use $crate::contract::view::{RequestView, ResponseView};

        /// Names of all plugins in the order of the chain: keys on a route, tables at the top.
        pub const NAMES: &[&str] = &[$(<$plugin as Plugin>::NAME),+];

        /// Every refusal that some plugin can make.
        pub fn refusals() -> impl Iterator<Item = &'static Refusal> {
            [$(<$plugin as Plugin>::REFUSALS),+].into_iter().flatten().copied()
        }

        /// The policies of a route, of `[defaults]` or of `[always]`, as written.
        #[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        pub struct RawPolicies {
            $( $(#[doc = $why])+ pub $slot: Option<At<PolicyRef<<$plugin as Plugin>::Raw>>>, )+
        }

        /// The named policies, `[PLUGIN.NAME]`, as written.
        #[derive(Debug, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
        pub struct RawNamed {
            $( $(#[doc = $why])+ pub $slot: BTreeMap<String, At<<$plugin as Plugin>::Raw>>, )+
        }

        /// The named policies as meant.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct NamedPolicies {
            $( $(#[doc = $why])+ pub $slot: Named<<$plugin as Plugin>::Config>, )+
        }

        /// What one layer (`[always]`, `[defaults]`, a route) says of each policy.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct PolicyLayer {
            $( $(#[doc = $why])+ pub $slot: Layered<<$plugin as Plugin>::Config>, )+
        }

        /// All policies of one route, in the order in which they are asked.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct PoliciesConfig {
            $( $(#[doc = $why])+ pub $slot: Vec<Placed<<$plugin as Plugin>::Config>>, )+
        }

        impl RawNamed {
            /// Validates every named policy once.
            pub fn validate(self, report: &mut Report) -> NamedPolicies {
                NamedPolicies { $( $slot: resolve::named::<$plugin>(self.$slot, report), )+ }
            }
        }

        impl NamedPolicies {
            /// The stores that some policy would use, whether a route names it or not.
            pub fn stores(&self) -> Vec<At<String>> {
                let mut stores = Vec::new();
                $( for config in self.$slot.values() {
                    stores.extend(<$plugin as Plugin>::stores(config));
                } )+
                stores
            }
        }

        impl RawPolicies {
            /// Resolves names and validates inline tables of one layer.
            pub fn validate(self, layer: Layer, named: &NamedPolicies, report: &mut Report) -> PolicyLayer {
                PolicyLayer { $( $slot: resolve::layer::<$plugin>(self.$slot, layer, &named.$slot, report), )+ }
            }
        }

        impl PolicyLayer {
            /// This layer, and where it is silent the other: what `like` does.
            pub fn or(self, other: &Self) -> Self {
                Self { $( $slot: self.$slot.or_else(|| other.$slot.clone()), )+ }
            }

            /// Joins the three layers into what a route has.
            pub fn join(always: &Self, defaults: &Self, own: Self, report: &mut Report) -> PoliciesConfig {
                PoliciesConfig {
                    $( $slot: resolve::join::<$plugin>(
                        always.$slot.as_deref(), defaults.$slot.as_deref(), own.$slot, report,
                    ), )+
                }
            }
        }

        impl PoliciesConfig {
            /// Calls the visitor for every policy: plugin, the policy's name, its place.
            pub fn visit(&self, mut visitor: impl FnMut(&'static str, Option<&str>, &$crate::contract::place::Span, Layer)) {
                $( for placed in &self.$slot {
                    visitor(<$plugin as Plugin>::NAME, placed.name.as_deref(), &placed.span, placed.layer);
                } )+
            }
        }

        impl PoliciesConfig {
            /// The files that some policy reads.
            pub fn files(&self) -> Vec<At<FileRef>> {
                let mut files = Vec::new();
                $( for placed in &self.$slot {
                    files.extend(<$plugin as Plugin>::files(&placed.config));
                } )+
                files
            }

            /// The stores that some policy uses, each with the place that names it.
            pub fn stores(&self) -> Vec<At<String>> {
                let mut stores = Vec::new();
                $( for placed in &self.$slot {
                    stores.extend(<$plugin as Plugin>::stores(&placed.config));
                } )+
                stores
            }

            /// The consumers and groups that some policy names.
            pub fn mentions(&self) -> Mentioned {
                let mut all = Mentioned::default();
                $( for placed in &self.$slot {
                    let Mentioned { consumers, groups } = <$plugin as Plugin>::mentions(&placed.config);
                    all.consumers.extend(consumers);
                    all.groups.extend(groups);
                } )+
                all
            }

            /// The values of the request that some policy reads, each with the place that says so.
            pub fn needs(&self) -> Vec<At<Value>> {
                let mut needs = Vec::new();
                $( for placed in &self.$slot {
                    needs.extend(<$plugin as Plugin>::needs(&placed.config));
                } )+
                needs
            }
        }

        /// The compiled policies of a route.
        #[derive(Default)]
        pub struct Chain {
            $( $(#[doc = $why])+ pub $slot: Slot<$plugin>, )+
        }

        /// What the policies of each plugin share across the routes of one snapshot.
        #[derive(Default)]
        pub struct SharedParts {
            $( $(#[doc = $why])+ pub $slot: <$plugin as Plugin>::Shared, )+
        }

        impl SharedParts {
            /// Waits for what they should know before the snapshot goes live.
            pub async fn prepare(&self, services: &Services) {
                $( <$plugin as Plugin>::prepare(&self.$slot, services).await; )+
            }

            /// Starts the tasks of what is new.
            pub fn activate(&self, services: &Services) {
                $( <$plugin as Plugin>::activate(&self.$slot, services); )+
            }

            /// Why the gateway should get no requests yet.
            pub fn unready(&self) -> Vec<String> {
                let mut reasons = Vec::new();
                $( reasons.extend(<$plugin as Plugin>::unready(&self.$slot)); )+
                reasons
            }
        }

        /// What the policies remember of one request.
        #[derive(Default)]
        pub struct Memory {
            $( $(#[doc = $why])+ pub $slot: States<$plugin>, )+
        }

        impl Chain {
            /// Whether the route has no policy at all.
            pub fn is_empty(&self) -> bool {
                true $( && self.$slot.is_empty() )+
            }

            /// Builds the chain of a route that has so long for a request. What its policies share with those of other routes grows in `shared`;
            /// `before` and `previous` hand over what must outlive a reload.
            pub fn compile(
                config: &PoliciesConfig,
                (route, timeout): (&str, std::time::Duration),
                previous: Option<&Self>,
                shared: &mut SharedParts,
                before: Option<&SharedParts>,
                services: &Services,
            ) -> Result<Self, CompileError> {
                Ok(Self { $( $slot: {
                    let mut making = Making {
                        route,
                        timeout,
                        shared: &mut shared.$slot,
                        before: before.map(|before| &before.$slot),
                        services,
                    };
                    Slot::compile(&config.$slot, previous.map(|chain| &chain.$slot), &mut making)?
                }, )+ })
            }

            /// Asks each policy about the request, down the list, until one replies.
            pub async fn on_request<O: Observer>(
                &self,
                request: &RequestView<'_>,
                memory: &mut Memory,
                observer: &mut O,
            ) -> Flow {
                $( if !self.$slot.is_empty()
                    && let Flow::Reply(reply) = self.$slot.on_request(request, &mut memory.$slot, observer).await
                {
                    return Flow::Reply(reply);
                }
                if let Flow::Reply(reply) = observer.passed(<$plugin as Plugin>::NAME, request) {
                    return Flow::Reply(reply);
                } )+
                Flow::Continue
            }

            /// Lets each policy change the outgoing head of one attempt, down the list.
            pub fn on_upstream_request(
                &self,
                request: &RequestView<'_>,
                head: &mut RequestHeader,
                memory: &mut Memory,
            ) {
                $( self.$slot.on_upstream_request(request, head, &mut memory.$slot); )+
            }

            /// Shows each policy a piece of the request's body, down the list, until one replies.
            pub fn on_request_body<O: Observer>(
                &self,
                chunk: &mut BodyChunk<'_>,
                memory: &mut Memory,
                observer: &mut O,
            ) -> Flow {
                $( if let Flow::Reply(reply) = self.$slot.on_request_body(chunk, &mut memory.$slot, observer) {
                    return Flow::Reply(reply);
                } )+
                Flow::Continue
            }

            /// Lets each policy change the answer's head, up the list.
            pub fn on_response(
                &self,
                request: &RequestView<'_>,
                response: &mut ResponseView<'_>,
                memory: &mut Memory,
            ) {
                reversed!([] $( { self.$slot.on_response(request, response, &mut memory.$slot); } )+);
            }

            /// Shows each policy a piece of the answer's body, up the list.
            pub fn on_response_body(&self, chunk: &mut BodyChunk<'_>, memory: &mut Memory) {
                reversed!([] $( { self.$slot.on_response_body(chunk, &mut memory.$slot); } )+);
            }

            /// Tells each policy how the request ended, up the list.
            pub fn on_done(&self, done: &Done, memory: &Memory) {
                reversed!([] $( { self.$slot.on_done(done, &memory.$slot); } )+);
            }
        }
    };
}

/// Writes blocks in the opposite order.
macro_rules! reversed {
    ([$($done:tt)*]) => { $($done)* };
    ([$($done:tt)*] $next:tt $($rest:tt)*) => {
        $crate::chain::list::reversed!([$next $($done)*] $($rest)*)
    };
}

pub(crate) use {chain, reversed};
