//! The times of a route: its own, or those of `[defaults]`.

use std::time::Duration;

use plugins::contract::place::{At, Span};
use plugins::contract::report::Report;
use plugins::contract::units::Time;

use super::super::{Context, bounds};
use crate::config::model::StreamLimits;
use crate::config::raw::{RawDefaults, RawRoute};

/// Complains once about times of `[defaults]`, for all routes.
pub(super) fn check(timing: &RawDefaults, report: &mut Report) {
    for (bound, written) in [
        (bounds::ROUTE_TIMEOUT, &timing.timeout),
        (bounds::STREAM_IDLE, &timing.stream_idle_timeout),
        (bounds::STREAM_MAX, &timing.stream_max),
    ] {
        bound.take(written.as_ref(), report);
    }
}

/// Where `[defaults]` says the times that routes may leave out.
pub(super) fn places(timing: &RawDefaults) -> [(&'static str, Option<Span>); 3] {
    [
        ("timeout", &timing.timeout),
        ("stream-idle-timeout", &timing.stream_idle_timeout),
        ("stream-max", &timing.stream_max),
    ]
    .map(|(key, written)| (key, written.as_ref().map(At::span)))
}

/// Until the last byte of an answer, and the limits of streams.
pub(super) fn times(
    raw: &RawRoute,
    timing: &RawDefaults,
    context: &mut Context<'_>,
) -> (Duration, StreamLimits) {
    let mut time =
        |bound: bounds::Bound<Time>, own: &Option<At<Time>>, default: &Option<At<Time>>| {
            match (own, default) {
                // A default out of bounds was complained about before.
                (None, Some(default)) => default.duration(),
                (own, _) => bound.duration(own.as_ref(), context.report),
            }
        };
    let timeout = time(bounds::ROUTE_TIMEOUT, &raw.timeout, &timing.timeout);
    let stream = StreamLimits {
        idle: time(
            bounds::STREAM_IDLE,
            &raw.stream_idle_timeout,
            &timing.stream_idle_timeout,
        ),
        max: time(bounds::STREAM_MAX, &raw.stream_max, &timing.stream_max),
    };
    (timeout, stream)
}
