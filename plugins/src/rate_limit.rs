//! Limits how often whoever was authenticated may ask, by plan.
//!
//! ```toml
//! [rate-limit.plans]
//! rates     = { free = "100/min", premium = "1000/min" }   # keyed by identity, chosen by consumer.plan
//! otherwise = "free"
//!
//! [auth.keys]
//! api-key = {}
//!
//! [route.orders]
//! match      = "/orders/**"
//! upstream   = "orders"
//! rate-limit = ["plans", { key = "route", rate = "500/s" }]
//! auth       = "keys"
//! ```
//!
//! A named limit is one count, whatever number of routes names it; a table written on a route is the route's own. Of
//! several all must pass; they are asked in the order of the list, and what an earlier one has counted stays counted
//! when a later one refuses, so the strictest comes first. Counts outlive a reload as long as `key`, rates, `burst`,
//! `window` and `store` stay the same.
//!
//! Anonymous requests, where `auth` is optional, are counted by the client's address (IPv4 /32, IPv6 /64). Refuses with
//! 429 `rate-limit.exceeded` and a `Retry-After` after which the same request would have passed; with 400
//! `rate-limit.key` where the request lacks what it is counted by or says it twice, with 400 `rate-limit.cost` where it
//! says no cost, and with 503 `rate-limit.uncounted` where the store does not answer and `on-error = "deny"`.

use crate::contract::prelude::*;
use crate::limit::config::{LimitConfig, Stage, validate_limit};
use crate::limit::policy::{Kind, Limit};
use crate::limit::refusals::{Refusals, refusals};
use crate::limit::written::RawLimit;

static REFUSALS: Refusals = refusals!("rate-limit", "The limit of requests is used up.");

/// `rate-limit`
pub struct ByIdentity;

/// The compiled limit.
pub type RateLimit = Limit<ByIdentity>;

impl Kind for ByIdentity {
    const NAME: &'static str = "rate-limit";
    const REFUSALS: &'static Refusals = &REFUSALS;
    type Raw = RawLimit;

    fn validate(raw: At<RawLimit>, report: &mut Report) -> Option<LimitConfig> {
        validate_limit(raw, Stage::Late, report)
    }
}

#[cfg(test)]
mod tests;
