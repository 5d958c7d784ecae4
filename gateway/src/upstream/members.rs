//! Who there is: the targets that the configuration names, and those that services stand for at this moment.
//!
//! An entry of the configuration is one target, but for a service: there every record is a target of its own, balanced,
//! checked and ejected alone. An entry keeps its share of the requests however many hosts stand behind it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;

use super::Target;
use super::names::Host;
use crate::config::model::{TargetConfig, TargetHost};

/// The largest share of one record compared with its neighbours: more would only make the round longer.
const PART_MAX: u64 = 16;
/// Parts that all entries of a rank can be cut into.
const UNIT_MAX: u64 = 4096;
/// Turns of a round with services in it.
const ROUND_MAX: u64 = 1 << 16;

/// A target, and what its entry or record says of it.
pub(super) struct Member {
    pub(super) target: Arc<Target>,
    /// The index of its entry.
    pub(super) entry: usize,
    /// Its place in the order of those who serve only when others cannot: first, or behind so many.
    pub(super) rank: Rank,
    /// Its share among those of its rank.
    pub(super) weight: u32,
    pub(super) addresses: Vec<SocketAddr>,
}

/// Backups come after all others, records of one service in the order of their priorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) backup: bool,
    priority: usize,
}

/// What a weight is made of.
struct Share {
    entry: usize,
    weight: u32,
    part: u16,
}

/// The weights of an entry's hosts.
#[derive(Default)]
struct Scale {
    largest: u64,
    divisor: u64,
    has_zero: bool,
}

/// The members that these hosts make, entry by entry. Nobody is there twice: who is named for himself is not a
/// member by a service, too.
pub(super) fn of(
    entries: &[TargetConfig],
    hosts: &[Vec<Host>],
    mut target: impl FnMut(&Arc<str>) -> Arc<Target>,
) -> Vec<Member> {
    let is_service = |entry: &&TargetConfig| matches!(entry.host, TargetHost::Service { .. });
    let mut seen: HashSet<Arc<str>> = entries
        .iter()
        .filter(|entry| !is_service(entry))
        .map(|entry| entry.address.clone())
        .collect();
    let (mut members, mut shares) = (Vec::new(), Vec::new());
    for (index, (entry, hosts)) in entries.iter().zip(hosts).enumerate() {
        if hosts.is_empty() {
            // It has to be seen that there is nobody.
            let unknown = Host::itself(Vec::new());
            members.push(member(index, entry, &unknown, 0, &mut target));
            shares.push(share(index, entry, &unknown));
        }
        let priorities: BTreeSet<u16> = hosts.iter().map(|host| host.priority).collect();
        for host in hosts {
            if host
                .named
                .as_ref()
                .is_some_and(|named| !seen.insert(named.clone()))
            {
                continue;
            }
            let before = priorities.range(..host.priority).count();
            members.push(member(index, entry, host, before, &mut target));
            shares.push(share(index, entry, host));
        }
    }
    weigh(&mut members, &shares);
    members
}

fn member(
    index: usize,
    entry: &TargetConfig,
    host: &Host,
    priority: usize,
    target: &mut impl FnMut(&Arc<str>) -> Arc<Target>,
) -> Member {
    Member {
        target: target(host.named.as_ref().unwrap_or(&entry.address)),
        entry: index,
        rank: Rank {
            backup: entry.backup,
            priority,
        },
        weight: entry.weight,
        addresses: host.addresses.clone(),
    }
}

fn share(entry: usize, config: &TargetConfig, host: &Host) -> Share {
    Share {
        entry,
        weight: config.weight,
        part: host.weight,
    }
}

/// Sets the weights, rank by rank. Who has no address takes no share.
fn weigh(members: &mut [Member], shares: &[Share]) {
    let mut ranks: BTreeMap<Rank, Vec<(&mut u32, &Share)>> = BTreeMap::new();
    for (member, share) in members.iter_mut().zip(shares) {
        if !member.addresses.is_empty() {
            let rank = ranks.entry(member.rank).or_default();
            rank.push((&mut member.weight, share));
        }
    }
    for rank in ranks.into_values() {
        let (slots, shares): (Vec<_>, Vec<_>) = rank.into_iter().unzip();
        for (slot, weight) in slots.into_iter().zip(weights(&shares)) {
            *slot = weight;
        }
    }
}

impl Scale {
    fn regard(&mut self, weight: u16) {
        let weight = u64::from(weight);
        self.largest = self.largest.max(weight);
        self.divisor = gcd(self.divisor, weight);
        self.has_zero |= weight == 0;
    }

    /// A weight compared with its neighbours: exact where the numbers are small. Weight 0 is a small chance beside
    /// others, and an equal one among its like.
    fn part(&self, weight: u16) -> u64 {
        let weight = u64::from(weight);
        let exact = self.largest / self.divisor.max(1) <= PART_MAX && !self.has_zero;
        let part = if exact {
            weight / self.divisor.max(1)
        } else {
            (weight * PART_MAX).div_ceil(self.largest.max(1))
        };
        part.max(1)
    }
}

/// The weights of one rank: each entry's own, parted among its hosts. Where no entry has several they stay as written.
fn weights(shares: &[&Share]) -> Vec<u32> {
    let mut scales: BTreeMap<usize, Scale> = BTreeMap::new();
    for share in shares {
        scales.entry(share.entry).or_default().regard(share.part);
    }
    let part = |share: &Share| {
        let scale = scales.get(&share.entry);
        scale.map_or(1, |scale| scale.part(share.part))
    };
    let mut sums: BTreeMap<usize, u64> = BTreeMap::new();
    for share in shares {
        *sums.entry(share.entry).or_default() += part(share);
    }
    let sum = |share: &Share| sums.get(&share.entry).copied().unwrap_or(1).max(1);
    let unit = |share: &Share| sum(share) / gcd(sum(share), part(share));
    let common = shares.iter().fold(1, |common, share| {
        let unit = unit(share);
        (common / gcd(common, unit) * unit).min(UNIT_MAX)
    });
    let exact = |share: &&Share| u64::from(share.weight) * part(share) * common / sum(share);
    let all: Vec<u64> = shares.iter().map(exact).collect();
    let total: u64 = all.iter().sum();
    let too_long = common > 1 && total > ROUND_MAX;
    let fits = |weight: u64| {
        if too_long {
            weight * ROUND_MAX / total
        } else {
            weight
        }
    };
    let weight = |weight: u64| u32::try_from(fits(weight).max(1)).unwrap_or(u32::MAX);
    all.into_iter().map(weight).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(shares: &[(usize, u32, u16)]) -> Vec<u32> {
        let share = |(entry, weight, part): &(usize, u32, u16)| Share {
            entry: *entry,
            weight: *weight,
            part: *part,
        };
        let shares: Vec<Share> = shares.iter().map(share).collect();
        super::weights(&shares.iter().collect::<Vec<_>>())
    }

    #[test]
    fn weights_stay_as_written_where_nothing_is_parted() {
        assert_eq!(weights(&[(0, 3, 1), (1, 1000, 1)]), [3, 1000]);
        assert!(weights(&[]).is_empty());
    }

    #[test]
    fn records_part_the_share_of_their_entry() {
        assert_eq!(weights(&[(0, 1, 30), (0, 1, 10)]), [3, 1]);
        assert_eq!(weights(&[(0, 1, 0), (0, 1, 0)]), [1, 1]);
        assert_eq!(weights(&[(0, 1, 65_535), (0, 1, 0)]), [16, 1]);
        // Two thirds of the requests go to the plain target, however many hosts the service has.
        let parted = weights(&[(0, 2, 1), (1, 1, 5), (1, 1, 5), (1, 1, 5)]);
        assert_eq!(parted, [6, 1, 1, 1]);
    }

    #[test]
    fn a_round_stays_short_whatever_the_records_say() {
        let record = |n: u16| (usize::from(n % 7), 1000, n.wrapping_mul(257));
        let shares: Vec<_> = (0..256).map(record).collect();
        let weights = weights(&shares);
        assert!(weights.iter().all(|weight| *weight > 0));
        assert!(weights.iter().sum::<u32>() <= 66_000, "{weights:?}");
    }
}
