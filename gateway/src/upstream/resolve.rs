//! Looks names of targets up, off the request path. When a look-up fails, the last good addresses stay.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};

use super::Upstream;
use crate::config::model::{TargetConfig, TargetHost};

/// Longest wait for one look-up.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

impl Upstream {
    /// Whether some target is a name.
    pub fn has_names(&self) -> bool {
        self.config
            .targets
            .iter()
            .any(|target| matches!(target.host, TargetHost::Name { .. }))
    }

    /// Looks every name up once.
    pub async fn resolve(&self) {
        let mut found: HashMap<Arc<str>, Vec<SocketAddr>> = HashMap::new();
        for target in &self.config.targets {
            if let TargetHost::Name { name, port } = &target.host {
                let addresses = look_up(name, *port).await.unwrap_or_else(|error| {
                    let upstream = &*self.config.name;
                    tracing::warn!(%error, upstream, target = &*target.address, "Cannot look up the name of a target");
                    self.ready.load().addresses_of(&target.address)
                });
                found.insert(target.address.clone(), addresses);
            }
        }
        if self.differs(&found) {
            self.set_addresses(|target| match &target.host {
                TargetHost::Address(address) => vec![*address],
                TargetHost::Name { .. } => found.get(&target.address).cloned().unwrap_or_default(),
            });
        }
    }

    fn differs(&self, found: &HashMap<Arc<str>, Vec<SocketAddr>>) -> bool {
        let ready = self.ready.load();
        let changed = |target: &TargetConfig| {
            found
                .get(&target.address)
                .is_some_and(|addresses| *addresses != ready.addresses_of(&target.address))
        };
        self.config.targets.iter().any(changed)
    }
}

/// Sorted, so that an answer in another order is no change.
async fn look_up(name: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = timeout(LOOKUP_TIMEOUT, lookup_host((name, port)))
        .await??
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(addresses)
}

/// Looks the names up again and again until nobody holds the upstream any more.
pub async fn keep_resolving(upstream: Weak<Upstream>) {
    loop {
        let Some(every) = upstream
            .upgrade()
            .map(|upstream| upstream.config.resolve_every)
        else {
            return;
        };
        sleep(every).await;
        let Some(upstream) = upstream.upgrade() else {
            return;
        };
        upstream.resolve().await;
    }
}
