//! Limits how often one address may ask, before anything that costs more is done.
//!
//! ```toml
//! [route.login]
//! match    = "POST /login"
//! upstream = "users"
//! throttle = { rate = "10/min", burst = 5 }
//! ```
//!
//! Comes before `auth`, so that guessing credentials is limited too; what only authentication knows cannot be its key.
//! Counts the client's address behind trusted proxies: IPv4 alone, IPv6 by its /64; clients of a unix socket are one.
//! All else is as with `rate-limit`. Refuses with 429 `throttle.exceeded`, 400 `throttle.key`, 400 `throttle.cost` and
//! 503 `throttle.uncounted`.

use crate::contract::prelude::*;
use crate::limit::config::{LimitConfig, Stage, validate_limit};
use crate::limit::policy::{Kind, Limit};
use crate::limit::written::RawLimit;

static EXCEEDED: Refusal = Refusal {
    status: 429,
    code: "throttle.exceeded",
    title: "Too many requests came from this address.",
};
static KEYLESS: Refusal = Refusal {
    status: 400,
    code: "throttle.key",
    title: "The request lacks a value by which requests are counted, or repeats it.",
};
static COSTLESS: Refusal = Refusal {
    status: 400,
    code: "throttle.cost",
    title: "The request says what it costs in a way that cannot be counted.",
};
static UNCOUNTED: Refusal = Refusal {
    status: 503,
    code: "throttle.uncounted",
    title: "Requests cannot be counted at the moment.",
};

/// `throttle`
pub struct ByAddress;

/// The compiled throttle.
pub type Throttle = Limit<ByAddress>;

impl Kind for ByAddress {
    const NAME: &'static str = "throttle";
    const REFUSALS: &'static [&'static Refusal] = &[&EXCEEDED, &KEYLESS, &COSTLESS, &UNCOUNTED];
    const EXCEEDED: &'static Refusal = &EXCEEDED;
    const KEYLESS: &'static Refusal = &KEYLESS;
    const COSTLESS: &'static Refusal = &COSTLESS;
    const UNCOUNTED: &'static Refusal = &UNCOUNTED;
    type Raw = RawLimit;

    fn validate(raw: At<RawLimit>, report: &mut Report) -> Option<LimitConfig> {
        validate_limit(raw, Stage::Early, report)
    }
}

#[cfg(test)]
mod tests;
