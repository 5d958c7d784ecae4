//! Limits how many requests are under way at once, lets some wait, and turns the rest away before everybody is slow.
//!
//! ```toml
//! [auth.keys]
//! api-key = {}
//!
//! [route.orders]
//! match       = "/orders/**"
//! upstream    = "orders"
//! concurrency = { max = 100, queue = 50, queue-timeout = "200ms", plans = ["free", "premium"] }
//! auth        = "keys"
//! ```
//!
//! `per` counts each value of the request apart, for example `"header.x-tenant"`; without it all requests of the policy
//! are one. When the queue is full, a request takes the place of one whose plan stands earlier in `plans`; whoever
//! has none of them counts as the first. Those who wait longest among the highest plan go first. With `adaptive = true`
//! `max` is only the most: the limit falls while answers take longer than they use to, and rises again.
//!
//! A place is free again when the request is over, however it ends. Refuses with 503 `concurrency.shed` (or, with
//! `shed-status = 429`, 429 `concurrency.exceeded`), each with `Retry-After`, with 504 `concurrency.deadline` whoever
//! still waits when its time is over, and with 400 `concurrency.key` where the request lacks the value of `per` or
//! repeats it. In shadow nobody waits: whoever would have to is inside at once, and counts as one who waits.

mod gate;
mod gates;
mod pace;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::contract::build::{Build, Pool};
use crate::contract::mode::RawMode;
use crate::contract::prelude::*;
use crate::limit::key::{Key, KeyBuilder};
use gate::{Permit, Turn};
pub use gates::{Census, Gates};

static SHED: Refusal = Refusal {
    status: 503,
    code: "concurrency.shed",
    title: "Too many requests are under way.",
};
static EXCEEDED: Refusal = Refusal {
    status: 429,
    code: "concurrency.exceeded",
    title: "Too many requests are under way.",
};
static DEADLINE: Refusal = Refusal {
    status: 504,
    code: "concurrency.deadline",
    title: "The time of the request was over before there was a place for it.",
};
static KEYLESS: Refusal = Refusal {
    status: 400,
    code: "concurrency.key",
    title: "The request lacks a value by which requests are counted, or repeats it.",
};

/// The most requests that may be under way, and that may wait.
const COUNT_MAX: u32 = 100_000;
const QUEUE_TIMEOUT: Time = Time::from_millis(100);
const QUEUE_TIMEOUT_MAX: Time = Time::from_secs(60);

/// The compiled limit.
pub struct Concurrency {
    config: ConcurrencyConfig,
    gates: Arc<Gates>,
}

/// `concurrency` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawConcurrency {
    /// Requests that may be under way, 1 to 100000.
    max: At<u32>,
    /// The value of the request whose every value is counted apart. Left out: all are one.
    per: Option<At<Value>>,
    /// Requests that may wait for a place. Default: `0`.
    queue: Option<At<u32>>,
    /// How long they wait at most. Default: `"100ms"`.
    queue_timeout: Option<At<Time>>,
    /// Plans from the one that is turned away first to the one that is turned away last.
    plans: Option<At<Vec<At<String>>>>,
    /// Whether the limit follows the time that answers take, `max` at most. Default: `false`.
    adaptive: Option<At<bool>>,
    /// The status of those who are turned away, `503` or `429`. Default: `503`.
    shed_status: Option<At<u32>>,
    /// `"shadow"` counts and logs who would be turned away.
    mode: Option<At<RawMode>>,
}

/// `concurrency` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct ConcurrencyConfig {
    size: Size,
    per: Option<At<Value>>,
    plans: Vec<String>,
    plans_at: Span,
    queue_timeout: Duration,
    refusal: &'static Refusal,
    mode: Mode,
}

/// How many, and how that is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    max: usize,
    queue: usize,
    ranks: usize,
    adaptive: bool,
}

impl Plugin for Concurrency {
    const NAME: &'static str = "concurrency";
    const REFUSALS: &'static [&'static Refusal] = &[&SHED, &EXCEEDED, &DEADLINE, &KEYLESS];
    type Raw = RawConcurrency;
    type Config = ConcurrencyConfig;
    type State = Option<Permit>;
    type Shared = Pool<Size, Gates>;

    fn validate(raw: At<RawConcurrency>, report: &mut Report) -> Option<ConcurrencyConfig> {
        let table = raw.span();
        let raw = raw.into_inner();
        let max = number(&raw.max, "max", 1, report);
        let queue = raw
            .queue
            .as_ref()
            .map_or(0, |queue| number(queue, "queue", 0, report));
        let plans_at = raw.plans.as_ref().map_or(table, At::span);
        let plans: Vec<String> = match raw.plans {
            Some(plans) => plans.into_inner().into_iter().map(At::into_inner).collect(),
            None => Vec::new(),
        };
        Some(ConcurrencyConfig {
            size: Size {
                max,
                queue,
                ranks: plans.len().max(1),
                adaptive: raw.adaptive.is_some_and(|adaptive| *adaptive),
            },
            per: raw.per,
            plans,
            plans_at,
            queue_timeout: queue_timeout(raw.queue_timeout.as_ref(), report),
            refusal: refusal(raw.shed_status.as_ref(), report),
            mode: Mode::open_ended(raw.mode),
        })
    }

    fn mode(config: &ConcurrencyConfig) -> Mode {
        config.mode
    }

    fn needs(config: &ConcurrencyConfig) -> Vec<At<Value>> {
        let mut needs: Vec<_> = config.per.iter().cloned().collect();
        if !config.plans.is_empty() {
            needs.push(At::new(Value::ConsumerPlan, config.plans_at.clone()));
        }
        needs
    }

    fn compile(
        config: &ConcurrencyConfig,
        build: &mut Build<'_, Self>,
    ) -> Result<Self, CompileError> {
        let (key, clock) = (build.key(), &build.services.clock);
        let gates = build.shared.obtain(build.before, &key, &config.size, || {
            Ok::<_, CompileError>(Gates::new(config.size, clock.clone()))
        })?;
        Ok(Self {
            config: config.clone(),
            gates,
        })
    }

    async fn on_request(&self, request: &RequestView<'_>, state: &mut Option<Permit>) -> Flow {
        let Ok(key) = self.key(request) else {
            return Flow::refuse(&KEYLESS);
        };
        let gate = self.gates.gate(&key);
        let turn = match self.config.mode {
            Mode::Enforce => gate.enter(self.rank(request)),
            Mode::Shadow { .. } => gate.look_on(),
        };
        let permit = match turn {
            Turn::Now(permit) => Ok(permit),
            Turn::Never => Err(self.config.refusal),
            Turn::Later(turn) => self.wait(turn, request.deadline).await,
        };
        match permit {
            Ok(permit) => {
                *state = Some(permit);
                Flow::Continue
            }
            // Whose time is over need not come again.
            Err(refusal) if refusal.status == DEADLINE.status => Flow::refuse(refusal),
            Err(refusal) => Reply::refusal(refusal)
                .header(http::header::RETRY_AFTER, HeaderValue::from_static("1"))
                .into(),
        }
    }
}

impl Concurrency {
    /// Waits in the queue, no longer than the policy and the request's own time allow.
    async fn wait(
        &self,
        turn: oneshot::Receiver<Permit>,
        deadline: Option<Instant>,
    ) -> Result<Permit, &'static Refusal> {
        let longest = Instant::now() + self.config.queue_timeout;
        let (until, late) = match deadline {
            Some(deadline) if deadline < longest => (deadline, &DEADLINE),
            Some(_) | None => (longest, self.config.refusal),
        };
        match tokio::time::timeout_at(until.into(), turn).await {
            Ok(Ok(permit)) => Ok(permit),
            // Somebody of a higher plan took the place in the queue.
            Ok(Err(_)) => Err(self.config.refusal),
            Err(_elapsed) => Err(late),
        }
    }

    fn key(&self, request: &RequestView<'_>) -> Result<Key, ValueError> {
        let mut key = KeyBuilder::default();
        match self.config.per.as_deref() {
            None => {}
            Some(Value::ClientIp) => match request.client {
                Some(address) => drop(key.address(address)),
                None => drop(key.nobody()),
            },
            Some(value) => drop(key.text(&request.lookup(value)?)),
        }
        Ok(key.finish())
    }

    fn rank(&self, request: &RequestView<'_>) -> usize {
        if self.config.plans.is_empty() {
            return 0;
        }
        let plan = request.lookup(&Value::ConsumerPlan).ok();
        let position = |plan| self.config.plans.iter().position(|known| *known == plan);
        plan.and_then(position).unwrap_or(0)
    }
}

fn number(written: &At<u32>, key: &str, least: u32, report: &mut Report) -> usize {
    if !(least..=COUNT_MAX).contains(&**written) {
        report
            .error(
                written.span(),
                "concurrency.count",
                format!("`{key}` is out of range"),
            )
            .help(format!("write a number from {least} to {COUNT_MAX}"));
    }
    usize::try_from(**written).unwrap_or(usize::MAX)
}

fn queue_timeout(written: Option<&At<Time>>, report: &mut Report) -> Duration {
    let Some(written) = written else {
        return QUEUE_TIMEOUT.duration();
    };
    if **written > QUEUE_TIMEOUT_MAX {
        report
            .error(
                written.span(),
                "concurrency.queue-timeout",
                "nobody waits that long in a queue",
            )
            .help("write at most \"60s\"");
    }
    written.duration()
}

fn refusal(written: Option<&At<u32>>, report: &mut Report) -> &'static Refusal {
    match written.map(|status| (**status, status.span())) {
        None | Some((503, _)) => &SHED,
        Some((429, _)) => &EXCEEDED,
        Some((_, span)) => {
            report
                .error(
                    span,
                    "concurrency.shed-status",
                    "who is turned away gets a 503 or a 429",
                )
                .help("write 503 or 429");
            &SHED
        }
    }
}

#[cfg(test)]
mod tests;
