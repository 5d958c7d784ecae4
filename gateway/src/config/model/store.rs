//! `[store.NAME]` as meant.

use std::sync::Arc;
use std::time::Duration;

use plugins::contract::place::Span;

use crate::config::secret::SecretRef;

/// `[store.NAME]`
#[derive(Debug, Clone, PartialEq)]
pub struct StoreConfig {
    /// Its name.
    pub name: Arc<str>,
    /// Where the table starts.
    pub span: Span,
    /// Hosts and ports; several only of a cluster.
    pub nodes: Vec<(String, u16)>,
    /// Whether the nodes are those of a cluster.
    pub cluster: bool,
    /// The number of the database.
    pub database: u16,
    /// The user.
    pub username: Option<String>,
    /// The password.
    pub password: Option<SecretRef>,
    /// Until the answer of one call.
    pub timeout: Duration,
    /// How TLS is spoken; `None`: not at all.
    pub tls: Option<StoreTls>,
}

/// TLS to a store: files as they were read, so that a new file is a new configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct StoreTls {
    /// Who is trusted; `None`: the system's authorities.
    pub ca: Option<Arc<[u8]>>,
    /// Our own certificate with its chain, and its key.
    pub identity: Option<StoreIdentity>,
}

/// Who we are to a store.
#[derive(Clone, PartialEq)]
pub struct StoreIdentity {
    /// Certificate with its chain.
    pub cert: Arc<[u8]>,
    /// Its key.
    pub key: Arc<[u8]>,
}

impl std::fmt::Debug for StoreIdentity {
    /// A key is never printed.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreIdentity").finish_non_exhaustive()
    }
}
