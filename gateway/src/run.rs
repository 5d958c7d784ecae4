//! The daemon: start everything in order, react to signals, end in order.

pub mod notify;
pub mod settings;
mod signals;
mod successor;
mod upgrade;

use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::admin::{AdminListeners, Control};
use crate::cache::zone;
use crate::config::model::ServerConfig;
use crate::config::render::Colour;
use crate::config::{Failure, Loaded};
use crate::listen::{Door, Inherited, Listeners, Workers};
use crate::observe::access_log::AccessLog;
use crate::observe::metrics::Metrics;
use crate::overload::Overload;
use crate::proxy::{Departures, Front, Handshakes, Shared};
use crate::runtime::compile::compile;
use crate::runtime::outside::Outside;
use crate::runtime::reload::{ReloadError, Reloader, Source};
use crate::runtime::{Live, watch};
use crate::upstream::names::Names;
use signals::Signals;
use upgrade::{House, Inheritance};
pub use upgrade::{Start, no_control_socket};

/// How long idle connections may ask once more after a successor has taken over. A client that is about to send must not find
/// its connection closed; one that says nothing for so long is unlikely to be.
const LAST_CALL: Duration = Duration::from_secs(5);

/// How long answers that wait to be written may hold up the end.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// How long the last notices to other gateways may take.
const LAST_NOTICES: Duration = Duration::from_secs(1);

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
pub fn run(source: Source, start: Start, ready: impl FnOnce()) -> Result<(), RunError> {
    crate::observe::log::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(source, start, ready))
}

/// An idle connection to a target has a timer that nearly every request sets and cancels. Pingora's own timers stay in their
/// tree until they are due; tokio's are gone at once, and on a worker's single thread they cost less to begin with.
fn use_timers_that_forget() {
    pingora_timeout::fast_timeout::set_fast_timeout_to_tokio_threshold(Some(Duration::ZERO));
}

async fn serve(source: Source, start: Start, ready: impl FnOnce()) -> Result<(), RunError> {
    let loaded = source
        .load()
        .map_err(|failure| RunError::Config(rendered(&failure)))?;
    warn_about(&loaded);
    // Before anybody can see us: who reloads or stops what looks ready must be heard.
    let mut signals = Signals::listen();
    let (shared, workers) = build(loaded)?;
    let house = open(source, start, &shared, &workers).await?;
    let for_watch = shared.clone();
    tokio::spawn(watch::run(house.reloader.clone(), move || {
        for_watch.live.snapshot()
    }));
    tokio::spawn(shared.overload.clone().watch());
    say_hello(&shared, &house.listeners);
    notify::ready();
    ready();
    let last_call = match until_the_end(&mut signals, &house, &shared).await {
        End::Asked => {
            notify::stopping();
            house.control.stopping();
            Duration::ZERO
        }
        End::HandedOver => {
            house.leave();
            LAST_CALL
        }
    };
    let _no_reload_opens_anything_again = house.reloader.hold().await;
    stop(&shared, &house.listeners, last_call, signals).await;
    tell_changes(&shared).await;
    close_disks().await;
    house.admin.close();
    Ok(())
}

/// Tells other gateways what the last requests have changed, as far as that takes no longer than it may.
async fn tell_changes(shared: &Shared) {
    let snapshot = shared.live.snapshot();
    let telling = snapshot.followers.tell_changes();
    if tokio::time::timeout(LAST_NOTICES, telling).await.is_err() {
        tracing::warn!("Other gateways were not told in time of all that requests have changed");
    }
}

/// Writes what was to be kept on disk, as far as that takes no longer than it may.
async fn close_disks() {
    let written = async {
        for disk in zone::close_disks() {
            disk.closed().await;
        }
    };
    if tokio::time::timeout(LAST_WRITES, written).await.is_err() {
        tracing::warn!("Not all answers that were to be kept could be written in time");
    }
}

/// Why a process ends.
enum End {
    /// A signal asked for it.
    Asked,
    /// A successor serves, or may.
    HandedOver,
}

/// Serves until a signal or a successor ends it. A successor that has our sockets already is waited for: the files of unix
/// sockets may be what it serves on by now.
async fn until_the_end(signals: &mut Signals, house: &House, shared: &Shared) -> End {
    let handed_over = house.until_handed_over();
    tokio::pin!(handed_over);
    tokio::select! {
        () = signals.until_stopped(&house.reloader, shared) => {}
        () = &mut handed_over => return End::HandedOver,
    }
    tracing::info!("Asked to stop");
    tokio::select! {
        // A hand-over holds it to its end.
        _nothing_under_way = house.reloader.hold() => End::Asked,
        () = &mut handed_over => End::HandedOver,
        // Impatience does not tell who has the sockets.
        () = signals.end() => End::HandedOver,
    }
}

/// Everything that a configuration needs but its sockets.
fn build(loaded: Loaded) -> Result<(Arc<Shared>, Workers), RunError> {
    let metrics = Arc::new(Metrics::default());
    let loaded = Arc::new(loaded);
    let kept = loaded.clone();
    let names = Arc::new(Names::new(metrics.clone()));
    let outside = Outside::live(metrics.clone(), names.clone(), Handle::current());
    let snapshot = compile(loaded, &outside, None).map_err(|error| {
        RunError::Config(
            ReloadError::Compile {
                error,
                loaded: kept,
            }
            .render(),
        )
    })?;
    let count = snapshot
        .loaded
        .config
        .server
        .workers
        .unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
    let shared = Arc::new(Shared {
        live: Live::new(Arc::new(snapshot)),
        access_log: AccessLog::start(count, metrics.clone())?,
        names,
        outside,
        overload: Overload::new(count),
        metrics,
        turned_away: Departures::default(),
        handshakes: Handshakes::default(),
    });
    use_timers_that_forget();
    let for_workers = shared.clone();
    let workers = Workers::start("worker", count, move |number| {
        Arc::new(Front::new(for_workers.clone(), number))
    })?;
    for (number, worker) in workers.handles().iter().enumerate() {
        // Nobody waits for it: it ends with its worker.
        drop(worker.spawn(shared.overload.clone().feel(number)));
    }
    Ok((shared, workers))
}

/// Takes or binds every socket and serves.
async fn open(
    source: Source,
    start: Start,
    shared: &Arc<Shared>,
    workers: &Workers,
) -> Result<House, RunError> {
    let server = shared.live.snapshot().loaded.config.server.clone();
    let inheritance = Inheritance::claim(start, server.control_socket.as_deref()).await?;
    let sockets = &inheritance.sockets;
    let listeners = Listeners::new(workers, server.connections_max).inheriting(sockets.clone());
    let listeners = Arc::new(listeners);
    shared.overload.count_with(listeners.counter());
    let control = Control::new(shared.clone(), &listeners)
        .map_err(|error| RunError::Start(error.to_string()))?;
    let admin = Arc::new(AdminListeners::start(&control, sockets.clone())?);
    let (source_again, shared) = (source.clone(), shared.clone());
    let reloader = Reloader::start(source_again, shared, listeners.clone(), admin.clone()).await;
    let reloader = reloader.map_err(|error| unfit(&error))?;
    // Who sees that we are ready may start a successor at once.
    let door = door(&server, sockets)?;
    control.ready(reloader.clone());
    let house = House {
        source,
        door,
        reloader,
        listeners,
        control,
        admin,
    };
    if let Err(error) = inheritance.settle().await {
        house.give_up(server.shutdown_grace).await;
        return Err(RunError::Start(format!("the upgrade failed: {error}")));
    }
    Ok(house)
}

/// A configuration that cannot be brought into service at the start: is it to blame, or the machine?
fn unfit(error: &ReloadError) -> RunError {
    let kind = if matches!(error, ReloadError::Tls { .. }) {
        RunError::Config
    } else {
        RunError::Start
    };
    kind(error.render())
}

/// The control socket, where the configuration has one.
fn door(server: &ServerConfig, inherited: &Inherited) -> Result<Option<Door>, RunError> {
    let Some(path) = &server.control_socket else {
        return Ok(None);
    };
    let door = Door::open(path, inherited).map_err(|error| {
        RunError::Start(format!(
            "cannot listen on the control socket {}: {error}",
            path.display()
        ))
    });
    door.map(Some)
}

/// The complaints about a configuration, for people.
pub(crate) fn rendered(failure: &Failure) -> String {
    crate::config::render::text(&failure.report, &failure.sources, crate::cli::colour())
}

fn warn_about(loaded: &Loaded) {
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

/// Stops accepting, lets requests in flight finish, and ends as soon as none is left or the grace time is over. Idle
/// connections may ask once more for as long as the last call takes.
async fn stop(shared: &Shared, listeners: &Listeners, last_call: Duration, mut signals: Signals) {
    let grace = shared.live.snapshot().loaded.config.server.shutdown_grace;
    let last_call = last_call.min(grace / 2);
    tracing::info!(
        connections = listeners.connections(),
        grace_seconds = grace.as_secs(),
        "Stopping"
    );
    tokio::select! {
        _left = listeners.wait_idle(last_call) => {}
        () = signals.end() => {}
    }
    listeners.drain_all();
    let left = tokio::select! {
        left = listeners.wait_idle(grace.saturating_sub(last_call)) => left,
        () = signals.end() => listeners.connections(),
    };
    shared.access_log.close();
    if left > 0 {
        tracing::warn!(connections = left, "Stopped with connections still open");
    } else {
        tracing::info!("Stopped");
    }
}
