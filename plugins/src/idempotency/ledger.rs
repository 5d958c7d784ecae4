//! Where records are: in the store that several gateways share, or in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::memory::{Full, Memory};
use super::meters::Meters;
use super::written::OnError;
use crate::contract::services::{Clock, Services, Store};
use crate::limit::key::Key;

/// How often an answer is offered to a store that does not take it, and the pauses between.
const OFFERS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// The records of one policy.
pub(super) struct Ledger {
    memory: Arc<Memory>,
    store: Option<Arc<dyn Store>>,
    clock: Arc<dyn Clock>,
    /// What the store's keys start with.
    prefix: Box<[u8]>,
}

/// A key that a request has taken.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    key: Key,
    /// The record that says so.
    running: Bytes,
    /// Whether it is in the store.
    stored: bool,
}

/// What comes of asking for a key.
pub(super) enum Asked {
    /// Nobody had it.
    Taken(Claim),
    /// There is this record.
    There(Bytes),
    /// There is no room for another.
    Full,
    /// The store does not answer.
    Unknown,
}

impl Ledger {
    pub(super) fn new(
        policy: &str,
        memory: Arc<Memory>,
        store: Option<&str>,
        services: &Services,
    ) -> Self {
        Self {
            memory,
            // `check` and `explain` have no stores and remember here.
            store: store.and_then(|name| services.stores.get(name).cloned()),
            clock: services.clock.clone(),
            prefix: format!("gateway:idempotency:{policy}:").into_bytes().into(),
        }
    }

    /// Asks for a key, for so long.
    pub(super) async fn ask(
        &self,
        key: Key,
        running: Bytes,
        lock: Duration,
        on_error: OnError,
        meters: &Meters,
    ) -> Asked {
        let Some(store) = &self.store else {
            return self.ask_memory(key, running, lock);
        };
        // From when the store did not answer.
        if let Some(there) = self.memory.get(&key, self.clock.elapsed()) {
            return Asked::There(there);
        }
        match store.claim(&self.name(&key), &running, lock).await {
            Ok(None) => Asked::Taken(Claim {
                key,
                running,
                stored: true,
            }),
            Ok(Some(there)) => Asked::There(there),
            Err(_) => {
                meters.storeless();
                match on_error {
                    OnError::Local => self.ask_memory(key, running, lock),
                    OnError::Deny | OnError::Allow => Asked::Unknown,
                }
            }
        }
    }

    fn ask_memory(&self, key: Key, running: Bytes, lock: Duration) -> Asked {
        let now = self.clock.elapsed();
        match self.memory.claim(key, running.clone(), lock, now) {
            Ok(None) => Asked::Taken(Claim {
                key,
                running,
                stored: false,
            }),
            Ok(Some(there)) => Asked::There(there),
            Err(Full) => Asked::Full,
        }
    }

    /// Whether this key's answers are put down at once.
    pub(super) fn is_here(claim: &Claim) -> bool {
        !claim.stored
    }

    /// Puts a record in the place of a claim, or gives the key back; whether it was still the claim's. For a claim in memory.
    pub(super) fn settle_here(&self, claim: &Claim, record: Option<(Bytes, Duration)>) -> bool {
        let now = self.clock.elapsed();
        self.memory
            .exchange(&claim.key, &claim.running, record, now)
    }

    /// The same for a claim in the store. A store that is away when the answer is there is asked again; what it does not take
    /// at all is remembered here, where `on_error` says so.
    pub(super) async fn settle(
        &self,
        claim: Claim,
        record: Option<(Bytes, Duration)>,
        on_error: OnError,
    ) -> bool {
        let Some(store) = &self.store else {
            return self.settle_here(&claim, record);
        };
        let name = self.name(&claim.key);
        let new = record.as_ref().map(|(bytes, keep)| (&bytes[..], *keep));
        for offer in 1..=OFFERS {
            if let Ok(was_there) = store.exchange(&name, &claim.running, new).await {
                return was_there;
            }
            if offer < OFFERS {
                tokio::time::sleep(PAUSE).await;
            }
        }
        if let (OnError::Local, Some((bytes, keep))) = (on_error, record) {
            self.memory
                .put(claim.key, bytes, keep, self.clock.elapsed());
        }
        false
    }

    fn name(&self, key: &Key) -> Vec<u8> {
        [&self.prefix, key.identity()].concat()
    }
}
