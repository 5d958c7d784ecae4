//! A target's latency as an average that forgets: a peak counts at once, what is better only by and by.
//!
//! Value and moment share one atomic number, so that a reader never sees the one without the other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// After so long without a word, what was known counts about a third.
const MEMORY_MS: f64 = 10_000.0;

/// Units of the value in a second: tenths of a microsecond, up to seven minutes.
const UNITS: f64 = 1e7;

/// The average. Zero: nothing is known.
#[derive(Debug, Default)]
pub struct Latency(AtomicU64);

impl Latency {
    /// An answer took so long; `now` in milliseconds.
    pub(in crate::upstream) fn observe(&self, took: Duration, now: u64) {
        let took = took.as_secs_f64() * UNITS;
        let now = low(now);
        // A reader and a writer may meet: then one of two answers of the same moment is lost.
        let (value, at) = unpack(self.0.load(Ordering::Relaxed));
        let keep = remembered(now.wrapping_sub(at));
        let next = if value == 0 || took > f64::from(value) {
            took
        } else {
            f64::from(value) * keep + took * (1.0 - keep)
        };
        self.0.store(pack(next, now), Ordering::Relaxed);
    }

    /// What is remembered in units of the average; `None` when nothing is known. A target that nobody asks is forgiven.
    pub(in crate::upstream) fn read(&self, now: u64) -> Option<f64> {
        let (value, at) = unpack(self.0.load(Ordering::Relaxed));
        (value != 0).then(|| f64::from(value) * remembered(low(now).wrapping_sub(at)))
    }

    /// The same as a time.
    pub fn time(&self, now: u64) -> Option<Duration> {
        self.read(now)
            .map(|units| Duration::from_secs_f64(units / UNITS))
    }
}

/// The share that is left after so many milliseconds.
fn remembered(millis: u32) -> f64 {
    // Between two workers, "now" may lie before what the other wrote.
    if millis > u32::MAX / 2 {
        return 1.0;
    }
    // (1 - x/16)^16 is near enough to e^-x, and quicker.
    let base = (1.0 - f64::from(millis) * (1.0 / (16.0 * MEMORY_MS))).max(0.0);
    base.powi(16)
}

/// The lower half: it comes round after 49 days, and differences come round with it.
fn low(now: u64) -> u32 {
    u32::try_from(now & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}

fn unpack(both: u64) -> (u32, u32) {
    (low(both >> 32), low(both))
}

fn pack(value: f64, at: u32) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to the range of the target"
    )]
    let value = value.clamp(1.0, f64::from(u32::MAX)) as u32;
    u64::from(value) << 32 | u64::from(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(latency: &Latency, now: u64) -> u128 {
        latency.time(now).unwrap().as_millis()
    }

    #[test]
    fn a_peak_counts_at_once_and_is_forgotten_slowly() {
        let latency = Latency::default();
        assert_eq!(latency.time(1), None);
        latency.observe(Duration::from_millis(10), 1);
        latency.observe(Duration::from_millis(100), 2);
        assert_eq!(millis(&latency, 2), 100);
        latency.observe(Duration::from_millis(10), 1_002);
        assert!(
            (88..95).contains(&millis(&latency, 1_002)),
            "one second of ten"
        );
        assert!(millis(&latency, 21_002) < 14, "nobody asked it for long");
    }

    #[test]
    fn the_clock_may_come_round_or_go_back() {
        let latency = Latency::default();
        let round = u64::from(u32::MAX);
        latency.observe(Duration::from_millis(50), round);
        assert_eq!(millis(&latency, round + 1), 49);
        assert_eq!(millis(&latency, round - 5), 50);
    }
}
