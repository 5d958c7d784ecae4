//! What several gateways share, `[store.NAME]`: counts, sessions, answers.
//!
//! `compile` opens nothing. A store whose table, secrets and files did not change goes over to the next snapshot with its
//! connections. Nobody waits longer than the store's timeout, and nobody waits at all for one that is known to be down.

pub mod redis;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plugins::contract::place::Span;
use plugins::contract::services::{Meter, Store, Tasks};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::config::env::ProcessEnv;
use crate::config::model::StoreConfig;
use crate::config::secret::SecretError;
use redis::{Redis, Settings};

/// The stores of one snapshot by their names.
#[derive(Default)]
pub struct Stores(BTreeMap<Arc<str>, Arc<Redis>>);

/// A store whose password cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct StoreSecret {
    /// Its name.
    pub store: Arc<str>,
    /// Its table.
    pub span: Span,
    /// Why.
    #[source]
    pub error: SecretError,
}

/// The longest that a new snapshot waits for its stores.
const FIRST_CONNECT: Duration = Duration::from_secs(1);

impl Stores {
    /// Reads secrets, takes over what did not change.
    pub fn compile(
        configs: &[StoreConfig],
        meter: &dyn Meter,
        previous: Option<&Self>,
    ) -> Result<Self, StoreSecret> {
        let mut stores = BTreeMap::new();
        for config in configs {
            let password = config.password.as_ref();
            let password = password.map(|secret| secret.resolve(&ProcessEnv));
            let settings = Settings {
                password: password.transpose().map_err(|error| StoreSecret {
                    store: config.name.clone(),
                    span: config.span.clone(),
                    error,
                })?,
                // Wherever the table stands in the file, it says the same.
                config: StoreConfig {
                    span: 0..0,
                    ..config.clone()
                },
            };
            let old = previous.and_then(|old| old.0.get(&config.name));
            let store = match old.filter(|old| *old.settings() == settings) {
                Some(old) => old.clone(),
                None => Arc::new(Redis::new(settings, meter)),
            };
            stores.insert(config.name.clone(), store);
        }
        Ok(Self(stores))
    }

    /// One of them.
    pub fn get(&self, name: &str) -> Option<&Arc<Redis>> {
        self.0.get(name)
    }

    /// What plugins are handed.
    pub fn services(&self) -> Arc<BTreeMap<String, Arc<dyn Store>>> {
        let store = |(name, store): (&Arc<str>, &Arc<Redis>)| {
            let store: Arc<dyn Store> = store.clone();
            (name.to_string(), store)
        };
        Arc::new(self.0.iter().map(store).collect())
    }

    /// Connects those that are not connected, all at once, so that the first request finds them.
    pub async fn prepare(&self) {
        let mut connecting = JoinSet::new();
        for (name, store) in self.0.iter().filter(|(_, store)| !store.is_up()) {
            let (name, store) = (name.clone(), store.clone());
            connecting.spawn(async move {
                let connected = timeout(FIRST_CONNECT, store.connect());
                if connected.await.is_err() {
                    tracing::warn!(store = %name, "The store does not answer; going on without it");
                }
            });
        }
        while connecting.join_next().await.is_some() {}
    }

    /// Watches over those that are new.
    pub fn activate(&self, tasks: &dyn Tasks) {
        for store in self.0.values() {
            store.watch(tasks);
        }
    }
}
