//! How many of a group are in good standing. Counted when it is asked for, at most every so often: standing changes
//! seldom, and every single target is looked at anyway before it is picked.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::upstream::endpoint::Endpoint;

/// A count is believed for so many milliseconds.
const FRESH_MS: u64 = 50;

/// The last count.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Census {
    /// When; 0 is never.
    at: AtomicU64,
    good: AtomicU32,
    weight: AtomicU32,
}

/// Those in good standing.
#[derive(Debug, Clone, Copy)]
pub(in crate::upstream) struct Count {
    /// How many they are.
    pub(in crate::upstream) good: u32,
    /// The sum of their weights.
    pub(in crate::upstream) weight: u32,
}

impl Census {
    /// The count at this moment, in milliseconds, or shortly before.
    pub(in crate::upstream) fn take(&self, endpoints: &[Endpoint], now: u64) -> Count {
        let at = self.at.load(Ordering::Relaxed);
        if at == 0 || now.saturating_sub(at) >= FRESH_MS {
            return self.count(endpoints, now);
        }
        Count {
            good: self.good.load(Ordering::Relaxed),
            weight: self.weight.load(Ordering::Relaxed),
        }
    }

    fn count(&self, endpoints: &[Endpoint], now: u64) -> Count {
        let mut count = Count { good: 0, weight: 0 };
        for endpoint in endpoints {
            if endpoint.target.standing.is_good() {
                count.good += 1;
                count.weight += endpoint.weight;
            }
        }
        self.good.store(count.good, Ordering::Relaxed);
        self.weight.store(count.weight, Ordering::Relaxed);
        self.at.store(now, Ordering::Relaxed);
        count
    }
}
