//! A target whose addresses are known, as one table of the configuration means it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    pub(super) turn: AtomicUsize,
}

impl Endpoint {
    /// A name with several addresses gives them in turn.
    pub(super) fn peer(&self) -> Option<&HttpPeer> {
        if let [only] = self.peers.as_slice() {
            return Some(only);
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.peers.get(turn.checked_rem(self.peers.len())?)
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
