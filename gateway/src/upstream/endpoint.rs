//! A target whose addresses are known, as one table of the configuration means it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pingora::upstreams::peer::HttpPeer;

use super::Target;
use super::refusals::{Chosen, Refusals};

/// What can be picked.
pub(super) struct Endpoint {
    pub(super) target: Arc<Target>,
    pub(super) weight: u32,
    /// How a sticky cookie names it.
    pub(super) tag: Option<u64>,
    peers: Vec<Door>,
    turn: AtomicUsize,
    /// Which addresses refused a connection lately, where its name or its service has several.
    refusals: Option<Arc<Refusals>>,
}

/// One address, and the peer that goes there.
struct Door {
    address: SocketAddr,
    /// Its place among the addresses of the name.
    number: usize,
    peer: HttpPeer,
}

impl Endpoint {
    pub(super) fn new(
        target: Arc<Target>,
        weight: u32,
        tag: Option<u64>,
        peers: impl Iterator<Item = (SocketAddr, HttpPeer)>,
        refusals: Option<Arc<Refusals>>,
    ) -> Self {
        let number = |address: &SocketAddr| {
            let refusals = refusals.as_ref();
            refusals.map_or(0, |refusals| refusals.number(address))
        };
        let door = |(address, peer)| Door {
            number: number(&address),
            address,
            peer,
        };
        Self {
            target,
            weight,
            tag,
            peers: peers.map(door).collect(),
            turn: AtomicUsize::new(0),
            refusals,
        }
    }

    /// A name with several addresses gives them in turn, without those that nobody could connect to lately
    /// or that fail their checks.
    pub(super) fn peer(&self) -> Option<(&HttpPeer, Option<Chosen>)> {
        let Some(refusals) = &self.refusals else {
            return self.peers.first().map(|only| (&only.peer, None));
        };
        refusals.forgive_in_turn();
        let door = self.door(refusals)?;
        Some((&door.peer, Some(refusals.chosen(door.number))))
    }

    fn door(&self, refusals: &Refusals) -> Option<&Door> {
        let (before, from) = match self.peers.as_slice() {
            [only] => return Some(only),
            several => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                several.split_at_checked(turn.checked_rem(several.len())?)?
            }
        };
        let avoided = self.target.standing.avoided();
        let sound = |door: &&Door| {
            let of = |avoided: &Arc<Vec<_>>| avoided.contains(&door.address);
            !avoided.as_ref().is_some_and(of)
        };
        let good = |door: &&Door| !refusals.has(door.number) && sound(door);
        let turns = || from.iter().chain(before);
        let door = turns().find(good).or_else(|| turns().find(sound));
        door.or_else(|| turns().next())
    }

    /// Whether nobody could connect to any of its addresses lately, while other hosts of its service may do better.
    pub(super) fn is_refused(&self) -> bool {
        let Some(refusals) = &self.refusals else {
            return false;
        };
        self.peers.iter().all(|door| refusals.has(door.number))
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
