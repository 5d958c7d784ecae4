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
}
