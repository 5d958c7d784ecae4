//! One open listener: its socket's identity, the settings in force, and the gates behind which its connections stand.

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};

use plugins::ip_filter::Ranges;

use super::crowd::Crowd;
use super::facts::{Endpoint, ListenerFacts};
use super::gate::Gate;
use super::settings::Settings;

/// Settings in force, with the facts that connections show. Swapped as one at reload.
pub(crate) struct Live {
    pub(crate) settings: Settings,
    pub(crate) facts: Arc<ListenerFacts>,
    trusted: Ranges,
}

impl Live {
    pub(crate) fn new(settings: Settings, index: u32) -> Arc<Self> {
        let settings = settings.bounded();
        let facts = Arc::new(ListenerFacts {
            name: settings.name.as_str().into(),
            index,
            address: settings.address.to_string().into(),
        });
        let trusted = Ranges::new(&settings.trusted_proxies);
        Arc::new(Self {
            settings,
            facts,
            trusted,
        })
    }

    /// Whether this is a trusted proxy. The other end of a unix socket is, wherever somebody is: who may open it is a matter of
    /// file permissions.
    pub(crate) fn trusts(&self, peer: Endpoint) -> bool {
        match peer {
            Endpoint::Ip(address) => self.trusted.contains(address.ip()),
            Endpoint::Unix => !self.settings.trusted_proxies.is_empty(),
        }
    }
}

/// An open listener, shared by all workers.
#[derive(Debug)]
pub(crate) struct Listener {
    live: ArcSwap<Live>,
    gates: Mutex<Vec<Arc<Gate>>>,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) crowd: Arc<Crowd>,
}

impl Listener {
    pub(crate) fn new(live: Arc<Live>) -> Arc<Self> {
        let (live, gates) = (ArcSwap::new(live), Mutex::default());
        Arc::new(Self {
            live,
            gates,
            connections: Arc::default(),
            crowd: Arc::default(),
        })
    }

    /// What is in force now. Look again after every wait; the guard costs no shared counter.
    pub(crate) fn live(&self) -> Guard<Arc<Live>> {
        self.live.load()
    }

    pub(crate) fn change(&self, live: Arc<Live>) {
        self.live.store(live);
    }

    /// A gate for the connections of one more worker.
    pub(crate) fn add_gate(&self) -> Arc<Gate> {
        let gate = Gate::open();
        self.gates().push(Arc::clone(&gate));
        gate
    }

    /// Stops accepting and lets every connection finish; idle ones go.
    pub(crate) fn drain(&self) {
        self.gates().iter().for_each(|gate| gate.close());
    }

    /// Stops accepting and lets every connection finish; idle ones may ask once more.
    pub(crate) fn last_call(&self) {
        self.gates().iter().for_each(|gate| gate.last_call());
    }

    fn gates(&self) -> MutexGuard<'_, Vec<Arc<Gate>>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
