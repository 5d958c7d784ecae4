//! A named pool of targets: which one the next attempt goes to.

pub mod peer;
pub mod resolve;
pub mod schedule;
pub mod standing;
pub mod target;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use pingora::upstreams::peer::HttpPeer;

use crate::config::model::{Balance, TargetConfig, TargetHost, UpstreamConfig};
use crate::observe::metrics::Metrics;

pub use self::target::Target;

/// A compiled upstream. Lives as long as a snapshot or a request holds it.
pub struct Upstream {
    /// What it was compiled from.
    pub config: UpstreamConfig,
    targets: Vec<Arc<Target>>,
    ready: ArcSwap<Ready>,
    turn: AtomicUsize,
}

/// The targets whose addresses are known, and the order in which they are taken.
struct Ready {
    endpoints: Vec<Endpoint>,
    /// Indices of `endpoints`, each as often as its weight says.
    schedule: Box<[u32]>,
}

struct Endpoint {
    target: Arc<Target>,
    addresses: Vec<SocketAddr>,
    peers: Vec<HttpPeer>,
    turn: AtomicUsize,
}

/// Where an attempt goes.
pub struct Pick {
    /// The target.
    pub target: Arc<Target>,
    /// For Pingora.
    pub peer: Box<HttpPeer>,
}

/// A target with its state, for the admin listener.
pub struct TargetState {
    /// `host:port` as written.
    pub address: Arc<str>,
    /// Share of requests.
    pub weight: u32,
    /// What the name resolved to; empty while it does not.
    pub addresses: Vec<SocketAddr>,
}

impl Upstream {
    /// Compiles an upstream. Names keep the addresses they had in the previous one until they are looked up again.
    pub fn compile(config: &UpstreamConfig, metrics: &Metrics, previous: Option<&Self>) -> Self {
        let target = |target: &TargetConfig| {
            let metrics = metrics.target(&config.name, &target.address);
            Arc::new(Target::new(target.address.clone(), metrics))
        };
        let upstream = Self {
            config: config.clone(),
            targets: config.targets.iter().map(target).collect(),
            ready: ArcSwap::from_pointee(Ready {
                endpoints: Vec::new(),
                schedule: Box::default(),
            }),
            turn: AtomicUsize::new(
                previous.map_or(0, |previous| previous.turn.load(Ordering::Relaxed)),
            ),
        };
        let known = previous.map(|previous| previous.ready.load_full());
        upstream.set_addresses(|target| match &target.host {
            TargetHost::Address(address) => vec![*address],
            TargetHost::Name { .. } => known
                .as_ref()
                .map(|known| known.addresses_of(&target.address))
                .unwrap_or_default(),
        });
        upstream
    }

    /// The target for the next attempt; `None` when no address is known.
    pub fn pick(&self) -> Option<Pick> {
        let ready = self.ready.load();
        let turn = match self.config.balance {
            Balance::RoundRobin => self.turn.fetch_add(1, Ordering::Relaxed),
            Balance::Random => rand::random(),
        };
        let index = ready
            .schedule
            .get(turn.checked_rem(ready.schedule.len())?)?;
        let endpoint = ready.endpoints.get(usize::try_from(*index).ok()?)?;
        Some(Pick {
            target: endpoint.target.clone(),
            peer: Box::new(endpoint.peer()?.clone()),
        })
    }

    /// Every target with its state.
    pub fn states(&self) -> Vec<TargetState> {
        let ready = self.ready.load();
        let state = |target: &TargetConfig| TargetState {
            address: target.address.clone(),
            weight: target.weight,
            addresses: ready.addresses_of(&target.address),
        };
        self.config.targets.iter().map(state).collect()
    }

    /// Sets what every target's address is now.
    fn set_addresses(&self, addresses: impl Fn(&TargetConfig) -> Vec<SocketAddr>) {
        let mut endpoints = Vec::new();
        let mut weights = Vec::new();
        for (config, target) in self.config.targets.iter().zip(&self.targets) {
            let addresses = addresses(config);
            if addresses.is_empty() {
                continue;
            }
            let peers = addresses
                .iter()
                .map(|address| peer::peer(*address, &self.config))
                .collect();
            endpoints.push(Endpoint {
                target: target.clone(),
                addresses,
                peers,
                turn: AtomicUsize::new(0),
            });
            weights.push(config.weight);
        }
        self.ready.store(Arc::new(Ready {
            endpoints,
            schedule: schedule::smooth(&weights),
        }));
    }
}

impl Ready {
    fn addresses_of(&self, address: &str) -> Vec<SocketAddr> {
        let endpoint = self
            .endpoints
            .iter()
            .find(|endpoint| &*endpoint.target.address == address);
        endpoint
            .map(|endpoint| endpoint.addresses.clone())
            .unwrap_or_default()
    }
}

impl Endpoint {
    /// A name with several addresses gives them in turn.
    fn peer(&self) -> Option<&HttpPeer> {
        if let [only] = self.peers.as_slice() {
            return Some(only);
        }
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.peers.get(turn.checked_rem(self.peers.len())?)
    }
}

#[cfg(test)]
mod tests;
