//! A ring for consistent hashing: every target owns points on it by its weight, a key belongs to the next point.
//!
//! A point depends on nothing but its target's address and its number. So when targets come and go, only the keys of
//! those targets move; and every instance of the gateway has the same ring.

use super::hash::{mix, stable};

/// Points of a target of the least weight, where all fit.
const POINTS: f64 = 256.0;
/// Points of a ring: half a mebibyte, which stays near the processor.
const POINTS_MAX: f64 = 65_536.0;

/// The points in their order.
pub(super) struct Ring {
    points: Box<[Point]>,
    /// For every value of the upper bits, where its points begin.
    starts: Box<[u32]>,
    shift: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    at: u32,
    owner: u32,
}

impl Ring {
    /// A ring of these targets: address and weight.
    pub(super) fn new<'a>(targets: impl Iterator<Item = (&'a str, u32)> + Clone) -> Self {
        let weights = || targets.clone().map(|(_, weight)| f64::from(weight));
        let (least, sum) = (weights().fold(f64::MAX, f64::min), weights().sum::<f64>());
        let scale = (POINTS / least).min(POINTS_MAX / sum);
        let mut points = Vec::new();
        for (owner, (address, weight)) in (0u32..).zip(targets) {
            let seed = stable(address.as_bytes());
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 1 and POINTS_MAX"
            )]
            let count = (f64::from(weight) * scale).round().clamp(1.0, POINTS_MAX) as u64;
            points.extend((1..=count).map(|number| Point {
                at: upper(mix(seed ^ mix(number))),
                owner,
            }));
        }
        points.sort_unstable();
        Self::indexed(points)
    }

    fn indexed(points: Vec<Point>) -> Self {
        let bits = points.len().next_power_of_two().ilog2().clamp(1, 31);
        let shift = u32::BITS - bits;
        let start = |bucket: u32| {
            let before = points.partition_point(|point| point.at >> shift < bucket);
            u32::try_from(before).unwrap_or(u32::MAX)
        };
        let starts = (0..1 << bits).map(start).collect();
        Self {
            points: points.into(),
            starts,
            shift,
        }
    }

    /// Owners of the points from a key's place on, once round.
    pub(super) fn owners(&self, key: u64) -> impl Iterator<Item = usize> {
        let start = self.start(upper(key));
        let (before, from) = self.points.split_at_checked(start).unwrap_or_default();
        let owner = |point: &Point| usize::try_from(point.owner).unwrap_or(usize::MAX);
        from.iter().chain(before).map(owner)
    }

    fn start(&self, at: u32) -> usize {
        let bucket = usize::try_from(at >> self.shift).unwrap_or(usize::MAX);
        let first = self.starts.get(bucket).copied().unwrap_or_default();
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let rest = self.points.get(first..).unwrap_or_default();
        let after = rest.iter().position(|point| point.at >= at);
        after.map_or(self.points.len(), |after| first + after)
    }
}

fn upper(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("10.0.0.{n}:80")).collect()
    }

    fn ring(names: &[String], weight: impl Fn(usize) -> u32 + Clone) -> Ring {
        let targets = names.iter().enumerate();
        Ring::new(targets.map(move |(n, name)| (name.as_str(), weight(n))))
    }

    fn owner(ring: &Ring, key: u64) -> usize {
        ring.owners(mix(key)).next().unwrap()
    }

    #[test]
    fn shares_follow_the_weights() {
        let ring = ring(&names(4), |n| if n == 0 { 3 } else { 1 });
        let mut got = [0.0; 4];
        for key in 0..60_000 {
            got[owner(&ring, key)] += 1.0 / 10_000.0;
        }
        assert!((2.6..3.4).contains(&got[0]), "{got:?}");
        assert!(
            got[1..].iter().all(|got| (0.8..1.2).contains(got)),
            "{got:?}"
        );
    }

    #[test]
    fn a_ring_of_nobody_has_no_owners() {
        assert_eq!(ring(&[], |_| 1).owners(7).next(), None);
    }

    proptest! {
        #[test]
        fn only_the_keys_of_who_left_move(count in 2usize..20, left in 0usize..20, keys in prop::collection::vec(any::<u64>(), 50)) {
            let left = left % count;
            let all = names(count);
            let mut rest = all.clone();
            rest.remove(left);
            let (before, after) = (ring(&all, |_| 1), ring(&rest, |_| 1));
            for key in keys {
                let (was, is) = (owner(&before, key), owner(&after, key));
                if was != left {
                    prop_assert_eq!(&all[was], &rest[is]);
                }
            }
        }

        #[test]
        fn the_index_finds_the_next_point(key in any::<u64>()) {
            let ring = ring(&names(7), |n| if n < 3 { 1 } else { 4 });
            let place = upper(key);
            let by_search = ring.points.partition_point(|point| point.at < place);
            prop_assert_eq!(ring.start(place), by_search);
        }
    }
}
