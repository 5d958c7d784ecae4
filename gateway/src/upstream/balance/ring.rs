//! A ring for consistent hashing: every target owns points on it by its weight, a key belongs to the next point.
//!
//! A point depends on nothing but its target's address and its number. So when targets come and go, only the keys of
//! those targets move; and every instance of the gateway has the same ring. The ring is written down in slots: the owner
//! of a slot is the owner of the first point from its beginning on, so a key is found by one look.

use super::hash::{mix, stable};

/// Points of a target of the least weight, where all fit.
const POINTS: f64 = 256.0;
/// Points of a ring. Its slots then take a quarter of a mebibyte, which stays near the processor.
const POINTS_MAX: f64 = 32_768.0;
/// Every ring has as many slots as so many bits count: one that grows by a target must not move the others' keys.
const SLOT_BITS: u32 = 16;

/// The owners of the slots.
pub(super) struct Ring(Box<[u32]>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    at: u64,
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
                at: mix(seed ^ mix(number)),
                owner,
            }));
        }
        points.sort_unstable();
        Self::slotted(&points)
    }

    fn slotted(points: &[Point]) -> Self {
        let Some(first) = points.first() else {
            return Self(Box::default());
        };
        let mut slots = Vec::with_capacity(1 << SLOT_BITS);
        let mut next = points.iter().peekable();
        for slot in 0u64..1 << SLOT_BITS {
            let begin = slot << (u64::BITS - SLOT_BITS);
            while next.next_if(|point| point.at < begin).is_some() {}
            slots.push(next.peek().unwrap_or(&first).owner);
        }
        Self(slots.into())
    }

    /// Owners from a key's place on, once round; nobody twice in a row.
    pub(super) fn owners(&self, key: u64) -> impl Iterator<Item = usize> {
        let start = usize::try_from(key >> (u64::BITS - SLOT_BITS)).unwrap_or_default();
        let (before, from) = self.0.split_at_checked(start).unwrap_or_default();
        let mut last = None;
        from.iter()
            .chain(before)
            .filter(move |owner| last.replace(**owner) != Some(**owner))
            .map(|owner| usize::try_from(*owner).unwrap_or(usize::MAX))
    }
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
    }
}
