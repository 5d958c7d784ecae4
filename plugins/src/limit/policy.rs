//! One policy at work: `throttle`, `rate-limit` and `quota` are this with different tables.

use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::answer::Fields;
use super::config::{Cost, CountsConfig, LimitConfig};
use super::counts::{Asked, Counts, Outcome, Plan};
use super::key::{Key, KeyBuilder};
use super::rate::COUNT_MAX;
use super::refusals::Refusals;
use super::{Verdict, seconds};
use crate::contract::build::{Build, Pool};
use crate::contract::prelude::*;
use crate::contract::services::{Count, Family, Store};

/// What makes one of the three plugins of a limit.
pub trait Kind: Send + Sync + 'static {
    /// The plugin's name.
    const NAME: &'static str;
    /// How it refuses.
    const REFUSALS: &'static Refusals;
    /// The table as written.
    type Raw: DeserializeOwned + JsonSchema;

    /// Validates the table.
    fn validate(raw: At<Self::Raw>, report: &mut Report) -> Option<LimitConfig>;
}

/// A compiled limit.
pub struct Limit<K> {
    config: LimitConfig,
    counts: Arc<Counts>,
    /// `None` also in `check` and `explain`, which have no stores and count here.
    store: Option<Arc<dyn Store>>,
    fields: Fields,
    /// What is counted of each plan.
    meters: Box<[Meters]>,
    kind: PhantomData<K>,
}

/// What a limit remembers of a request that it has counted. Behind a pointer: most routes have none.
pub type Taken = Option<Box<(usize, Verdict)>>;

/// Decisions by plan.
static DECISIONS: Family = Family {
    name: "gateway_limit_decisions_total",
    help: "Requests that a throttle, rate limit or quota has judged.",
    labels: &["plugin", "policy", "plan", "result"],
};

/// Decisions without the store.
static STORELESS: Family = Family {
    name: "gateway_limit_store_failures_total",
    help: "Requests that a limit judged without its store, by what was done instead.",
    labels: &["plugin", "policy", "instead"],
};

struct Meters {
    admitted: Count,
    refused: Count,
    storeless: Count,
}

impl Meters {
    fn new<K: Kind>(build: &Build<'_, Limit<K>>, config: &LimitConfig, plan: &str) -> Self {
        let meter = &build.services.meter;
        let policy = build.key();
        let decided = |result: &str| meter.counter(&DECISIONS, &[K::NAME, &policy, plan, result]);
        let refused = match config.mode {
            Mode::Enforce => "refused",
            Mode::Shadow { .. } => "shadowed",
        };
        Self {
            admitted: decided("admitted"),
            refused: decided(refused),
            storeless: meter.counter(&STORELESS, &[K::NAME, &policy, config.on_error.name()]),
        }
    }
}

impl<K: Kind> Plugin for Limit<K> {
    const NAME: &'static str = K::NAME;
    const REFUSALS: &'static [&'static Refusal] = &[
        &K::REFUSALS.exceeded,
        &K::REFUSALS.keyless,
        &K::REFUSALS.costless,
        &K::REFUSALS.uncounted,
    ];
    type Raw = K::Raw;
    type Config = LimitConfig;
    type State = Taken;
    type Shared = Pool<CountsConfig, Counts>;

    fn validate(raw: At<K::Raw>, report: &mut Report) -> Option<LimitConfig> {
        K::validate(raw, report)
    }

    fn mode(config: &LimitConfig) -> Mode {
        config.mode
    }

    fn needs(config: &LimitConfig) -> Vec<At<Value>> {
        let mut needs = config.counts.key.clone();
        needs.extend(config.plan.clone());
        if let Cost::Value(value) = &config.cost {
            needs.push(value.clone());
        }
        needs
    }

    fn stores(config: &LimitConfig) -> Vec<At<String>> {
        config.counts.store.iter().cloned().collect()
    }

    fn compile(config: &LimitConfig, build: &mut Build<'_, Self>) -> Result<Self, CompileError> {
        let key = build.key();
        let services = build.services;
        let counts = build
            .shared
            .obtain(build.before, &key, &config.counts, || {
                Ok::<_, CompileError>(Counts::new(K::NAME, &key, &config.counts, services))
            })?;
        let plans = config.counts.plans.iter();
        let store = config.counts.store.as_deref();
        Ok(Self {
            counts,
            store: store.and_then(|name| services.stores.get(name).cloned()),
            fields: Fields::new(config, build.name.unwrap_or(K::NAME), build.index),
            meters: plans
                .map(|plan| Meters::new(build, config, &plan.name))
                .collect(),
            config: config.clone(),
            kind: PhantomData,
        })
    }

    async fn on_request(&self, request: &RequestView<'_>, state: &mut Taken) -> Flow {
        let asked = match self.ask(request) {
            Ok(asked) => asked,
            Err(refusal) => return Flow::refuse(refusal),
        };
        let outcome = self
            .counts
            .take(&asked, &self.config, self.store.as_deref())
            .await;
        self.judge(&asked, outcome, request, state)
    }

    fn on_response(
        &self,
        _request: &RequestView<'_>,
        response: &mut ResponseView<'_>,
        state: &mut Taken,
    ) {
        // Whoever is only watched should not see it.
        if let (Some(taken), Mode::Enforce) = (state, self.config.mode) {
            self.fields.write(taken.0, &taken.1, response);
        }
    }
}

impl<K: Kind> Limit<K> {
    /// Plan, key and cost of a request.
    fn ask(&self, request: &RequestView<'_>) -> Result<Asked, &'static Refusal> {
        Ok(Asked {
            plan: self.plan(request),
            key: self.key(request).map_err(|_| &K::REFUSALS.keyless)?,
            cost: self.cost(request).ok_or(&K::REFUSALS.costless)?,
        })
    }

    /// Unknown plans, and requests that say none or two, have the one for everybody else.
    fn plan(&self, request: &RequestView<'_>) -> usize {
        let Some(value) = &self.config.plan else {
            return 0;
        };
        let found = request.lookup(value).ok().and_then(|name| {
            let plans = &self.config.counts.plans;
            plans.binary_search_by(|plan| (*plan.name).cmp(&name)).ok()
        });
        found.unwrap_or(self.config.otherwise)
    }

    fn key(&self, request: &RequestView<'_>) -> Result<Key, ValueError> {
        let mut key = KeyBuilder::default();
        for value in &self.config.counts.key {
            // Anonymous, where that is allowed: one of many behind this address.
            let anonymous = || request.facts.identity().is_none();
            if **value == Value::ClientIp || (**value == Value::Identity && anonymous()) {
                client(&mut key, request);
            } else {
                key.text(&request.lookup(value)?);
            }
        }
        Ok(key.finish())
    }

    /// A request that says no cost has the usual one; what is no number, or 0, is no cost.
    fn cost(&self, request: &RequestView<'_>) -> Option<u64> {
        match &self.config.cost {
            Cost::Fixed(cost) => Some(*cost),
            Cost::Value(value) => match request.lookup(value) {
                Ok(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                    let cost = text.parse().ok();
                    cost.filter(|cost| (1..=COUNT_MAX).contains(cost))
                }
                Err(ValueError::Missing) => Some(1),
                Ok(_) | Err(_) => None,
            },
        }
    }

    fn judge(
        &self,
        asked: &Asked,
        outcome: Outcome,
        request: &RequestView<'_>,
        state: &mut Taken,
    ) -> Flow {
        let meters = self.meters.get(asked.plan);
        let storeless = || meters.map(|meters| &meters.storeless);
        let verdict = match outcome {
            Outcome::Counted(verdict) => verdict,
            Outcome::Instead(verdict) => {
                storeless().inspect(|count| count.add_one());
                verdict
            }
            Outcome::Allowed => {
                storeless().inspect(|count| count.add_one());
                return Flow::Continue;
            }
            Outcome::Denied => {
                storeless().inspect(|count| count.add_one());
                let reply = Reply::refusal(&K::REFUSALS.uncounted);
                return reply
                    .header(http::header::RETRY_AFTER, HeaderValue::from_static("1"))
                    .into();
            }
        };
        *state = Some(Box::new((asked.plan, verdict)));
        self.explain(asked, &verdict, request);
        if let Some(meters) = meters {
            let count = if verdict.admitted {
                &meters.admitted
            } else {
                &meters.refused
            };
            count.add_one();
        }
        if verdict.admitted {
            return Flow::Continue;
        }
        refusal(&K::REFUSALS.exceeded, &verdict).into()
    }

    fn explain(&self, asked: &Asked, verdict: &Verdict, request: &RequestView<'_>) {
        request.facts.note(|| {
            let plan = self.counts.plan(asked.plan).map_or("", Plan::name);
            let plan = if plan.is_empty() { "all" } else { plan };
            let left = verdict.remaining;
            format!("counted as {}, plan {plan}, {left} left", asked.key)
        });
    }
}

fn client(key: &mut KeyBuilder, request: &RequestView<'_>) {
    match request.client {
        Some(address) => drop(key.address(address)),
        None => drop(key.nobody()),
    }
}

fn refusal(refusal: &'static Refusal, verdict: &Verdict) -> Reply {
    let reply = Reply::refusal(refusal);
    match verdict.retry_after {
        Some(wait) => {
            let wait = seconds(wait).max(1);
            let reply = reply.detail(format!("Try again in {wait} s."));
            reply.header(http::header::RETRY_AFTER, HeaderValue::from(wait))
        }
        None => reply.detail("It costs more than the limit ever allows."),
    }
}
