//! How many attempts of the recent past failed. Lock-free: a ring of slices of time, each one atomic word.
//!
//! It looks back on between nine and ten tenths of its length. The clock is an argument.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Slices of a window.
const SLICES: usize = 10;

/// Bits of a count. A slice that is full counts no further: its share of failures stays what it was.
const BITS: u32 = 20;
const COUNT: u64 = (1 << BITS) - 1;
const TICK: u64 = (1 << (64 - 2 * BITS)) - 1;

/// Counts over a sliding window.
#[derive(Debug)]
pub(super) struct Window {
    origin: Instant,
    slice: Duration,
    ring: [AtomicU64; SLICES],
}

/// What a window saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) total: u64,
    pub(super) failed: u64,
}

/// One slice: the number of its turn, attempts, failures.
#[derive(Clone, Copy)]
struct Slice {
    tick: u64,
    total: u64,
    failed: u64,
}

impl Window {
    /// A window of this length that is empty at `origin`.
    pub(super) fn new(length: Duration, origin: Instant) -> Self {
        let slices = u32::try_from(SLICES).unwrap_or(u32::MAX);
        Self {
            origin,
            slice: (length / slices).max(Duration::from_nanos(1)),
            ring: Default::default(),
        }
    }

    /// Counts one attempt.
    pub(super) fn record(&self, failed: bool, now: Instant) {
        let tick = self.tick(now);
        let Some(slot) = self.slot(tick) else { return };
        let counted = slot.try_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let old = Slice::from(word);
            let mut slice = match age(old.tick, tick) {
                0 => old,
                // Turned over by somebody whose clock was read later.
                back if back > TICK / 2 => return None,
                _ => Slice {
                    tick,
                    total: 0,
                    failed: 0,
                },
            };
            if slice.total < COUNT {
                slice.total += 1;
                slice.failed += u64::from(failed);
            }
            Some(slice.into())
        });
        // Full, or too late for its slice: the other counts say enough.
        let _word: u64 = counted.unwrap_or_default();
    }

    /// What the window holds.
    pub(super) fn read(&self, now: Instant) -> Counts {
        let tick = self.tick(now);
        let slices = self
            .ring
            .iter()
            .map(|slot| Slice::from(slot.load(Ordering::Relaxed)));
        let recent = slices
            .filter(|slice| usize::try_from(age(slice.tick, tick)).is_ok_and(|age| age < SLICES));
        recent.fold(Counts::default(), |sum, slice| Counts {
            total: sum.total + slice.total,
            failed: sum.failed + slice.failed,
        })
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        for slot in &self.ring {
            slot.store(0, Ordering::Relaxed);
        }
    }

    fn tick(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.origin).as_nanos();
        u64::try_from(since / self.slice.as_nanos().max(1)).unwrap_or(u64::MAX) & TICK
    }

    fn slot(&self, tick: u64) -> Option<&AtomicU64> {
        self.ring
            .get(usize::try_from(tick).ok()?.checked_rem(SLICES)?)
    }
}

/// How many ticks ago `then` was.
fn age(then: u64, now: u64) -> u64 {
    now.wrapping_sub(then) & TICK
}

impl Counts {
    /// Whether at least `percent` of the attempts failed.
    pub(super) fn reaches(self, percent: u8) -> bool {
        self.total > 0 && self.failed * 100 >= self.total * u64::from(percent)
    }
}

impl From<u64> for Slice {
    fn from(word: u64) -> Self {
        Self {
            tick: word >> (2 * BITS),
            total: word >> BITS & COUNT,
            failed: word & COUNT,
        }
    }
}

impl From<Slice> for u64 {
    fn from(slice: Slice) -> Self {
        slice.tick << (2 * BITS) | slice.total << BITS | slice.failed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LENGTH: Duration = Duration::from_secs(10);

    #[test]
    fn forgets_what_is_older_than_itself() {
        let origin = Instant::now();
        let window = Window::new(LENGTH, origin);
        let at = |seconds| origin + Duration::from_secs(seconds);
        window.record(true, at(0));
        window.record(false, at(5));
        assert_eq!(
            window.read(at(9)),
            Counts {
                total: 2,
                failed: 1
            }
        );
        assert_eq!(
            window.read(at(10)),
            Counts {
                total: 1,
                failed: 0
            }
        );
        assert_eq!(window.read(at(15)), Counts::default());
    }

    #[test]
    fn a_full_slice_keeps_its_share() {
        let origin = Instant::now();
        let window = Window::new(LENGTH, origin);
        let full = Slice {
            tick: 0,
            total: COUNT,
            failed: 7,
        };
        window.ring[0].store(full.into(), Ordering::Relaxed);
        window.record(true, origin);
        assert_eq!(
            window.read(origin),
            Counts {
                total: COUNT,
                failed: 7
            }
        );
    }

    #[test]
    fn counts_of_many_threads_add_up() {
        let origin = Instant::now();
        let window = Window::new(LENGTH, origin);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|n| window.record(n % 2 == 0, origin)));
            }
        });
        assert_eq!(
            window.read(origin),
            Counts {
                total: 40_000,
                failed: 20_000
            }
        );
    }

    proptest! {
        #[test]
        fn agrees_with_a_list_of_all_attempts(steps in prop::collection::vec((0u64..3_000, any::<bool>()), 0..200)) {
            let origin = Instant::now();
            let window = Window::new(LENGTH, origin);
            let (mut millis, mut all) = (0, Vec::new());
            for (pause, failed) in steps {
                millis += pause;
                let now = origin + Duration::from_millis(millis);
                window.record(failed, now);
                all.push((millis / 1000, failed));
                let recent = all.iter().filter(|(second, _)| second + 10 > millis / 1000);
                let failed = recent.clone().filter(|(_, failed)| *failed).count() as u64;
                prop_assert_eq!(window.read(now), Counts { total: recent.count() as u64, failed });
            }
        }
    }
}
