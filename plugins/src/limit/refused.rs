//! What a store has refused, remembered for a moment: whoever must wait anyway costs no round trip.
//!
//! A refusal says when the same request would be admitted, and nothing but time changes that: what is refused uses
//! nothing up. The time counts from before the store was asked, so nobody is refused here whom the store would admit. It
//! counts for [`REMEMBERED`] at most, so that whoever empties a key in the store is soon heard.

use ahash::RandomState;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::Verdict;
use super::key::Key;

/// The longest that a refusal is remembered, in microseconds.
pub(super) const REMEMBERED: u64 = 5_000_000;
/// Keys that are remembered of each plan: some 2 MiB. Whoever has no place is asked for at the store.
const KEYS_MAX: u64 = 16_384;
/// For how many there is room from the start.
const KEYS: usize = 64;

/// Who was refused, of one plan.
pub(super) struct Refused(Cache<Key, Refusal, UnitWeighter, RandomState>);

#[derive(Clone, Copy)]
struct Refusal {
    cost: u64,
    /// When the store was asked.
    at: u64,
    verdict: Verdict,
}

impl Default for Refused {
    fn default() -> Self {
        let (hasher, lifecycle) = (RandomState::new(), DefaultLifecycle::default());
        Self(Cache::with(KEYS, KEYS_MAX, UnitWeighter, hasher, lifecycle))
    }
}

impl Refused {
    /// What the store would say to a request of this cost, if that is known.
    pub(super) fn find(&self, key: &Key, cost: u64, now: u64) -> Option<Verdict> {
        let Refusal {
            cost: refused,
            at,
            verdict,
        } = self.0.get(key)?;
        let passed = now.saturating_sub(at);
        if passed
            >= verdict
                .retry_after
                .map_or(REMEMBERED, |wait| wait.min(REMEMBERED))
        {
            self.0.remove(key);
            return None;
        }
        // Less might be admitted earlier, and for more the time is not known.
        (cost == refused).then(|| Verdict {
            retry_after: verdict.retry_after.map(|wait| wait - passed),
            reset: verdict.reset.saturating_sub(passed),
            ..verdict
        })
    }

    /// Remembers what the store said, if that was a refusal.
    pub(super) fn remember(&self, key: &Key, cost: u64, asked: u64, verdict: &Verdict) {
        if !verdict.admitted {
            let (at, verdict) = (asked, *verdict);
            self.0.insert(*key, Refusal { cost, at, verdict });
        }
    }

    /// Forgets all.
    pub(super) fn forget(&self) {
        if !self.0.is_empty() {
            self.0.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::key::KeyBuilder;

    fn key(name: &str) -> Key {
        let mut key = KeyBuilder::default();
        key.text(name);
        key.finish()
    }

    fn refusal(retry_after: Option<u64>) -> Verdict {
        Verdict {
            admitted: false,
            remaining: 1,
            retry_after,
            reset: 9_000_000,
        }
    }

    #[test]
    fn holds_until_the_store_would_admit_and_tells_what_is_left_of_the_time() {
        let refused = Refused::default();
        refused.remember(&key("a"), 2, 1_000, &refusal(Some(3_000_000)));
        let found = refused.find(&key("a"), 2, 1_001_000).unwrap();
        assert_eq!(found.retry_after, Some(2_000_000));
        assert_eq!((found.reset, found.remaining), (8_000_000, 1));
        assert!(!found.admitted);
        assert!(refused.find(&key("a"), 2, 3_000_999).is_some());
        assert_eq!(refused.find(&key("a"), 2, 3_001_000), None);
        assert_eq!(refused.find(&key("b"), 2, 1_000), None);
    }

    #[test]
    fn holds_for_that_cost_alone() {
        let refused = Refused::default();
        refused.remember(&key("a"), 2, 0, &refusal(Some(3_000_000)));
        assert_eq!(refused.find(&key("a"), 1, 1), None);
        assert_eq!(refused.find(&key("a"), 3, 1), None);
        assert!(refused.find(&key("a"), 2, 1).is_some());
    }

    #[test]
    fn is_soon_forgotten_however_long_the_wait() {
        for wait in [None, Some(86_400_000_000)] {
            let refused = Refused::default();
            refused.remember(&key("a"), 1, 0, &refusal(wait));
            assert!(refused.find(&key("a"), 1, REMEMBERED - 1).is_some());
            assert_eq!(refused.find(&key("a"), 1, REMEMBERED), None);
        }
    }

    #[test]
    fn remembers_refusals_alone_and_forgets_them_when_told() {
        let refused = Refused::default();
        let admitted = Verdict {
            admitted: true,
            ..refusal(Some(0))
        };
        refused.remember(&key("a"), 1, 0, &admitted);
        assert_eq!(refused.find(&key("a"), 1, 0), None);
        refused.remember(&key("a"), 1, 0, &refusal(None));
        refused.forget();
        assert_eq!(refused.find(&key("a"), 1, 0), None);
    }

    #[test]
    fn has_room_for_so_many() {
        let refused = Refused::default();
        for number in 0..3 * KEYS_MAX {
            refused.remember(&key(&number.to_string()), 1, 0, &refusal(None));
        }
        assert!(refused.0.len() as u64 <= KEYS_MAX);
    }
}
