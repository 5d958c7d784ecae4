//! What is open, and how a reload changes it: everything new is bound before anything running is touched.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::census::Census;
use super::inherited::{Inherited, Lent};
use super::live::{Listener, Live};
use super::settings::{Address, Settings};
use super::socket::Bound;
use super::tls::Tls;
use super::workers::{Opening, Workers};

/// A listener's address cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("listener `{listener}` cannot listen on {address}")]
pub struct BindError {
    /// The listener's name.
    pub listener: String,
    /// The address that it wants.
    pub address: Address,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// The open listeners of a process.
#[derive(Debug)]
pub struct Listeners {
    desks: Vec<UnboundedSender<Opening>>,
    census: Arc<Census>,
    inherited: Arc<Inherited>,
    open: Mutex<Vec<Open>>,
}

#[derive(Debug)]
struct Open {
    address: Address,
    local: Option<SocketAddr>,
    listener: Arc<Listener>,
    /// To be lent to a successor; `None` once it has it, and with it the file of a unix socket.
    bound: Option<Bound>,
}

/// A set of listeners that can be had. Dropped without a commit, it gives its sockets back.
#[derive(Debug)]
pub struct Prepared {
    wanted: Vec<(Settings, Option<Sockets>)>,
}

/// One bound socket, cloned for every worker.
#[derive(Debug)]
struct Sockets {
    bound: Bound,
    clones: Vec<Bound>,
}

impl Listeners {
    /// No listener yet; at most so many connections over all of them.
    pub fn new(workers: &Workers, connections_max: usize) -> Self {
        let census = Census::new(connections_max);
        Self {
            desks: workers.desks(),
            census,
            inherited: Arc::default(),
            open: Mutex::default(),
        }
    }

    /// Takes sockets from here before it binds any.
    pub fn inheriting(self, inherited: Arc<Inherited>) -> Self {
        Self { inherited, ..self }
    }

    /// Changes how many connections the server may have; those that are open stay.
    pub fn set_connections_max(&self, max: usize) {
        self.census.set_max(max);
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.census.count()
    }

    /// Tells how many connections are open, for whoever cannot hold the listeners.
    pub fn counter(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let census = Arc::clone(&self.census);
        move || census.count()
    }

    /// Each listener's name and how many of its connections are open.
    pub fn connections_by_listener(&self) -> Vec<(String, usize)> {
        let count = |open: &Open| {
            let name = open.listener.live().settings.name.clone();
            (name, open.listener.connections.load(Ordering::Relaxed))
        };
        self.open().iter().map(count).collect()
    }

    /// The TLS of an open listener.
    pub fn tls(&self, name: &str) -> Option<Arc<Tls>> {
        let open = self.open();
        let live = open.iter().map(|one| one.listener.live());
        let mut named = live.filter(|live| live.settings.name == name);
        named.next()?.settings.tls.clone()
    }

    /// Listener, certificate and end (seconds since 1970) of every certificate in service.
    pub fn certificate_expiries(&self) -> Vec<(String, String, i64)> {
        let mut found = Vec::new();
        for one in self.open().iter() {
            let live = one.listener.live();
            let ends = live.settings.tls.iter().flat_map(|tls| tls.expiries());
            found
                .extend(ends.map(|(name, end)| (live.settings.name.clone(), name.to_owned(), end)));
        }
        found
    }

    /// Each listener's name and, for TCP, the address in force.
    pub fn addresses(&self) -> Vec<(String, Option<SocketAddr>)> {
        let name = |open: &Open| open.listener.live().settings.name.clone();
        self.open()
            .iter()
            .map(|open| (name(open), open.local))
            .collect()
    }

    /// Binds what is not open yet; touches nothing that runs.
    pub fn prepare(&self, wanted: Vec<Settings>) -> Result<Prepared, BindError> {
        let open = self.open();
        let is_open = |address: &Address| open.iter().any(|one| one.address == *address);
        let prepare = |settings: Settings| {
            if is_open(&settings.address) {
                return Ok((settings, None));
            }
            match self.bind(&settings.address) {
                Ok(sockets) => Ok((settings, Some(sockets))),
                Err(source) => Err(refused(settings, source)),
            }
        };
        wanted
            .into_iter()
            .map(prepare)
            .collect::<Result<_, _>>()
            .map(|wanted| Prepared { wanted })
    }

    fn bind(&self, address: &Address) -> io::Result<Sockets> {
        let bound = match self.inherited.take(address) {
            Some(bound) => bound,
            None => Bound::bind(address)?,
        };
        let clones = self.desks.iter().map(|_| bound.try_clone());
        let clones = clones.collect::<io::Result<_>>()?;
        Ok(Sockets { bound, clones })
    }

    /// Makes it so: opens the new, changes the kept in place, drains the vanished.
    pub fn commit(&self, prepared: Prepared) {
        let mut open = self.open();
        let mut before = std::mem::take(&mut *open);
        for (index, (settings, sockets)) in prepared.wanted.into_iter().enumerate() {
            let address = settings.address.clone();
            let live = Live::new(settings, u32::try_from(index).unwrap_or(u32::MAX));
            let kept = before.iter().position(|one| one.address == address);
            match (sockets, kept) {
                (Some(sockets), _) => open.push(self.start(address, live, sockets)),
                (None, Some(place)) => {
                    let one = before.swap_remove(place);
                    one.listener.change(live);
                    open.push(one);
                }
                // Two commits raced, or one address was wanted twice; the configuration refuses the latter.
                (None, None) => tracing::error!(%address, "A listener vanished while it was kept"),
            }
        }
        before.iter().for_each(Open::drain);
    }

    fn start(&self, address: Address, live: Arc<Live>, sockets: Sockets) -> Open {
        let listener = Listener::new(live);
        for (desk, bound) in self.desks.iter().zip(sockets.clones) {
            let (gate, census) = (listener.add_gate(), Arc::clone(&self.census));
            let opening = Opening {
                bound,
                listener: Arc::clone(&listener),
                gate,
                census,
            };
            if desk.send(opening).is_err() {
                tracing::error!(%address, "A worker is gone and does not serve a listener");
            }
        }
        Open {
            address,
            local: sockets.bound.local(),
            listener,
            bound: Some(sockets.bound),
        }
    }

    /// One more descriptor of every open socket, for a successor.
    pub fn lend(&self) -> io::Result<Vec<Lent>> {
        let lend = |open: &Open| {
            let (address, bound) = (open.address.clone(), open.bound.as_ref()?);
            let lent = bound.descriptor().map(|descriptor| Lent {
                address,
                descriptor,
            });
            Some(lent)
        };
        self.open().iter().filter_map(lend).collect()
    }

    /// A successor accepts on these sockets: stops accepting, and lets every connection ask once more before `drain_all`.
    pub fn last_call(&self) {
        for one in self.open().iter_mut() {
            one.bound = None;
            one.listener.last_call();
        }
    }

    /// Stops accepting everywhere; idle connections close at once, busy ones after their answer.
    pub fn drain_all(&self) {
        for one in self.open().drain(..) {
            one.drain();
        }
    }

    /// Ends when no connection is open, at the latest after `grace`; how many were left.
    pub async fn wait_idle(&self, grace: Duration) -> usize {
        // Elapsed or empty: the count tells.
        drop(tokio::time::timeout(grace, self.census.empty()).await);
        self.census.count()
    }

    fn open(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn drain(&self) {
        self.listener.drain();
        if let Address::Unix(path) = &self.address
            && self.bound.is_some()
            && let Err(error) = fs::remove_file(path)
        {
            tracing::debug!(%error, path = %path.display(), "A socket file was gone already");
        }
    }
}

fn refused(settings: Settings, source: io::Error) -> BindError {
    BindError {
        listener: settings.name,
        address: settings.address,
        source,
    }
}
