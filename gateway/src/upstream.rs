//! A named pool of targets: which one the next attempt goes to.

pub mod attempt;
pub mod balance;
mod endpoint;
pub mod peer;
pub mod resolve;
pub mod schedule;
pub mod standing;
pub mod target;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;

use crate::config::model::{TargetConfig, TargetHost, UpstreamConfig};
use crate::observe::metrics::Metrics;

use self::balance::Group;
use self::endpoint::Endpoint;

pub use self::attempt::{Attempt, Outcome, Pick};
pub use self::balance::{Unavailable, Wish};
pub use self::target::Target;

/// A compiled upstream. Lives as long as a snapshot or a request holds it.
pub struct Upstream {
    /// What it was compiled from.
    pub config: UpstreamConfig,
    targets: Vec<Arc<Target>>,
    mould: peer::Mould,
    ready: ArcSwap<Ready>,
    turn: AtomicUsize,
}

/// The targets whose addresses are known.
struct Ready {
    all: Group,
}

/// A target with its state, for the admin listener.
pub struct TargetState {
    /// `host:port` as written.
    pub address: Arc<str>,
    /// Share of requests.
    pub weight: u32,
    /// What the name resolved to; empty while it does not.
    pub addresses: Vec<SocketAddr>,
    /// Whether it may be picked.
    pub good: bool,
    /// Attempts that are under way.
    pub in_flight: u32,
}

impl Upstream {
    /// Compiles an upstream. A target that the previous one had, too, is the same target: its standing and what is
    /// in flight stay known. Names keep the addresses they had until they are looked up again.
    pub fn compile(config: &UpstreamConfig, metrics: &Metrics, previous: Option<&Self>) -> Self {
        let target = |target: &TargetConfig| {
            previous
                .and_then(|previous| previous.target(&target.address))
                .unwrap_or_else(|| {
                    let metrics = metrics.target(&config.name, &target.address);
                    Arc::new(Target::new(target.address.clone(), metrics))
                })
        };
        let upstream = Self {
            config: config.clone(),
            targets: config.targets.iter().map(target).collect(),
            mould: peer::Mould::of(config),
            ready: ArcSwap::from_pointee(Ready {
                all: Group::new(Vec::new()),
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

    fn target(&self, address: &str) -> Option<Arc<Target>> {
        let found = |target: &&Arc<Target>| *target.address == *address;
        self.targets.iter().find(found).cloned()
    }

    /// The target for the next attempt.
    pub fn pick(&self, wish: &Wish<'_>) -> Result<Pick, Unavailable> {
        let ready = self.ready.load();
        let endpoint = self.choose(&ready, wish).ok_or(Unavailable::NoTarget)?;
        let peer = endpoint.peer().ok_or(Unavailable::NoTarget)?;
        Ok(Pick {
            peer: Box::new(peer.clone()),
            attempt: Attempt::begin(endpoint.target.clone()),
        })
    }

    fn choose<'a>(&self, ready: &'a Ready, wish: &Wish<'_>) -> Option<&'a Endpoint> {
        let good = |endpoint: &Endpoint| endpoint.target.standing.is_good();
        let fresh = |endpoint: &Endpoint| {
            let tried = |tried: &Arc<Target>| Arc::ptr_eq(tried, &endpoint.target);
            good(endpoint) && !wish.tried.iter().any(tried)
        };
        let choose = |acceptable: &dyn Fn(&Endpoint) -> bool| {
            ready
                .all
                .choose(self.config.balance, &self.turn, acceptable)
        };
        choose(&fresh).or_else(|| {
            let again = !wish.tried.is_empty();
            again.then(|| choose(&good)).flatten()
        })
    }

    /// Every target with its state.
    pub fn states(&self) -> Vec<TargetState> {
        let ready = self.ready.load();
        let state = |(config, target): (&TargetConfig, &Arc<Target>)| TargetState {
            address: config.address.clone(),
            weight: config.weight,
            addresses: ready.addresses_of(&config.address),
            good: target.standing.is_good(),
            in_flight: target.in_flight.count(),
        };
        let configs = self.config.targets.iter();
        configs.zip(&self.targets).map(state).collect()
    }

    /// Sets what every target's address is now.
    fn set_addresses(&self, addresses: impl Fn(&TargetConfig) -> Vec<SocketAddr>) {
        let mut endpoints = Vec::new();
        for (config, target) in self.config.targets.iter().zip(&self.targets) {
            let addresses = addresses(config);
            if addresses.is_empty() {
                continue;
            }
            let peers = addresses
                .iter()
                .map(|address| self.mould.peer(*address, &config.host))
                .collect();
            endpoints.push(Endpoint {
                target: target.clone(),
                weight: config.weight,
                addresses,
                peers,
                turn: AtomicUsize::new(0),
            });
        }
        self.ready.store(Arc::new(Ready {
            all: Group::new(endpoints),
        }));
    }
}

impl Ready {
    fn addresses_of(&self, address: &str) -> Vec<SocketAddr> {
        let endpoint = self
            .all
            .endpoints
            .iter()
            .find(|endpoint| &*endpoint.target.address == address);
        endpoint
            .map(|endpoint| endpoint.addresses.clone())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
