//! `window = "bucket"`: a burst that refills at a rate (the generic cell rate algorithm).
//!
//! Admits a request of cost c at time t exactly if for every earlier moment s the costs admitted since s and c are at
//! most `burst + rate × (t − s)`. What is kept is the debt: what is missing from a full bucket, in units in which both
//! a request's price and what a microsecond pays back are whole numbers. A store computes with the same numbers in
//! doubles, so none exceeds 2^53.

use super::Verdict;
use super::rate::Rate;
use super::table::{Count, Line};

/// Whole numbers up to here are exact in a double, which is what scripts of a store compute with.
const EXACT: u64 = 1 << 53;

/// A burst and a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketRule {
    /// What a bucket holds, in requests of cost 1.
    pub burst: u64,
    /// The debt that a request of cost 1 makes.
    pub price: u64,
    /// The debt that a microsecond pays back.
    pub refill: u64,
}

/// What one key has used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bucket {
    debt: u64,
    /// When the debt was that, in microseconds.
    at: u64,
}

impl BucketRule {
    /// `None` where the rate has no fixed period, or where burst and rate together are too large to be computed
    /// exactly: more than [`burst_max`](Self::burst_max).
    pub fn new(rate: Rate, burst: u64) -> Option<Self> {
        let (price, refill) = reduced(rate)?;
        let capacity = burst.checked_mul(price)?;
        let rule = Self {
            burst,
            price,
            refill,
        };
        (burst > 0 && capacity <= EXACT).then_some(rule)
    }

    /// The largest burst that goes with a rate.
    pub fn burst_max(rate: Rate) -> u64 {
        reduced(rate).map_or(0, |(price, _)| EXACT / price)
    }

    fn capacity(&self) -> u64 {
        self.burst.saturating_mul(self.price)
    }
}

/// Period and count without what divides both.
fn reduced(rate: Rate) -> Option<(u64, u64)> {
    let period = rate.period().micros()?;
    let (mut a, mut b) = (period, rate.count());
    while b > 0 {
        (a, b) = (b, a % b);
    }
    Some((period / a, rate.count() / a))
}

impl Count for Bucket {
    type Align = Line;
    type Rule = BucketRule;
    type Now = u64;

    fn take(&mut self, rule: &BucketRule, now: u64, cost: u64) -> Verdict {
        // Two threads may come in another order than they read the clock in; time never goes back.
        let now = now.max(self.at);
        let paid = (now - self.at).saturating_mul(rule.refill);
        let debt = self.debt.saturating_sub(paid);
        let room = rule.capacity().saturating_sub(debt);
        let price = cost.saturating_mul(rule.price);
        let admitted = price <= room;
        let debt = if admitted { debt + price } else { debt };
        *self = Self { debt, at: now };
        Verdict {
            admitted,
            remaining: rule.capacity().saturating_sub(debt) / rule.price.max(1),
            retry_after: match admitted {
                true => Some(0),
                false if price > rule.capacity() => None,
                false => Some((price - room).div_ceil(rule.refill.max(1))),
            },
            reset: debt.div_ceil(rule.refill.max(1)),
        }
    }

    fn idle_at(&self, rule: &BucketRule) -> u64 {
        self.at
            .saturating_add(self.debt.div_ceil(rule.refill.max(1)))
    }

    fn used(&self, rule: &BucketRule, now: u64) -> u64 {
        let paid = now.saturating_sub(self.at).saturating_mul(rule.refill);
        self.debt.saturating_sub(paid).div_ceil(rule.price.max(1))
    }

    fn time(now: u64) -> u64 {
        now
    }
}
