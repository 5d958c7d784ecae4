//! A histogram with fixed bounds: one atomic add a sample, no lock, no label look-up.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, ascending, in nanoseconds.
pub type Bounds = &'static [u64];

/// Bounds for whole requests: 0.5 ms to 60 s.
pub const REQUEST: Bounds = &[
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

/// Bounds for our own share: 10 µs to 100 ms.
pub const HOP: Bounds = &[
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    100_000_000,
];

/// Counts samples by size.
#[derive(Debug)]
pub struct Histogram {
    bounds: Bounds,
    /// One a bound and one for what lies above.
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram held at one moment.
#[derive(Debug, PartialEq, Eq)]
pub struct Reading {
    /// Upper bound in nanoseconds and the samples up to it, cumulative; without the unbounded one.
    pub buckets: Vec<(u64, u64)>,
    /// All samples.
    pub count: u64,
    /// Their sum in nanoseconds.
    pub sum: u64,
}

impl Histogram {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Self {
        let buckets = std::iter::repeat_with(AtomicU64::default)
            .take(bounds.len() + 1)
            .collect();
        Self {
            bounds,
            buckets,
            sum: AtomicU64::new(0),
        }
    }

    /// Adds a sample.
    pub fn observe(&self, sample: Duration) {
        let nanos = u64::try_from(sample.as_nanos()).unwrap_or(u64::MAX);
        let index = self.bounds.partition_point(|bound| *bound < nanos);
        if let Some(bucket) = self.buckets.get(index) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Reads all buckets. Samples that arrive meanwhile may be in the sum and not yet in a bucket.
    pub fn read(&self) -> Reading {
        let mut count = 0;
        let mut cumulate = |bucket: &AtomicU64| {
            count += bucket.load(Ordering::Relaxed);
            count
        };
        let cumulative: Vec<u64> = self.buckets.iter().map(&mut cumulate).collect();
        let buckets = self.bounds.iter().copied().zip(cumulative).collect();
        Reading {
            buckets,
            count,
            sum: self.sum.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_on_a_bound_belongs_to_it() {
        let histogram = Histogram::new(&[10, 20]);
        for nanos in [1, 10, 11, 20, 21] {
            histogram.observe(Duration::from_nanos(nanos));
        }
        let expected = Reading {
            buckets: vec![(10, 2), (20, 4)],
            count: 5,
            sum: 63,
        };
        assert_eq!(histogram.read(), expected);
    }
}
