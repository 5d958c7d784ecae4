//! A target whose addresses are known, as one table of the configuration means it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use pingora::upstreams::peer::HttpPeer;

use super::Target;

/// What can be picked.
pub(super) struct Endpoint {
    pub(super) target: Arc<Target>,
    pub(super) weight: u32,
    /// How a sticky cookie names it.
    pub(super) tag: Option<u64>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) peers: Vec<HttpPeer>,
    turn: AtomicUsize,
    /// The bit of each peer's address in `refused`; a service may name one address in several turns.
    bits: Vec<u64>,
    /// Which of the first 64 addresses refused a connection lately, where there are several.
    refused: Arc<AtomicU64>,
}

/// One of several addresses, for who connects there.
pub(super) struct Chosen {
    refused: Arc<AtomicU64>,
    /// This one's bit; none beyond the first 64.
    bit: u64,
    /// All bits of the name.
    all: u64,
}

/// So often an address that refused a connection is given another chance: once in so many turns.
const FORGIVE_EVERY: usize = 64;

impl Endpoint {
    pub(super) fn new(
        target: Arc<Target>,
        weight: u32,
        tag: Option<u64>,
        addresses: Vec<SocketAddr>,
        peers: Vec<HttpPeer>,
    ) -> Self {
        Self {
            target,
            weight,
            tag,
            bits: bits(&addresses),
            addresses,
            peers,
            turn: AtomicUsize::new(0),
            refused: Arc::default(),
        }
    }

    /// A name with several addresses gives them in turn, without those that nobody could connect to lately
    /// or that fail their checks.
    pub(super) fn peer(&self) -> Option<(&HttpPeer, Option<Chosen>)> {
        if let [only] = self.peers.as_slice() {
            return Some((only, None));
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if turn.is_multiple_of(FORGIVE_EVERY) {
            self.refused.store(0, Ordering::Relaxed);
        }
        let refused = self.refused.load(Ordering::Relaxed);
        let count = self.peers.len();
        let at = |step: usize| turn.wrapping_add(step).checked_rem(count);
        let bit = |index: usize| self.bits.get(index).copied().unwrap_or_default();
        let avoided = self.target.standing.avoided();
        let sound = |index: &usize| {
            let address = self.addresses.get(*index);
            let of = |avoided: &Arc<Vec<_>>| address.is_some_and(|one| avoided.contains(one));
            !avoided.as_ref().is_some_and(of)
        };
        let good = |index: &usize| refused & bit(*index) == 0 && sound(index);
        let turns = || (0..count).filter_map(at);
        let index = turns().find(good).or_else(|| turns().find(sound));
        let index = index.or_else(|| at(0))?;
        let chosen = Chosen {
            refused: self.refused.clone(),
            bit: bit(index),
            all: self.bits.iter().fold(0, |all, bit| all | bit),
        };
        Some((self.peers.get(index)?, Some(chosen)))
    }

    /// Whether it has more in flight than the other, each by its weight.
    pub(super) fn is_busier(&self, other: &Self) -> bool {
        let load = |of: &Self, by: &Self| u64::from(of.in_flight()) * u64::from(by.weight);
        load(self, other) > load(other, self)
    }

    /// Whether a request is likely to wait longer here than there. Who was never measured is taken to be like the other.
    pub(super) fn is_costlier(&self, other: &Self, now: u64) -> bool {
        let (here, there) = (
            self.target.latency.read(now),
            other.target.latency.read(now),
        );
        let either = here.or(there).unwrap_or(1.0);
        let queue = |of: &Self| 1.0 + f64::from(of.in_flight()) / f64::from(of.weight);
        here.unwrap_or(either) * queue(self) > there.unwrap_or(either) * queue(other)
    }

    /// Whether it has less in flight than its share of the weight allows.
    pub(super) fn has_room(&self, share_of_weight_one: f64) -> bool {
        f64::from(self.in_flight()) < (share_of_weight_one * f64::from(self.weight)).ceil()
    }

    fn in_flight(&self) -> u32 {
        self.target.in_flight.count()
    }
}

impl Chosen {
    /// Nobody could connect there: others are tried first. Whether there are others.
    pub(super) fn refused(&self) -> bool {
        let before = self.refused.fetch_or(self.bit, Ordering::Relaxed);
        let others = (before | self.bit) != self.all;
        if !others {
            // The next request tries each anew: one may be back.
            self.refused.store(0, Ordering::Relaxed);
        }
        others
    }
}

/// A bit for each different address.
fn bits(addresses: &[SocketAddr]) -> Vec<u64> {
    let mut seen: Vec<SocketAddr> = Vec::new();
    let mut number = |address: &SocketAddr| {
        let known = seen.iter().position(|seen| seen == address);
        known.unwrap_or_else(|| {
            seen.push(*address);
            seen.len() - 1
        })
    };
    addresses
        .iter()
        .map(|address| bit(number(address)))
        .collect()
}

fn bit(index: usize) -> u64 {
    u32::try_from(index)
        .ok()
        .and_then(|index| 1u64.checked_shl(index))
        .unwrap_or(0)
}
