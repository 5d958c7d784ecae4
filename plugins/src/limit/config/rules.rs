//! How requests are counted: what a rate means in a bucket, in a sliding window, or in a calendar.

use jiff::tz::TimeZone;

use crate::contract::prelude::*;
use crate::limit::bucket::BucketRule;
use crate::limit::calendar::{Length, QuotaRule};
use crate::limit::rate::{COUNT_MAX, Rate};
use crate::limit::seconds;
use crate::limit::sliding::{self, SlidingRule};
use crate::limit::written::RawWindow;

/// How requests are counted.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// A burst that refills.
    Bucket(BucketRule),
    /// A log.
    Sliding(SlidingRule),
    /// Windows of the calendar.
    Calendar {
        /// The count in each.
        rule: QuotaRule,
        /// How long they are.
        length: Length,
        /// Whose calendar.
        zone: TimeZone,
    },
}

impl Rule {
    /// What may be used at once, and over how many seconds it comes back.
    pub fn budget(&self) -> (u64, u64) {
        match self {
            Self::Bucket(rule) => {
                let micros = rule.burst.saturating_mul(rule.price) / rule.refill.max(1);
                (rule.burst, seconds(micros).max(1))
            }
            Self::Sliding(rule) => (rule.count, seconds(rule.window)),
            Self::Calendar { rule, length, .. } => (rule.count, length.seconds()),
        }
    }
}

/// How the plugins differ.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// `throttle`, `rate-limit`
    Window {
        burst: Option<At<u64>>,
        window: Option<At<RawWindow>>,
    },
    /// `quota`
    Calendar(TimeZone),
}

impl Shape {
    /// What a rate means here.
    pub(super) fn rule(&self, rate: &At<Rate>, report: &mut Report) -> Option<Rule> {
        match self {
            Self::Calendar(zone) => calendar_rule(rate, zone, report),
            Self::Window { .. } if rate.period().micros().is_none() => {
                report
                    .error(rate.span(), "limit.period", "a month has no fixed length")
                    .help("for months of the calendar use quota; here write for example \"10000/day\"");
                None
            }
            Self::Window { burst, window } => {
                if window.as_deref() == Some(&RawWindow::Sliding) {
                    sliding_rule(rate, burst.as_ref(), report)
                } else {
                    bucket_rule(rate, burst.as_ref(), report)
                }
            }
        }
    }
}

fn calendar_rule(rate: &At<Rate>, zone: &TimeZone, report: &mut Report) -> Option<Rule> {
    let length = Length::of(rate.period());
    if length.is_none() {
        report
            .error(
                rate.span(),
                "limit.period",
                "a quota is for an hour, a day or a month",
            )
            .help("for shorter periods use rate-limit");
    }
    Some(Rule::Calendar {
        rule: QuotaRule {
            count: rate.count(),
        },
        length: length?,
        zone: zone.clone(),
    })
}

fn sliding_rule(rate: &At<Rate>, burst: Option<&At<u64>>, report: &mut Report) -> Option<Rule> {
    if let Some(burst) = burst {
        report
            .error(
                burst.span(),
                "limit.burst",
                "a sliding window has no `burst`",
            )
            .help("remove it, or count with window = \"bucket\"");
    }
    let rule = SlidingRule::new(**rate);
    if rule.is_none() {
        let most = sliding::COUNT_MAX;
        report
            .error(
                rate.span(),
                "limit.sliding",
                format!("a sliding window remembers each request, at most {most} of a client"),
            )
            .help("count with window = \"bucket\", or in a shorter period");
    }
    rule.map(Rule::Sliding)
}

fn bucket_rule(rate: &At<Rate>, burst: Option<&At<u64>>, report: &mut Report) -> Option<Rule> {
    let size = burst.map_or(rate.count(), |burst| **burst);
    let rule = BucketRule::new(**rate, size);
    if rule.is_none() {
        let most = BucketRule::burst_max(**rate).min(COUNT_MAX);
        let span = burst.map_or(rate.span(), At::span);
        report
            .error(
                span,
                "limit.burst",
                format!("a burst of {size} cannot be counted exactly at {}", **rate),
            )
            .help(format!("write burst = a number from 1 to {most}"));
    }
    rule.map(Rule::Bucket)
}
