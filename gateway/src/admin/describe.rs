//! What serves now as data, for the pages of the admin listener and for `gateway routes` and `explain`.
//!
//! Pure functions of a configuration or a snapshot. Secrets appear as the references that name them, never as values:
//! nothing here can read one.

mod cache;
mod effective;
mod health;
mod limits;
mod overload;
mod retry;
mod store;

pub(super) use limits::limits;

use std::time::{Duration, SystemTime};

use plugins::contract::place::Span;
use plugins::contract::policy::Layer;
use serde_json::{Map, Value, json};

use crate::config::Loaded;
use crate::config::model::{
    Action, CacheConfig, Config, Dispatch, FallbackConfig, PathChange, Provenance, RespondBody,
    RespondConfig, RetryConfig, RouteConfig, SplitConfig, TrailingSlash, UpstreamConfig,
    UpstreamId,
};
use crate::config::source::SourceMap;
use crate::observe::access_log::clock;
use crate::runtime::Snapshot;
use crate::upstream::{TargetState, Upstream};

/// Every route with what it matches, does and asks, and where each is written.
pub fn routes(loaded: &Loaded) -> Value {
    loaded
        .config
        .routes
        .iter()
        .map(|route| self::route(route, loaded))
        .collect()
}

/// Every upstream with its targets and what their names resolved to.
pub fn upstreams(snapshot: &Snapshot) -> Value {
    snapshot
        .upstreams
        .iter()
        .map(|upstream| self::upstream(upstream, &snapshot.loaded.sources))
        .collect()
}

/// The effective configuration, defaults filled in.
pub fn config(snapshot: &Snapshot) -> Value {
    effective::config(&snapshot.loaded)
}

/// A moment as RFC 3339.
pub fn time(moment: SystemTime) -> String {
    let mut text = Vec::with_capacity(24);
    clock::write(moment, &mut text);
    String::from_utf8(text).unwrap_or_default()
}

/// A span of time as the configuration would write it: in the largest unit that divides it.
pub fn duration(time: Duration) -> String {
    let millis = time.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "min"),
        (1_000, "s"),
    ];
    let fits = |(unit, _): &&(u128, &str)| millis != 0 && millis.is_multiple_of(*unit);
    match units.iter().find(fits) {
        Some((unit, name)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    }
}

/// One route.
pub fn route(route: &RouteConfig, loaded: &Loaded) -> Value {
    let (config, sources) = (&loaded.config, &loaded.sources);
    let listeners: Vec<&str> = route
        .listeners
        .iter()
        .filter_map(|at| Some(&*config.listeners.get(*at)?.name))
        .collect();
    json!({
        "name": &*route.name,
        "at": sources.place(&route.span),
        "match": route.matcher.to_string(),
        "match-at": sources.place(&route.match_span),
        "listeners": listeners,
        "action": action(&route.action, config),
        "action-at": sources.place(&route.action_span),
        "policies": policies(route, sources),
        "timeout": duration(route.timeout),
        "deadline-from": route.deadline_from.as_ref().map(|name| format!("header.{name}")),
        "mirror": route.mirror.map(|id| name(id, config)),
        "fallback": route.fallback.as_ref().map(|found| fallback(found, config)),
        "retry": route.retry.as_ref().map(retry::value),
        "cache": route.cache.as_ref().map(cache::value),
        "stream-idle-timeout": duration(route.stream.idle),
        "stream-max": duration(route.stream.max),
        "path": path(&route.path),
        "host": route.host.as_ref().map(ToString::to_string),
        "trailing-slash": match route.trailing_slash {
            TrailingSlash::Exact => "exact",
            TrailingSlash::Redirect => "redirect",
        },
        "provenance": provenance(&route.provenance, sources),
    })
}

/// A retry policy in one line.
pub fn retry_line(retry: &RetryConfig) -> String {
    retry::line(retry)
}

/// How answers are kept, in one line.
pub fn cache_line(cache: &CacheConfig) -> String {
    cache::line(cache)
}

/// The name of an upstream.
pub fn upstream_name(id: UpstreamId, config: &Config) -> &str {
    name(id, config)
}

/// A fallback in one line.
pub fn fallback_line(fallback: &FallbackConfig, config: &Config) -> String {
    match fallback {
        FallbackConfig::Upstream(id) => format!("upstream {}", name(*id, config)),
        FallbackConfig::Respond(respond) => format!("respond {}", respond.status.as_u16()),
    }
}

fn fallback(fallback: &FallbackConfig, config: &Config) -> Value {
    match fallback {
        FallbackConfig::Upstream(id) => {
            json!({ "kind": "upstream", "upstream": name(*id, config) })
        }
        FallbackConfig::Respond(respond) => self::respond(respond),
    }
}

/// What a route does.
pub fn action(action: &Action, config: &Config) -> Value {
    match action {
        Action::Upstream(Dispatch::Always(id)) => {
            json!({ "kind": "upstream", "upstream": name(*id, config) })
        }
        Action::Upstream(Dispatch::By {
            value,
            map,
            otherwise,
        }) => {
            let map: Map<String, Value> = map
                .iter()
                .map(|(text, id)| (text.clone(), name(*id, config).into()))
                .collect();
            let otherwise = otherwise.map(|id| name(id, config));
            json!({ "kind": "upstream", "by": value.to_string(), "map": map, "otherwise": otherwise })
        }
        Action::Split(split) => self::split(split, config),
        Action::Redirect { to, status } => {
            json!({ "kind": "redirect", "to": to.to_string(), "status": status.as_u16() })
        }
        Action::Respond(respond) => self::respond(respond),
    }
}

fn split(split: &SplitConfig, config: &Config) -> Value {
    let arm = |(id, weight): &(UpstreamId, u32)| json!({ "upstream": name(*id, config), "weight": weight });
    let pick = split.pick.iter().map(|(arm, conditions)| {
        let upstream = split.arms.get(*arm).map(|(id, _)| name(*id, config));
        let when: Vec<String> = conditions.iter().map(ToString::to_string).collect();
        json!({ "upstream": upstream, "when": when })
    });
    json!({
        "kind": "split",
        "to": split.arms.iter().map(arm).collect::<Value>(),
        "sticky": split.sticky.as_ref().map(ToString::to_string),
        "pick": pick.collect::<Value>(),
    })
}

fn respond(respond: &RespondConfig) -> Value {
    let header = |(name, value): &(http::HeaderName, http::HeaderValue)| json!({ "name": name.as_str(), "value": String::from_utf8_lossy(value.as_bytes()) });
    let body = match &respond.body {
        RespondBody::Empty => Value::Null,
        RespondBody::Text(text) => json!({ "bytes": text.len() }),
        RespondBody::File { path, .. } => json!({ "file": path.display().to_string() }),
    };
    json!({
        "kind": "respond",
        "status": respond.status.as_u16(),
        "headers": respond.headers.iter().map(header).collect::<Value>(),
        "body": body,
    })
}

fn name(id: UpstreamId, config: &Config) -> &str {
    config
        .upstreams
        .get(id.0)
        .map_or("", |upstream| &*upstream.name)
}

fn policies(route: &RouteConfig, sources: &SourceMap) -> Value {
    let mut found = Vec::new();
    route.policies.visit(|plugin, name, span, layer| {
        found.push(json!({
            "plugin": plugin,
            "name": name,
            "layer": self::layer(layer),
            "at": sources.place(span),
            "text": sources.text(span),
        }));
    });
    Value::Array(found)
}

/// The table that says a policy, as the configuration names it.
pub fn layer(layer: Layer) -> &'static str {
    match layer {
        Layer::Always => "always",
        Layer::Defaults => "defaults",
        Layer::Route => "route",
    }
}

fn path(change: &PathChange) -> Value {
    match change {
        PathChange::Keep => Value::Null,
        PathChange::StripPrefix(prefix) => json!({ "strip-prefix": prefix }),
        PathChange::Rewrite(template) => json!({ "rewrite": template.to_string() }),
    }
}

/// Key → where its value is written; without a place, the built-in default holds.
fn provenance(origins: &[Provenance], sources: &SourceMap) -> Value {
    let place = |span: &Option<Span>| span.as_ref().and_then(|span| sources.place(span));
    let origin = |origin: &Provenance| {
        let from = json!({ "at": place(&origin.span), "like": origin.like.as_deref() });
        (origin.key.to_owned(), from)
    };
    Value::Object(origins.iter().map(origin).collect())
}

fn upstream(upstream: &Upstream, sources: &SourceMap) -> Value {
    let UpstreamConfig { name, span, .. } = &upstream.config;
    let mut described = json!({ "name": &**name, "at": sources.place(span) });
    if let (Value::Object(all), Value::Object(settings)) = (
        &mut described,
        effective::upstream_settings(&upstream.config),
    ) {
        all.extend(settings);
        all.insert(
            "targets".into(),
            upstream.states().iter().map(target).collect(),
        );
        all.insert("breaker-state".into(), health::breaker_state(upstream));
    }
    described
}

/// A target can be tried once an address is known, unless its standing forbids it.
fn target(state: &TargetState) -> Value {
    let mut described = json!({
        "address": &*state.address,
        "weight": state.weight,
        "weight-now": state.weight_now,
        "backup": state.backup,
        "addresses": state.addresses.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "healthy": state.is_healthy(),
        "in-flight": state.in_flight,
        "latency-ms": state.latency.map(|time| time.as_secs_f64() * 1_000.0),
    });
    if let Value::Object(all) = &mut described {
        all.extend(health::standing(state));
        all.extend(
            state
                .service
                .as_ref()
                .map(|service| ("service".to_owned(), json!(&**service))),
        );
    }
    described
}

#[cfg(test)]
mod tests;
