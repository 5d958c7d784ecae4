//! `[overload]` compiled: who is turned away at which level, with which answer.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, header};
use plugins::contract::flow::{Refusal, Reply};
use plugins::contract::identity::Identity;
use plugins::contract::mode::Mode;
use plugins::contract::services::{Count, Family, Meter};

use super::level::{Level, Reason};
use crate::config::model::OverloadConfig;

static UNAVAILABLE: Refusal = refusal(503);
static TOO_MANY: Refusal = refusal(429);

const fn refusal(status: u16) -> Refusal {
    Refusal {
        status,
        code: "gateway.overloaded",
        title: "The gateway has too much to do.",
    }
}

/// Every refusal of an overload.
pub const REFUSALS: [&Refusal; 2] = [&UNAVAILABLE, &TOO_MANY];

static SHED: Family = Family {
    name: "gateway_overload_shed_total",
    help: "Requests that were turned away because the gateway had too much to do, or would have been in shadow.",
    labels: &["reason", "plan", "mode"],
};

/// Who is turned away, and how.
pub struct Rules {
    pub(super) lag: Option<Duration>,
    pub(super) memory: Option<u64>,
    pub(super) connections: Option<usize>,
    plans: Box<[Plan]>,
    /// By [`Reason`], of those who were turned away before anybody knew their plan.
    unknown: [Count; Reason::ALL.len()],
    refusal: &'static Refusal,
    retry_after: HeaderValue,
    mode: Mode,
}

struct Plan {
    name: Box<str>,
    shed: [Count; Reason::ALL.len()],
}

/// A request that is to be turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    reason: Reason,
    /// The position of its plan; `None` before it is known.
    plan: Option<usize>,
}

impl Step {
    /// Whether its connection should end: connections are what there is too much of, or hold it.
    pub fn ends_connection(self) -> bool {
        self.reason != Reason::Lag
    }
}

impl Rules {
    /// Compiles `[overload]`.
    pub fn new(config: &OverloadConfig, meter: &dyn Meter) -> Arc<Self> {
        let counts = |plan: &str| {
            let mode = config.mode.name();
            Reason::ALL.map(|reason| meter.counter(&SHED, &[reason.name(), plan, mode]))
        };
        let plan = |name: &String| Plan {
            name: name.as_str().into(),
            shed: counts(name),
        };
        let seconds = config.retry_after.as_millis().div_ceil(1_000).max(1);
        Arc::new(Self {
            lag: config.lag,
            memory: config.memory,
            connections: config.connections,
            plans: config.plans.iter().map(plan).collect(),
            unknown: counts(""),
            refusal: if config.shed_status == 429 {
                &TOO_MANY
            } else {
                &UNAVAILABLE
            },
            retry_after: HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX)),
            mode: config.mode,
        })
    }

    /// Whether some plans go before others.
    pub(super) fn is_by_plan(&self) -> bool {
        self.plans.len() > 1
    }

    /// Whether a request is turned away of which nothing is known but its connection: how many were open before it came.
    pub fn early(&self, level: Level, open_before: usize) -> Option<Step> {
        let beyond = self.connections.is_some_and(|limit| open_before >= limit);
        let reason = if level.crowded && beyond {
            Reason::Connections
        } else if hit(f64::from(level.early) / 255.0) {
            level.reason
        } else {
            return None;
        };
        Some(Step { reason, plan: None })
    }

    /// Whether a request is turned away whose plan is known by now. Whoever has none of the plans counts as the first.
    pub fn late(&self, level: Level, identity: Option<&Identity>) -> Option<Step> {
        let last = self.plans.len().checked_sub(1)?;
        let plan = identity.and_then(|identity| identity.plan.as_deref());
        let rank = plan.and_then(|name| self.plans.iter().position(|known| *known.name == *name));
        let rank = rank.unwrap_or(0);
        let turned_away = rank < last && hit(share(level.late, rank, last));
        turned_away.then_some(Step {
            reason: level.reason,
            plan: Some(rank),
        })
    }

    /// Counts it, and makes the answer; in shadow there is none, and the request goes on.
    pub fn turn_away(&self, step: Step) -> Result<Box<Reply>, &'static Refusal> {
        let plan = step.plan.and_then(|rank| self.plans.get(rank));
        let counts = plan.map_or(&self.unknown, |plan| &plan.shed);
        let counted = Reason::ALL.iter().zip(counts);
        counted
            .filter(|(reason, _)| **reason == step.reason)
            .for_each(|(_, count)| count.add_one());
        if self.mode != Mode::Enforce {
            return Err(self.refusal);
        }
        let reply = Reply::refusal(self.refusal);
        Ok(Box::new(
            reply.header(header::RETRY_AFTER, self.retry_after.clone()),
        ))
    }
}

/// How many of a plan are turned away, 0 to 1: all of the first before one of the second.
fn share(late: u8, rank: usize, last: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "nobody has that many plans")]
    let (rank, last) = (rank as f64, last as f64);
    (f64::from(late) / 255.0 * last - rank).clamp(0.0, 1.0)
}

fn hit(share: f64) -> bool {
    share >= 1.0 || (share > 0.0 && rand::random::<f64>() < share)
}

#[cfg(test)]
mod tests {
    use plugins::contract::services::Nothing;

    use super::*;

    fn rules(plans: &[&str], mode: Mode) -> Arc<Rules> {
        let config = OverloadConfig {
            lag: None,
            memory: None,
            connections: Some(2),
            plans: plans.iter().map(|&plan| plan.into()).collect(),
            shed_status: 429,
            retry_after: Duration::from_millis(1_500),
            mode,
        };
        Rules::new(&config, &Nothing)
    }

    fn somebody(plan: &str) -> Identity {
        let mut identity = Identity::new("keys", None, "ann");
        identity.plan = Some(plan.into());
        identity
    }

    fn level(early: u8, late: u8) -> Level {
        Level {
            early,
            late,
            ..Level::CALM
        }
    }

    #[test]
    fn the_first_plan_goes_first_and_the_last_one_never_by_its_plan() {
        let rules = rules(&["free", "plus", "premium"], Mode::Enforce);
        let goes = |plan: &str, late| rules.late(level(0, late), Some(&somebody(plan))).is_some();
        for _ in 0..100 {
            assert!(!goes("free", 0));
            assert!(!goes("plus", 127), "all of free before one of plus");
            assert!(goes("free", 128) && goes("gold", 128));
            assert!(goes("plus", 255) && !goes("premium", 255));
            assert!(rules.late(level(0, 255), None).is_some(), "nobody is free");
        }
    }

    #[test]
    fn without_an_order_nobody_goes_by_plan() {
        let rules = rules(&[], Mode::Enforce);
        assert_eq!(rules.late(level(255, 255), Some(&somebody("free"))), None);
    }

    #[test]
    fn connections_beyond_the_limit_are_turned_away_and_no_others() {
        let rules = rules(&[], Mode::Enforce);
        let crowded = Level {
            crowded: true,
            ..Level::CALM
        };
        assert_eq!(rules.early(crowded, 1), None);
        let step = rules.early(crowded, 2).unwrap();
        assert!(step.ends_connection());
        assert_eq!(rules.early(Level::CALM, 2), None, "others have left");
    }

    #[test]
    fn a_share_of_everybody_goes_early() {
        let rules = rules(&["free", "premium"], Mode::Enforce);
        assert_eq!(rules.early(level(0, 255), 0), None);
        let step = rules.early(level(255, 0), 0).unwrap();
        assert!(!step.ends_connection(), "a handshake more is no relief");
    }

    #[test]
    fn the_answer_says_when_to_come_again() {
        let step = Step {
            reason: Reason::Lag,
            plan: None,
        };
        let reply = rules(&[], Mode::Enforce).turn_away(step).unwrap();
        assert_eq!(reply.status, 429);
        let (name, value) = reply.headers.first().unwrap();
        assert_eq!((name, value.to_str().unwrap()), (&header::RETRY_AFTER, "2"));
        let shadow = rules(&[], Mode::Shadow { until: None });
        assert_eq!(
            shadow.turn_away(step).unwrap_err().code,
            "gateway.overloaded"
        );
    }
}
