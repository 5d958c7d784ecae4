//! The admin listener: probes, metrics, what serves now, and reload. It has its own thread and its own sockets, so that
//! it answers while the workers are busy.

mod access;
pub mod describe;
mod pages;
mod sources;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use bytes::Bytes;
use http::Response;
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use tokio::runtime::Handle;

use crate::config::env::ProcessEnv;
use crate::config::model::{Address, AdminConfig};
use crate::config::secret::SecretError;
use crate::listen::tls::Tls;
use crate::listen::{
    BindError, ConnFacts, HeadRefusal, Inherited, Lent, Listeners, Prepared, Reception, Settings,
    Workers,
};
use crate::observe::collect::Exposition;
use crate::proxy::{Shared, reception_answer};
use crate::run::settings;
use crate::runtime::reload::Reloader;
use access::Tokens;

/// Open connections of operators, all admin listeners together.
const CONNECTIONS_MAX: usize = 1024;

/// Why the admin listener cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// Its address cannot be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A token cannot be read.
    #[error("cannot read a token of [admin]: {0}")]
    Token(#[from] SecretError),
}

/// What the pages are made of.
pub struct Control {
    shared: Arc<Shared>,
    reloader: OnceLock<Arc<Reloader>>,
    exposition: Exposition,
    tokens: ArcSwap<Tokens>,
    started: SystemTime,
    stopping: AtomicBool,
    handed_over: AtomicBool,
    was_ready: AtomicBool,
    /// Reloads run here: on the main thread, not on the one that answers operators.
    runtime: Handle,
}

impl Control {
    /// Of the running daemon. Called on the main thread's runtime.
    pub fn new(
        shared: Arc<Shared>,
        listeners: &Arc<Listeners>,
    ) -> Result<Arc<Self>, prometheus::Error> {
        let sources = sources::sources(&shared, listeners);
        let exposition = Exposition::new(shared.metrics.clone(), sources)?;
        Ok(Arc::new(Self {
            shared,
            reloader: OnceLock::new(),
            exposition,
            tokens: ArcSwap::from_pointee(Tokens::default()),
            started: SystemTime::now(),
            stopping: AtomicBool::new(false),
            handed_over: AtomicBool::new(false),
            was_ready: AtomicBool::new(false),
            runtime: Handle::current(),
        }))
    }

    /// The first configuration is in service.
    pub fn ready(&self, reloader: Arc<Reloader>) {
        if self.reloader.set(reloader).is_err() {
            tracing::error!("The daemon became ready twice");
        }
    }

    /// The end has begun: `/readyz` says so.
    pub fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// A successor serves: nothing is reloaded here any more. Whoever still asks gets to hear that the service is ready, since
    /// it is.
    pub fn handed_over(&self) {
        self.handed_over.store(true, Ordering::Release);
    }

    /// Whether the service serves, by us or by a successor.
    fn is_ready(&self) -> bool {
        self.reloader.get().is_some() && !self.stopping.load(Ordering::Acquire)
    }

    /// Whether requests should come although somebody is still waited for. Whoever was ready once stays so: a service that
    /// a reload brings in and that is away must not take everything else out of service, too.
    fn takes_requests(&self, nobody_is_waited_for: bool) -> bool {
        if self.is_ready() && nobody_is_waited_for {
            self.was_ready.store(true, Ordering::Release);
        }
        self.is_ready() && self.was_ready.load(Ordering::Acquire)
    }

    fn reloader(&self) -> Option<&Arc<Reloader>> {
        let ours = self.is_ready() && !self.handed_over.load(Ordering::Acquire);
        self.reloader.get().filter(|_| ours)
    }
}

/// The sockets of the admin listener.
pub struct AdminListeners {
    control: Arc<Control>,
    listeners: Listeners,
    /// Its thread ends with it.
    _workers: Workers,
}

/// Sockets and tokens of a new configuration, ready to be used.
pub struct Ready {
    sockets: Prepared,
    tokens: Tokens,
}

impl AdminListeners {
    /// Starts its thread; nothing is open yet. What was inherited is not bound.
    pub fn start(control: &Arc<Control>, inherited: Arc<Inherited>) -> std::io::Result<Self> {
        let front = Arc::new(AdminFront {
            app: Arc::new(AdminApp(control.clone())),
        });
        let workers = Workers::start("admin", 1, move |_| front.clone())?;
        let listeners = Listeners::new(&workers, CONNECTIONS_MAX).inheriting(inherited);
        Ok(Self {
            control: control.clone(),
            listeners,
            _workers: workers,
        })
    }

    /// Binds what is new and reads the tokens; changes nothing that runs.
    pub fn prepare(
        &self,
        config: Option<&AdminConfig>,
        tls: Option<&Arc<Tls>>,
    ) -> Result<Ready, AdminError> {
        let Some(config) = config else {
            return Ok(Ready {
                sockets: self.listeners.prepare(Vec::new())?,
                tokens: Tokens::default(),
            });
        };
        let encrypted = |name: &str, at: &Address| Settings {
            tls: tls.cloned(),
            ..settings::admin(name, at)
        };
        let mut wanted = vec![encrypted("admin", &config.address)];
        wanted.extend(
            config
                .probes
                .as_ref()
                .map(|at| settings::admin("probes", at)),
        );
        wanted.extend(config.metrics.as_ref().map(|at| encrypted("metrics", at)));
        let resolve = |token: &crate::config::secret::SecretRef| token.resolve(&ProcessEnv);
        let tokens = Tokens {
            read: config.read_token.as_ref().map(resolve).transpose()?,
            write: config.write_token.as_ref().map(resolve).transpose()?,
        };
        Ok(Ready {
            sockets: self.listeners.prepare(wanted)?,
            tokens,
        })
    }

    /// The TLS that serves now.
    pub fn tls(&self) -> Option<Arc<Tls>> {
        self.listeners.tls("admin")
    }

    /// One more descriptor of each of its sockets, for a successor.
    pub fn lend(&self) -> std::io::Result<Vec<Lent>> {
        self.listeners.lend()
    }

    /// A successor has its sockets: accepts no more.
    pub fn last_call(&self) {
        self.listeners.last_call();
    }

    /// Closes its sockets.
    pub fn close(&self) {
        self.listeners.drain_all();
    }

    /// Uses what was prepared.
    pub fn commit(&self, ready: Ready) {
        self.control.tokens.store(Arc::new(ready.tokens));
        self.listeners.commit(ready.sockets);
    }
}

struct AdminFront {
    app: Arc<AdminApp>,
}

impl Reception for AdminFront {
    type App = AdminApp;

    fn app(&self) -> &Arc<AdminApp> {
        &self.app
    }

    fn refuse(&self, _conn: &ConnFacts, refusal: HeadRefusal, _head: &[u8]) -> Bytes {
        reception_answer(refusal)
    }
}

struct AdminApp(Arc<Control>);

#[async_trait]
impl ServeHttp for AdminApp {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        pages::answer(&self.0, session).await
    }
}
