//! The compiled configuration: an immutable snapshot behind one atomic pointer. A request keeps the one it started with.

pub mod action;
pub mod background;
pub mod compile;
pub mod notices;
pub mod outside;
mod pages;
pub mod reload;
pub mod route;
pub mod tls;
pub mod watch;

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderName, HeaderValue};
use plugins::chain::SharedParts;
use plugins::contract::services::Services;
use plugins::ip_filter::Ranges;

use crate::cache::zone::Zone;
use crate::config::Loaded;
use crate::listen::ListenerFacts;
use crate::overload::Rules;
use crate::routing::Router;
use crate::routing::path::PathPolicy;
use crate::store::Stores;
use crate::upstream::Upstream;
use notices::Followers;
use route::Route;

/// Everything that requests need, compiled. Never changes.
pub struct Snapshot {
    /// What it was compiled from.
    pub loaded: Arc<Loaded>,
    /// In the order of the configuration.
    pub listeners: Vec<Listener>,
    /// In the order of the configuration; the router's ids are indices.
    pub routes: Vec<Route>,
    /// In the order of the configuration.
    pub upstreams: Vec<Arc<Upstream>>,
    /// What it shares with other gateways.
    pub stores: Stores,
    /// What policies share across routes.
    pub shared: SharedParts,
    /// What policies get from outside.
    pub services: Services,
    /// Headers by which upstreams are told who asks: no client may send them, on no route.
    pub identity_headers: Box<[HeaderName]>,
    /// Who is turned away when there is too much to do.
    pub overload: Option<Arc<Rules>>,
    /// Where its routes keep answers.
    pub zones: Vec<&'static Zone>,
    /// Those of them that tell other gateways what is forgotten.
    pub followers: Followers,
}

/// What requests of one listener need.
pub struct Listener {
    /// Its name.
    pub name: Arc<str>,
    /// Its address as configured.
    pub address: Arc<str>,
    /// Its routes.
    pub router: Router,
    /// What paths may hold.
    pub path_policy: PathPolicy,
    /// Whose forwarding headers are believed.
    pub trusted_proxies: Ranges,
    /// Whether anybody's are.
    pub trusts: bool,
    /// Whether it speaks TLS.
    pub secure: bool,
    /// The port of `https` to which every request is sent that did not come by it.
    pub redirect_https: Option<u16>,
    /// `Strict-Transport-Security`, where it is said.
    pub hsts: Option<HeaderValue>,
    /// Whether clients must have shown a certificate.
    pub requires_client: bool,
}

/// The pointer to the snapshot that new requests get.
pub struct Live(ArcSwap<Snapshot>);

impl Live {
    /// Starts with a snapshot.
    pub fn new(snapshot: Arc<Snapshot>) -> Self {
        Self(ArcSwap::new(snapshot))
    }

    /// The snapshot that serves now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    fn swap(&self, snapshot: Arc<Snapshot>) -> Arc<Snapshot> {
        self.0.swap(snapshot)
    }
}

impl Snapshot {
    /// The listener that a connection came by, wherever it stands now. It is known by its address, since a socket outlives a
    /// renaming; by its name when it moved. Nearly always it stands where it stood.
    pub fn listener(&self, facts: &ListenerFacts) -> Option<usize> {
        let index = usize::try_from(facts.index).unwrap_or(usize::MAX);
        if let Some(listener) = self.listeners.get(index)
            && *listener.address == *facts.address
        {
            return Some(index);
        }
        let by = |fits: fn(&Listener, &ListenerFacts) -> bool| {
            let mut listeners = self.listeners.iter();
            listeners.position(|listener| fits(listener, facts))
        };
        by(|listener, facts| *listener.address == *facts.address)
            .or_else(|| by(|listener, facts| *listener.name == *facts.name))
    }
}
