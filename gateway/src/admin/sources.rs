//! What is read when somebody asks for the metrics, because it is kept elsewhere.

use std::sync::Arc;
use std::time::Instant;

use prometheus::proto::MetricType;

use crate::listen::Listeners;
use crate::observe::collect::{Sample, Source};
use crate::overload::Pressure;
use crate::proxy::Shared;
use crate::upstream::breaker::{Breaker, State};
use crate::upstream::{Target, TargetState, Upstream};

/// All of it.
pub(super) fn sources(shared: &Arc<Shared>, listeners: &Arc<Listeners>) -> Vec<Source> {
    let mut sources = vec![gauge(
        "gateway_build_info",
        "Always 1; the label is the version.",
        || vec![(vec![("version", env!("CARGO_PKG_VERSION").to_owned())], 1.0)],
    )];
    sources.extend(of_tls(shared, listeners));
    sources.extend(of_overload(shared));
    sources.extend(of_connections(shared, listeners));
    sources.extend(of_upstreams(shared));
    sources
}

fn gauge(
    name: &'static str,
    help: &'static str,
    read: impl Fn() -> Vec<Sample> + Send + Sync + 'static,
) -> Source {
    source(name, help, MetricType::GAUGE, read)
}

fn counter(
    name: &'static str,
    help: &'static str,
    read: impl Fn() -> Vec<Sample> + Send + Sync + 'static,
) -> Source {
    source(name, help, MetricType::COUNTER, read)
}

fn source(
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    read: impl Fn() -> Vec<Sample> + Send + Sync + 'static,
) -> Source {
    Source {
        name,
        help,
        kind,
        read: Box::new(read),
    }
}

fn of_tls(shared: &Arc<Shared>, listeners: &Arc<Listeners>) -> [Source; 2] {
    let (certificates, handshakes) = (listeners.clone(), shared.clone());
    [
        gauge(
            "gateway_certificate_expiry_timestamp_seconds",
            "When a listener's certificate ends, in seconds since 1970.",
            move || {
                let ends = certificates.certificate_expiries().into_iter();
                ends.map(|(listener, certificate, end)| {
                    let labels = vec![("listener", listener), ("certificate", certificate)];
                    (labels, float(u64::try_from(end).unwrap_or(0)))
                })
                .collect()
            },
        ),
        counter(
            "gateway_tls_handshakes_total",
            "TLS handshakes with clients by result.",
            move || by_listener("result", handshakes.handshakes.read()),
        ),
    ]
}

/// How much there is to do, while somebody has said how much is too much.
fn of_overload(shared: &Arc<Shared>) -> [Source; 3] {
    let (lag, level, memory) = (shared.clone(), shared.clone(), shared.clone());
    [
        gauge(
            "gateway_overload_lag_seconds",
            "How late a worker comes to what is due, smoothed.",
            move || by_worker(&lag, |worker| worker.lag().as_secs_f64()),
        ),
        gauge(
            "gateway_overload_state",
            "Who is turned away by a worker: 0 nobody, 1 some plans or connections, 2 anybody.",
            move || {
                by_worker(&level, |worker| match worker.level() {
                    level if level.is_calm() => 0.0,
                    level if level.early == 0 => 1.0,
                    _ => 2.0,
                })
            },
        ),
        gauge(
            "gateway_overload_memory_bytes",
            "Resident memory of the process.",
            move || {
                let memory = memory.overload.memory();
                let sample = memory.map(|bytes| (Vec::new(), float(bytes)));
                sample.into_iter().collect()
            },
        ),
    ]
}

fn of_connections(shared: &Arc<Shared>, listeners: &Arc<Listeners>) -> [Source; 2] {
    let (open, refused) = (listeners.clone(), shared.clone());
    [
        gauge(
            "gateway_connections",
            "Open client connections by listener.",
            move || {
                let counts = open.connections_by_listener().into_iter();
                counts
                    .map(|(name, count)| (vec![("listener", name)], float(count as u64)))
                    .collect()
            },
        ),
        counter(
            "gateway_connections_refused_total",
            "Connections closed before anything of HTTP was read, by reason.",
            move || by_listener("reason", refused.turned_away.read()),
        ),
    ]
}

fn of_upstreams(shared: &Arc<Shared>) -> [Source; 3] {
    let (flights, targets, breakers) = (shared.clone(), shared.clone(), shared.clone());
    [
        gauge(
            "gateway_upstream_in_flight",
            "Attempts that are under way by target.",
            move || upstreams(&flights, in_flight),
        ),
        gauge(
            "gateway_upstream_healthy",
            "1 while a target may get requests, else 0.",
            move || upstreams(&targets, healthy),
        ),
        gauge(
            "gateway_upstream_breaker_state",
            "What the breaker of an upstream lets through: 0 everything, 1 trials, 2 nothing.",
            move || upstreams(&breakers, breaker_state),
        ),
    ]
}

/// Counts by listener and one label more.
fn by_listener(label: &'static str, counts: Vec<(Arc<str>, &'static str, u64)>) -> Vec<Sample> {
    let sample = |(listener, value, count): (Arc<str>, &'static str, u64)| {
        let labels = vec![
            ("listener", listener.to_string()),
            (label, value.to_owned()),
        ];
        (labels, float(count))
    };
    counts.into_iter().map(sample).collect()
}

fn by_worker(shared: &Shared, read: impl Fn(&Pressure) -> f64) -> Vec<Sample> {
    let workers = shared.overload.pressures().iter().enumerate();
    workers
        .map(|(number, worker)| (vec![("worker", number.to_string())], read(worker)))
        .collect()
}

/// Reads the upstreams that serve now.
fn upstreams(shared: &Shared, read: impl Fn(&Upstream) -> Vec<Sample>) -> Vec<Sample> {
    let snapshot = shared.live.snapshot();
    let all = snapshot.upstreams.iter();
    all.flat_map(|upstream| read(upstream)).collect()
}

/// The labels of a target.
fn labels(upstream: &Upstream, target: &str) -> Vec<(&'static str, String)> {
    vec![
        ("upstream", upstream.config.name.to_string()),
        ("target", target.to_owned()),
    ]
}

fn in_flight(upstream: &Upstream) -> Vec<Sample> {
    let sample = |target: Arc<Target>| {
        let count = f64::from(target.in_flight.count());
        (labels(upstream, &target.address), count)
    };
    upstream.targets().into_iter().map(sample).collect()
}

fn healthy(upstream: &Upstream) -> Vec<Sample> {
    let sample = |state: TargetState| {
        let healthy = f64::from(state.is_healthy());
        (labels(upstream, &state.address), healthy)
    };
    upstream.states().into_iter().map(sample).collect()
}

fn breaker_state(upstream: &Upstream) -> Vec<Sample> {
    let state = |breaker: &Arc<Breaker>| {
        let state = match breaker.state(Instant::now()) {
            State::Closed => 0.0,
            State::HalfOpen => 1.0,
            State::Open => 2.0,
        };
        let labels = vec![("upstream", upstream.config.name.to_string())];
        (labels, state)
    };
    upstream.breaker().map(state).into_iter().collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the text format knows only floats; 2^53 is far away"
)]
fn float(count: u64) -> f64 {
    count as f64
}
