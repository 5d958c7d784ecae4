//! The daemon: start everything in order, react to signals, end in order.

pub mod notify;
pub mod settings;
mod signals;

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use crate::admin::{AdminListeners, Control};
use crate::config::Failure;
use crate::config::render::Colour;
use crate::listen::{Listeners, Workers};
use crate::observe::access_log::AccessLog;
use crate::observe::metrics::Metrics;
use crate::proxy::{Departures, Front, Handshakes, Shared};
use crate::runtime::compile::compile;
use crate::runtime::reload::{ReloadError, Reloader, Source};
use crate::runtime::{Live, watch};
use crate::upstream::names::Names;
use signals::Signals;

/// Why the daemon did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration cannot be used: exit code 2.
    #[error("{0}")]
    Config(String),
    /// The machine refused something: exit code 1.
    #[error("cannot start: {0}")]
    Io(#[from] std::io::Error),
    /// An address or a file cannot be had: exit code 1.
    #[error("{0}")]
    Start(String),
}

/// Runs until a signal ends it. `ready` is called once requests are served.
pub fn run(source: Source, ready: impl FnOnce()) -> Result<(), RunError> {
    crate::observe::log::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(source, ready))
}

/// An idle connection to a target has a timer that nearly every request sets and cancels. Pingora's own timers stay in their
/// tree until they are due; tokio's are gone at once, and on a worker's single thread they cost less to begin with.
fn use_timers_that_forget() {
    pingora_timeout::fast_timeout::set_fast_timeout_to_tokio_threshold(Some(Duration::ZERO));
}

async fn serve(source: Source, ready: impl FnOnce()) -> Result<(), RunError> {
    let loaded = source
        .load()
        .map_err(|failure| RunError::Config(rendered(&failure)))?;
    warn_about(&loaded);
    // Before anybody can see us: who reloads or stops what looks ready must be heard.
    let signals = Signals::listen();
    let metrics = Arc::new(Metrics::default());
    let loaded = Arc::new(loaded);
    let kept = loaded.clone();
    let snapshot = compile(loaded, &metrics, None).map_err(|error| {
        RunError::Config(
            ReloadError::Compile {
                error,
                loaded: kept,
            }
            .render(),
        )
    })?;
    let server = snapshot.loaded.config.server.clone();
    let count = server
        .workers
        .unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
    let shared = Arc::new(Shared {
        live: Live::new(Arc::new(snapshot)),
        access_log: AccessLog::start(count, metrics.clone())?,
        names: Arc::new(Names::new(metrics.clone())),
        metrics,
        turned_away: Departures::default(),
        handshakes: Handshakes::default(),
    });
    use_timers_that_forget();
    let for_workers = shared.clone();
    let workers = Workers::start("worker", count, move |number| {
        Arc::new(Front::new(for_workers.clone(), number))
    })?;
    let listeners = Arc::new(Listeners::new(&workers, server.connections_max));
    let control = Control::new(shared.clone(), &listeners)
        .map_err(|error| RunError::Start(error.to_string()))?;
    let admin = Arc::new(AdminListeners::start(&control)?);
    let reloader = Reloader::start(source, shared.clone(), listeners.clone(), admin.clone()).await;
    let reloader = reloader.map_err(|error| {
        let is_mistake = matches!(error, ReloadError::Tls { .. });
        let kind = if is_mistake {
            RunError::Config
        } else {
            RunError::Start
        };
        kind(error.render())
    })?;
    control.ready(reloader.clone());
    let for_watch = shared.clone();
    tokio::spawn(watch::run(reloader.clone(), move || {
        for_watch.live.snapshot()
    }));
    say_hello(&shared, &listeners);
    notify::ready();
    ready();
    let again = signals.until_stopped(&reloader, &shared).await;
    notify::stopping();
    control.stopping();
    let _no_reload_opens_anything_again = reloader.hold().await;
    stop(&shared, &listeners, again).await;
    admin.close();
    Ok(())
}

fn rendered(failure: &Failure) -> String {
    crate::config::render::text(&failure.report, &failure.sources, crate::cli::colour())
}

fn warn_about(loaded: &crate::config::Loaded) {
    if !loaded.report.complaints().is_empty() {
        tracing::warn!(
            "The configuration has warnings\n{}",
            crate::config::render::text(&loaded.report, &loaded.sources, Colour::No)
        );
    }
}

fn say_hello(shared: &Shared, listeners: &Listeners) {
    let config = &shared.live.snapshot().loaded.config;
    let (routes, upstreams) = (config.routes.len(), config.upstreams.len());
    for listener in &config.listeners {
        tracing::info!(listener = &*listener.name, address = %listener.address, "Listening");
    }
    let sockets = listeners.addresses().len();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        routes,
        upstreams,
        sockets,
        "Started"
    );
}

/// Stops accepting, lets requests in flight finish, and ends as soon as none is left or the grace time is over.
async fn stop(shared: &Shared, listeners: &Listeners, mut again: signals::Ending) {
    let grace = shared.live.snapshot().loaded.config.server.shutdown_grace;
    tracing::info!(
        connections = listeners.connections(),
        grace_seconds = grace.as_secs(),
        "Stopping"
    );
    listeners.drain_all();
    let left = tokio::select! {
        left = listeners.wait_idle(grace) => left,
        () = again.received() => listeners.connections(),
    };
    shared.access_log.close();
    if left > 0 {
        tracing::warn!(connections = left, "Stopped with connections still open");
    } else {
        tracing::info!("Stopped");
    }
}
