//! Limits what may be used in an hour, a day or a month of the calendar.
//!
//! ```toml
//! [quota.contracts]
//! rates     = { free = "1000/day", premium = "1000000/month" }
//! otherwise = "free"
//! time-zone = "Europe/Berlin"
//!
//! [auth.keys]
//! api-key = {}
//!
//! [route.orders]
//! match    = "/orders/**"
//! upstream = "orders"
//! quota    = "contracts"
//! auth     = "keys"
//! ```
//!
//! Windows begin with the hour, at midnight or on the first of the month on the clock of the zone; a day of 23 or 25
//! hours is one window. Without `store` a restart forgets what was used, and every gateway counts for itself. Key, plans,
//! cost and answers are those of `rate-limit`. Refuses with 429 `quota.exceeded`, 400 `quota.key`, 400 `quota.cost` and
//! 503 `quota.uncounted`.

use crate::contract::prelude::*;
use crate::limit::config::{LimitConfig, validate_quota};
use crate::limit::policy::{Kind, Limit};
use crate::limit::refusals::{Refusals, refusals};
use crate::limit::written::RawQuota;

static REFUSALS: Refusals = refusals!("quota", "The quota is used up.");

/// `quota`
pub struct ByCalendar;

/// The compiled quota.
pub type Quota = Limit<ByCalendar>;

impl Kind for ByCalendar {
    const NAME: &'static str = "quota";
    const REFUSALS: &'static Refusals = &REFUSALS;
    type Raw = RawQuota;

    fn validate(raw: At<RawQuota>, report: &mut Report) -> Option<LimitConfig> {
        validate_quota(raw, report)
    }
}

#[cfg(test)]
mod tests;
