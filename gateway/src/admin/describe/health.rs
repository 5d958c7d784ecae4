//! Checks, ejection and breakers of upstreams as data: how they are configured, and how things stand.

use std::time::Instant;

use serde_json::{Map, Value, json};

use super::{duration, time};
use crate::config::model::{
    BreakerConfig, CheckConfig, HealthConfig, HostPolicy, OutlierConfig, UpstreamConfig,
};
use crate::upstream::breaker::State;
use crate::upstream::{LastCheck, TargetState, Upstream};

/// What the configuration says; keys that it leaves out are null.
pub(super) fn settings(config: &UpstreamConfig) -> Map<String, Value> {
    let all = [
        ("health", config.health.as_ref().map(health)),
        ("outlier", config.outlier.as_ref().map(outlier)),
        ("breaker", config.breaker.as_ref().map(breaker)),
    ];
    let pair = |(key, value): (&str, Option<Value>)| (key.to_owned(), value.into());
    all.into_iter().map(pair).collect()
}

fn health(config: &HealthConfig) -> Value {
    let mut described = json!({
        "every": duration(config.every),
        "timeout": duration(config.timeout),
        "healthy-after": config.healthy_after,
        "unhealthy-after": config.unhealthy_after,
    });
    let check = match &config.check {
        CheckConfig::Tcp => json!({ "tcp": true }),
        CheckConfig::Grpc {
            service,
            host,
            headers,
        } => json!({ "grpc": service, "host": self::host(host), "headers": names(headers) }),
        CheckConfig::Http(check) => json!({
            "path": check.path.as_str(),
            "status": check.status.iter().map(|range| format!("{}-{}", range.start(), range.end())).collect::<Vec<_>>(),
            "host": host(&check.host),
            "headers": names(&check.headers),
            "body": check.body,
        }),
    };
    if let (Value::Object(all), Value::Object(check)) = (&mut described, check) {
        all.extend(check);
    }
    described
}

/// Their values may be credentials.
fn names(headers: &[(http::HeaderName, http::HeaderValue)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}

fn host(host: &HostPolicy) -> String {
    match host {
        HostPolicy::Client | HostPolicy::Target => "target".to_owned(),
        HostPolicy::Literal(host) => String::from_utf8_lossy(host.as_bytes()).into_owned(),
    }
}

fn outlier(config: &OutlierConfig) -> Value {
    json!({
        "consecutive-failures": config.consecutive_failures,
        "failure-rate": config.failure_rate.map(|rate| rate.to_string()),
        "ejection-time": duration(config.ejection_time),
        "ejected-max": config.ejected_max.to_string(),
    })
}

fn breaker(config: &BreakerConfig) -> Value {
    json!({
        "failure-rate": config.failure_rate.to_string(),
        "requests-min": config.requests_min,
        "window": duration(config.window),
        "open-for": duration(config.open_for),
    })
}

/// What the breaker of an upstream lets through; null without one.
pub(super) fn breaker_state(upstream: &Upstream) -> Value {
    upstream.breaker().map_or(Value::Null, |breaker| {
        let state = breaker.state(Instant::now());
        let metrics = breaker.metrics();
        let (opened, refused) = (metrics.opened.read(), metrics.refused.read());
        json!({ "state": name(state), "opened": opened, "refused": refused })
    })
}

fn name(state: State) -> &'static str {
    match state {
        State::Closed => "closed",
        State::HalfOpen => "half-open",
        State::Open => "open",
    }
}

/// Where a target stands, why and since when.
pub(super) fn standing(state: &TargetState) -> Map<String, Value> {
    let story = &state.story;
    let (standing, reason) = match (&story.down, story.ejected) {
        (Some(error), _) => ("down", Some(error.as_str())),
        (None, Some(why)) => ("ejected", Some(why)),
        (None, None) if state.addresses.is_empty() => ("unresolved", None),
        (None, None) => ("good", None),
    };
    let check = |check: &LastCheck| json!({ "at": time(check.at), "error": check.error });
    let all = [
        ("standing", json!(standing)),
        ("reason", json!(reason)),
        ("since", json!(story.since.map(time))),
        ("last-check", json!(story.last_check.as_ref().map(check))),
        ("ejections", json!(story.ejections)),
        (
            "avoided",
            json!(
                state
                    .avoided
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
            ),
        ),
    ];
    all.into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
