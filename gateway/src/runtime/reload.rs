//! `text → parse → validate → compile → bind → swap → activate`: all or nothing. A failed reload changes nothing.

mod error;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use plugins::contract::report::Report;

use super::compile::compile;
use super::{Snapshot, background, tls};
use crate::admin::AdminListeners;
use crate::cache::{disk, zone};
use crate::config::model::{AccessLogConfig, AccessLogPath, CacheZoneConfig, Config};
use crate::config::{self, Failure, Loaded};
use crate::listen::tls::Tls;
use crate::listen::{Listeners, Prepared, Settings};
use crate::observe::access_log::Destination;
use crate::proxy::Shared;
use crate::run::settings;
use crate::upstream::health::Health;

pub use error::ReloadError;

/// What made us reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// SIGHUP.
    Signal,
    /// A file changed.
    File,
    /// Somebody asked on the admin listener.
    Admin,
}

/// A configuration that serves now.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Its fingerprint.
    pub hash: String,
    /// When it went live.
    pub at: SystemTime,
}

/// Applies configurations, one at a time.
pub struct Reloader {
    source: Source,
    shared: Arc<Shared>,
    listeners: Arc<Listeners>,
    admin: Arc<AdminListeners>,
    state: Mutex<State>,
    one_at_a_time: tokio::sync::Mutex<()>,
    health: Health,
}

/// Where the configuration comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A text inside the binary: the demo.
    Text(&'static str),
}

struct State {
    applied: Applied,
    /// Fingerprint of what was refused last, so that a watcher does not complain twice of the same text.
    refused: Option<String>,
}

/// Settings of the listeners, and the TLS of the admin's.
type Wanted = (Vec<Settings>, Option<Arc<Tls>>);

impl Source {
    /// Parses and validates.
    pub fn load(&self) -> Result<Loaded, Box<Failure>> {
        match self {
            Self::File(path) => config::load(path),
            Self::Text(text) => config::load_text("demo.toml", text, &config::env::ProcessEnv),
        }
    }
}

/// Everything of a new configuration that can fail, done before anything running is touched.
struct Ready {
    snapshot: Arc<Snapshot>,
    sockets: Prepared,
    admin: crate::admin::Ready,
    access_log: Option<Destination>,
}

impl Reloader {
    /// Brings the first configuration into service. `shared` already serves its snapshot.
    pub async fn start(
        source: Source,
        shared: Arc<Shared>,
        listeners: Arc<Listeners>,
        admin: Arc<AdminListeners>,
    ) -> Result<Arc<Self>, ReloadError> {
        let snapshot = shared.live.snapshot();
        let applied = Applied {
            hash: snapshot.loaded.sources.hash(),
            at: SystemTime::now(),
        };
        let reloader = Arc::new(Self {
            source,
            shared,
            listeners,
            admin,
            state: Mutex::new(State {
                applied,
                refused: None,
            }),
            one_at_a_time: tokio::sync::Mutex::default(),
            health: Health::start(),
        });
        let ready = reloader.ready(snapshot, None)?;
        background::prepare(&ready.snapshot, &reloader.shared.names).await;
        reloader.apply(ready, None);
        Ok(reloader)
    }

    /// Waits for the reload that is under way; no other begins before the guard is dropped.
    pub async fn hold(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.one_at_a_time.lock().await
    }

    /// The configuration that serves now.
    pub fn applied(&self) -> Applied {
        self.state().applied.clone()
    }

    /// Loads and applies. `Ok(None)`: a watcher found the text that serves or was refused already.
    pub async fn reload(&self, trigger: Trigger) -> Result<Option<Applied>, ReloadError> {
        let _alone = self.one_at_a_time.lock().await;
        let began = Instant::now();
        let loaded = match self.source.load() {
            Ok(loaded) => loaded,
            Err(failure) => {
                let hash = failure.sources.hash();
                return self.refuse(trigger, &hash, ReloadError::Config(failure));
            }
        };
        let hash = loaded.sources.hash();
        if trigger == Trigger::File && self.is_known(&hash) {
            return Ok(None);
        }
        match self.try_apply(loaded).await {
            Ok(()) => Ok(Some(self.applied_now(trigger, hash, began))),
            Err(error) => self.refuse(trigger, &hash, error),
        }
    }

    async fn try_apply(&self, loaded: Loaded) -> Result<(), ReloadError> {
        let previous = self.shared.live.snapshot();
        let loaded = Arc::new(loaded);
        let kept = loaded.clone();
        let snapshot = compile(loaded, &self.shared.outside, Some(&previous)).map_err(|error| {
            ReloadError::Compile {
                error,
                loaded: kept,
            }
        })?;
        let ready = self.ready(Arc::new(snapshot), Some(&previous))?;
        background::prepare(&ready.snapshot, &self.shared.names).await;
        self.apply(ready, Some(&previous));
        warn_of_restart(
            &previous.loaded.config,
            &self.shared.live.snapshot().loaded.config,
        );
        Ok(())
    }

    fn ready(
        &self,
        snapshot: Arc<Snapshot>,
        previous: Option<&Snapshot>,
    ) -> Result<Ready, ReloadError> {
        prepare_zones(&snapshot)?;
        let config = &snapshot.loaded.config;
        let (wanted, of_admin) = self.wanted(&snapshot.loaded)?;
        let sockets = self.listeners.prepare(wanted)?;
        let admin = self
            .admin
            .prepare(config.admin.as_ref(), of_admin.as_ref())?;
        let access_log = destination(&config.access_log, previous.map(|old| &old.loaded.config))?;
        Ok(Ready {
            snapshot,
            sockets,
            admin,
            access_log,
        })
    }

    /// The settings of every listener and the TLS of the admin's, all certificates read.
    fn wanted(&self, loaded: &Arc<Loaded>) -> Result<Wanted, ReloadError> {
        let (mut wanted, mut report) = (Vec::new(), Report::default());
        for listener in &loaded.config.listeners {
            let before = self.listeners.tls(&listener.name);
            let tls = listener.tls.as_ref();
            match tls::compile(&listener.name, tls, listener.http2, before.as_deref()) {
                Ok(tls) => wanted.push(Settings {
                    tls,
                    ..settings::of(listener)
                }),
                Err(complaints) => report.extend(complaints),
            }
        }
        let admin = loaded.config.admin.as_ref();
        let admin = admin.and_then(|admin| admin.tls.as_ref());
        match tls::compile("admin", admin, false, self.admin.tls().as_deref()) {
            Ok(admin) if !report.has_errors() => return Ok((wanted, admin)),
            Ok(_) => {}
            Err(complaints) => report.extend(complaints),
        }
        let loaded = loaded.clone();
        Err(ReloadError::Tls { report, loaded })
    }

    /// The point of no return: nothing here can fail.
    fn apply(&self, ready: Ready, previous: Option<&Snapshot>) {
        let config = &ready.snapshot.loaded.config;
        self.listeners
            .set_connections_max(config.server.connections_max);
        if let Some(destination) = ready.access_log {
            self.shared.access_log.redirect(destination);
        }
        background::activate(&ready.snapshot, previous, &self.shared.names);
        keep_zones(&ready.snapshot);
        self.health.follow(&ready.snapshot.upstreams);
        self.shared.overload.follow(ready.snapshot.overload.clone());
        self.shared.live.swap(ready.snapshot);
        self.listeners.commit(ready.sockets);
        self.admin.commit(ready.admin);
        self.shared.metrics.forget_unused();
    }

    fn applied_now(&self, trigger: Trigger, hash: String, began: Instant) -> Applied {
        let applied = Applied {
            hash,
            at: SystemTime::now(),
        };
        let mut state = self.state();
        state.refused = None;
        state.applied = applied.clone();
        self.shared.metrics.reloads_applied.add_one();
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(?trigger, hash = applied.hash, millis, "Reloaded");
        applied
    }

    fn refuse(
        &self,
        trigger: Trigger,
        hash: &str,
        error: ReloadError,
    ) -> Result<Option<Applied>, ReloadError> {
        if trigger == Trigger::File && self.is_known(hash) {
            return Ok(None);
        }
        self.state().refused = Some(hash.to_owned());
        self.shared.metrics.reloads_refused.add_one();
        tracing::error!(
            ?trigger,
            "Reload refused, the old configuration serves on\n{}",
            error.render()
        );
        Err(error)
    }

    fn is_known(&self, hash: &str) -> bool {
        let state = self.state();
        state.applied.hash == hash || state.refused.as_deref() == Some(hash)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What zones are to have. One that no route uses needs nothing.
fn zones(snapshot: &Snapshot) -> impl Iterator<Item = &CacheZoneConfig> {
    let used = |name: &str| snapshot.zones.iter().any(|zone| &*zone.name == name);
    let zones = snapshot.loaded.config.cache_zones.iter();
    zones.filter(move |zone| used(&zone.name))
}

/// Makes sure that the directories of zones can be used.
fn prepare_zones(snapshot: &Snapshot) -> Result<(), ReloadError> {
    for disk in zones(snapshot).filter_map(|zone| zone.disk.as_ref()) {
        disk::prepare(&disk.path).map_err(|error| ReloadError::CacheDisk {
            path: disk.path.clone(),
            span: disk.span.clone(),
            error,
            loaded: snapshot.loaded.clone(),
        })?;
    }
    Ok(())
}

/// Zones get the sizes and directories that are configured; one that no route uses is emptied.
fn keep_zones(snapshot: &Snapshot) {
    let wanted: Vec<_> = zones(snapshot)
        .map(|zone| zone::Wanted {
            name: &zone.name,
            memory: zone.memory,
            disk: zone.disk.as_ref().map(|disk| (&*disk.path, disk.size)),
            follows: zone.store.is_some(),
        })
        .collect();
    zone::keep_only(&wanted);
}

/// Threads are started once, and so is the control socket.
fn warn_of_restart(old: &Config, new: &Config) {
    if old.server.workers != new.server.workers {
        tracing::warn!("`workers` has changed; it takes effect at the next start");
    }
    if old.server.upstream_idle_max != new.server.upstream_idle_max {
        tracing::warn!("`upstream-idle-max` has changed; it takes effect at the next start");
    }
    if old.server.control_socket != new.server.control_socket {
        tracing::warn!("`control-socket` has changed; it takes effect at the next start");
    }
}

/// Opens the access log where the configuration has changed it.
fn destination(
    new: &AccessLogConfig,
    old: Option<&Config>,
) -> Result<Option<Destination>, ReloadError> {
    if old.is_some_and(|old| old.access_log.path == new.path) {
        return Ok(None);
    }
    match &new.path {
        AccessLogPath::Off => Ok(Some(Destination::Off)),
        AccessLogPath::Stdout => Ok(Some(Destination::Stdout)),
        AccessLogPath::File(path) => match Destination::file(path) {
            Ok(destination) => Ok(Some(destination)),
            Err(error) => Err(ReloadError::AccessLog {
                path: path.clone(),
                error,
            }),
        },
    }
}
