//! Which certificate a client gets: the one for the very name, else for the wildcard above it, else the first.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::identity::Identity;
use super::names::Names;

/// A certificate in service.
#[derive(Debug)]
pub(super) struct Served {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) names: Arc<Names>,
    pub(super) not_after: i64,
}

/// All certificates of a listener by name.
#[derive(Debug)]
pub(super) struct Table {
    served: Vec<Served>,
    exact: HashMap<Box<str>, usize>,
    wildcard: HashMap<Box<str>, usize>,
}

impl Table {
    /// Of two certificates for one name the first counts; the configuration refuses such a pair.
    pub(super) fn new(identities: Vec<Identity>) -> Self {
        let mut table = Self {
            served: Vec::new(),
            exact: HashMap::new(),
            wildcard: HashMap::new(),
        };
        for (place, identity) in identities.into_iter().enumerate() {
            let served = identity.into_served();
            for name in served.names.exact() {
                table.exact.entry(name.into()).or_insert(place);
            }
            for parent in served.names.wildcard() {
                table.wildcard.entry(parent.into()).or_insert(place);
            }
            table.served.push(served);
        }
        table
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Served> {
        self.served.iter()
    }

    /// `name` in lower case, as rustls gives it.
    pub(super) fn pick(&self, name: Option<&str>) -> Option<&Served> {
        let place = name.and_then(|name| {
            let above = || self.wildcard.get(name.split_once('.')?.1);
            self.exact.get(name).or_else(above)
        });
        self.served.get(place.copied().unwrap_or(0))
    }
}

impl ResolvesServerCert for Table {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase);
        let served = self.pick(name.as_deref())?;
        Some(served.key.clone())
    }
}
