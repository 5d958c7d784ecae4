//! How many repetitions an upstream may get: a share of its requests, so that a failing upstream is not drowned in them.
//!
//! A store of credit without a clock. Every request pays in its share, every repetition takes out one; what can be saved
//! up is limited. A new upstream starts with a little, so that the first failure can be repeated.

use std::sync::atomic::{AtomicU32, Ordering};

/// What one repetition costs; a request pays in its share of it in per cent.
const ONE: u32 = 100;
/// Repetitions that a new upstream has saved up.
const FLOOR: u32 = 20;
/// Repetitions that can be saved up.
const CAP: u32 = 1_000;

/// The credit of one upstream, shared by all workers.
#[derive(Debug)]
pub struct Budget(AtomicU32);

impl Default for Budget {
    fn default() -> Self {
        Self(AtomicU32::new(FLOOR * ONE))
    }
}

impl Budget {
    /// Pays in for one request. Where nothing fails the store is full and this only reads.
    pub(super) fn deposit(&self, percent: u32) {
        if self.0.load(Ordering::Relaxed) < CAP * ONE {
            // A few beyond the cap, when workers do this at once, do no harm.
            self.0.fetch_add(percent.min(ONE), Ordering::Relaxed);
        }
    }

    /// Takes out one repetition, if there is one.
    pub fn withdraw(&self) -> bool {
        let less = |credit: u32| credit.checked_sub(ONE);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn withdrawals(budget: &Budget) -> u32 {
        let mut count = 0;
        while budget.withdraw() {
            count += 1;
        }
        count
    }

    #[test]
    fn starts_with_a_little_and_grows_with_requests() {
        let budget = Budget::default();
        assert_eq!(withdrawals(&budget), FLOOR);
        for _ in 0..4 {
            budget.deposit(20);
        }
        assert_eq!(withdrawals(&budget), 0);
        budget.deposit(20);
        assert_eq!(withdrawals(&budget), 1);
    }

    #[test]
    fn saves_up_to_a_cap() {
        let budget = Budget::default();
        for _ in 0..100 * CAP {
            budget.deposit(20);
        }
        assert_eq!(withdrawals(&budget), CAP);
    }
}
