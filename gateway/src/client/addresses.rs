//! Addresses of those who are called, for as long as DNS says that they hold: a call for every request must not be a
//! question to DNS for every request. While DNS fails, the last good addresses serve.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::config::model::TargetHost;
use crate::upstream::names::{LookupError, Names};

/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 3;
/// Names that are remembered; they come from the configuration, never from a request.
const NAMES_MAX: usize = 1_000;
/// No name is asked for more often, whatever its answer says.
const HOLDS_LEAST: Duration = Duration::from_secs(1);
/// And none less often.
const HOLDS_MOST: Duration = Duration::from_hours(1);

/// Names that were looked up.
pub(super) struct Addresses {
    names: Arc<Names>,
    known: Mutex<BTreeMap<String, Known>>,
}

#[derive(Clone)]
struct Known {
    addresses: Vec<SocketAddr>,
    until: Instant,
}

impl Addresses {
    pub(super) fn new(names: Arc<Names>) -> Self {
        Self {
            names,
            known: Mutex::default(),
        }
    }

    /// The addresses of a host, which is called by this text.
    pub(super) async fn of(
        &self,
        host: &TargetHost,
        called: &str,
    ) -> Result<Vec<SocketAddr>, LookupError> {
        if let TargetHost::Address(address) = host {
            return Ok(vec![*address]);
        }
        let known = self.known.lock().get(called).cloned();
        if let Some(known) = known.as_ref().filter(|known| Instant::now() < known.until) {
            return Ok(known.addresses.clone());
        }
        match self.names.look_up(host).await {
            Ok(found) => {
                let addresses: Vec<_> = found.addresses().take(ADDRESSES_MAX).collect();
                self.remember(called, &addresses, found.holds);
                Ok(addresses)
            }
            Err(error) => known.map(|known| known.addresses).ok_or(error),
        }
    }

    fn remember(&self, called: &str, addresses: &[SocketAddr], holds: Duration) {
        let mut known = self.known.lock();
        if known.len() >= NAMES_MAX && !known.contains_key(called) {
            // Only after very many reloads; those still called are soon here again.
            known.clear();
        }
        let until = Instant::now() + holds.clamp(HOLDS_LEAST, HOLDS_MOST);
        let addresses = addresses.to_vec();
        known.insert(called.to_owned(), Known { addresses, until });
    }
}
