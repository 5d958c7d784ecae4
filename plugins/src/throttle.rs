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
use crate::limit::refusals::{Refusals, refusals};
use crate::limit::written::RawLimit;

static REFUSALS: Refusals = refusals!("throttle", "Too many requests came from this address.");

/// `throttle`
pub struct ByAddress;

/// The compiled throttle.
pub type Throttle = Limit<ByAddress>;

impl Kind for ByAddress {
    const NAME: &'static str = "throttle";
    const REFUSALS: &'static Refusals = &REFUSALS;
    type Raw = RawLimit;

    fn validate(raw: At<RawLimit>, report: &mut Report) -> Option<LimitConfig> {
        validate_limit(raw, Stage::Early, report)
    }
}

#[cfg(test)]
mod tests;
