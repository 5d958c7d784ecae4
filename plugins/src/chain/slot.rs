//! One place in the chain: the policies of one plugin on one route, and what they remember of a request.

use std::time::{Duration, SystemTime};

use pingora_http::RequestHeader;

use crate::contract::build::Build;
use crate::contract::flow::{Flow, Reply};
use crate::contract::mode::Mode;
use crate::contract::place::Span;
use crate::contract::plugin::{BodyChunk, CompileError, Done, Plugin};
use crate::contract::policy::{Layer, Placed};
use crate::contract::services::Services;
use crate::contract::view::{RequestView, ResponseView};

/// The policies of one plugin on one route; nearly always none or one.
pub struct Slot<P> {
    instances: Box<[Instance<P>]>,
}

/// A compiled policy and where it comes from.
pub struct Instance<P> {
    plugin: P,
    mode: Mode,
    name: Option<Box<str>>,
    span: Span,
    layer: Layer,
}

/// What the policies of one slot remember of one request. The first needs no allocation.
pub struct States<P: Plugin> {
    first: P::State,
    /// Behind a pointer: it is nearly always empty and part of every request.
    rest: Option<Box<Rest<P::State>>>,
}

/// What the second and later policies of a slot remember.
struct Rest<S>(Vec<S>);

/// One policy that was asked.
pub struct Step<'a> {
    /// Name of the plugin.
    pub plugin: &'static str,
    /// Name of the policy; `None` for an inline table.
    pub name: Option<&'a str>,
    /// Where the configuration says it.
    pub span: &'a Span,
    /// Which layer says it.
    pub layer: Layer,
    /// Enforce or shadow.
    pub mode: Mode,
    /// Whether a refusal was let pass, because the policy is in shadow.
    pub shadowed: bool,
}

/// What all policies of one plugin on one route are compiled with.
pub(super) struct Making<'a, P: Plugin> {
    pub(super) route: &'a str,
    pub(super) timeout: Duration,
    pub(super) shared: &'a mut P::Shared,
    pub(super) before: Option<&'a P::Shared>,
    pub(super) services: &'a Services,
}

/// Listens to the chain: the proxy counts refusals, `explain` writes a story.
pub trait Observer: Send {
    /// A policy has answered.
    fn verdict(&mut self, step: &Step<'_>, flow: &Flow);

    /// A request has passed the policies of a plugin, or its route has none of them: whether it goes on.
    fn passed(&mut self, _plugin: &'static str, _request: &RequestView<'_>) -> Flow {
        Flow::Continue
    }

    /// The time by which a shadow ends.
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Listens to nothing.
pub struct Silent;

impl Observer for Silent {
    fn verdict(&mut self, _step: &Step<'_>, _flow: &Flow) {}
}

impl<P> Default for Slot<P> {
    fn default() -> Self {
        Self {
            instances: Box::default(),
        }
    }
}

impl<P: Plugin> Default for States<P> {
    fn default() -> Self {
        Self {
            first: P::State::default(),
            rest: None,
        }
    }
}

impl<P: Plugin> States<P> {
    fn at(&mut self, index: usize) -> &mut P::State {
        let Some(index) = index.checked_sub(1) else {
            return &mut self.first;
        };
        let rest = self.rest.get_or_insert_with(|| Box::new(Rest(Vec::new())));
        if rest.0.len() <= index {
            rest.0.resize_with(index + 1, P::State::default);
        }
        #[expect(clippy::indexing_slicing, reason = "resized just above")]
        &mut rest.0[index]
    }

    fn iter(&self) -> impl Iterator<Item = &P::State> {
        std::iter::once(&self.first).chain(self.rest.iter().flat_map(|rest| &rest.0))
    }
}

impl<P: Plugin> Instance<P> {
    fn compile(placed: &Placed<P::Config>, build: &mut Build<'_, P>) -> Result<Self, CompileError> {
        Ok(Self {
            plugin: P::compile(&placed.config, build)?,
            mode: P::mode(&placed.config),
            name: placed.name.as_deref().map(Into::into),
            span: placed.span.clone(),
            layer: placed.layer,
        })
    }

    /// Tells the observer, and lets a refusal pass that the policy only shadows.
    fn judged(&self, flow: Flow, observer: &mut impl Observer) -> Flow {
        let refuses = matches!(&flow, Flow::Reply(reply) if is_refusal(reply));
        let shadowed = refuses && self.mode != Mode::Enforce && self.mode.is_shadow(observer.now());
        observer.verdict(&self.step(shadowed), &flow);
        if shadowed { Flow::Continue } else { flow }
    }

    fn step(&self, shadowed: bool) -> Step<'_> {
        Step {
            plugin: P::NAME,
            name: self.name.as_deref(),
            span: &self.span,
            layer: self.layer,
            mode: self.mode,
            shadowed,
        }
    }
}

fn is_refusal(reply: &Reply) -> bool {
    reply.refusal.is_some()
}

impl<P: Plugin> Slot<P> {
    pub(super) fn compile(
        placed: &[Placed<P::Config>],
        previous: Option<&Self>,
        making: &mut Making<'_, P>,
    ) -> Result<Self, CompileError> {
        let before = |index: usize| {
            previous
                .and_then(|slot| slot.instances.get(index))
                .map(|instance| &instance.plugin)
        };
        let mut compile = |(index, placed): (usize, &Placed<P::Config>)| {
            let mut build = Build {
                name: placed.name.as_deref(),
                route: making.route,
                timeout: making.timeout,
                index,
                previous: before(index),
                shared: making.shared,
                before: making.before,
                services: making.services,
            };
            Instance::compile(placed, &mut build)
        };
        let placed = placed.iter().enumerate();
        let instances = placed.map(&mut compile).collect::<Result<_, _>>()?;
        Ok(Self { instances })
    }

    /// Whether the route has no policy of this plugin.
    pub fn is_empty(&self) -> bool {
        self.instances.is_empty()
    }

    pub(super) async fn on_request(
        &self,
        request: &RequestView<'_>,
        states: &mut States<P>,
        observer: &mut impl Observer,
    ) -> Flow {
        for (index, instance) in self.instances.iter().enumerate() {
            let flow = instance.plugin.on_request(request, states.at(index)).await;
            if let Flow::Reply(reply) = instance.judged(flow, observer) {
                return Flow::Reply(reply);
            }
        }
        Flow::Continue
    }

    pub(super) fn on_upstream_request(
        &self,
        request: &RequestView<'_>,
        head: &mut RequestHeader,
        states: &mut States<P>,
    ) {
        // Backwards, as on the response: whoever changes last has the last word, and that is the first, `[always]`.
        for (index, instance) in self.instances.iter().enumerate().rev() {
            instance
                .plugin
                .on_upstream_request(request, head, states.at(index));
        }
    }

    pub(super) fn on_request_body(
        &self,
        chunk: &mut BodyChunk<'_>,
        states: &mut States<P>,
        observer: &mut impl Observer,
    ) -> Flow {
        for (index, instance) in self.instances.iter().enumerate() {
            let flow = instance.plugin.on_request_body(chunk, states.at(index));
            // Only a refusal is worth telling here: bodies have many pieces.
            if matches!(flow, Flow::Reply(_))
                && let Flow::Reply(reply) = instance.judged(flow, observer)
            {
                return Flow::Reply(reply);
            }
        }
        Flow::Continue
    }

    pub(super) fn on_response(
        &self,
        request: &RequestView<'_>,
        response: &mut ResponseView<'_>,
        states: &mut States<P>,
    ) {
        for (index, instance) in self.instances.iter().enumerate().rev() {
            instance
                .plugin
                .on_response(request, response, states.at(index));
        }
    }

    pub(super) fn on_response_body(&self, chunk: &mut BodyChunk<'_>, states: &mut States<P>) {
        for (index, instance) in self.instances.iter().enumerate().rev() {
            instance.plugin.on_response_body(chunk, states.at(index));
        }
    }

    pub(super) fn on_done(&self, done: &Done, states: &States<P>) {
        for (instance, state) in self.instances.iter().zip(states.iter()) {
            instance.plugin.on_done(done, state);
        }
    }
}
