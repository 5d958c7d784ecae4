//! What the cache would do with a request: the route's own rules are asked, with nothing stored.

use http::header;
use http::uri::Authority;
use plugins::contract::value::{Value, ValueError};

use super::tell::Scene;
use crate::admin::describe::duration;
use crate::cache::directives::RequestDirectives;
use crate::cache::policy::{CachePolicy, wants_events};
use crate::routing::RouteRequest;

/// A line for each thing worth knowing; none where the route keeps no answers.
pub(super) fn of(scene: &Scene<'_>, upstream: &str) -> Vec<String> {
    let Some(policy) = &scene.route.cache else {
        return Vec::new();
    };
    let asks = RequestDirectives::read(scene.view.headers);
    if let Some(reason) = passes_by(scene, policy, &asks) {
        let mut said = vec![format!("bypass: {}", meaning(reason))];
        if !scene.view.method.is_safe() {
            said.push("a success takes out what is kept for this URL".to_owned());
        }
        return said;
    }
    let Ok(key) = key(scene, policy, upstream) else {
        return vec![format!("bypass: {}", meaning("ambiguous"))];
    };
    let mut said = vec![format!("hit: {}", hit(&asks)), miss(scene, policy, &asks)];
    said.extend(stale(policy));
    if policy.authenticated && !policy.shared {
        said.push(
            "whose: this identity's alone, unless its origin says public or s-maxage".to_owned(),
        );
    }
    said.push(format!("key: {}", key.join(", ")));
    said
}

fn passes_by(
    scene: &Scene<'_>,
    policy: &CachePolicy,
    asks: &RequestDirectives,
) -> Option<&'static str> {
    let view = scene.view;
    let request = RouteRequest {
        method: view.method,
        host: view.host,
        path: view.path,
        query: view.query,
        headers: view.headers,
    };
    let streams = view.headers.contains_key(header::UPGRADE) || wants_events(view.headers);
    policy.passes_by(&request, view.body, streams, asks)
}

fn meaning(reason: &str) -> &'static str {
    match reason {
        "method" => "only GET and HEAD are kept",
        "body" => "the request has a body",
        "stream" => "the request opens a stream",
        "no-store" => "the request says no-store",
        "connection" => "Connection names a field that the upstream does not get then",
        "ambiguous" => "a value of the key is there more than once, or is no text",
        _ => "a condition of `bypass` is met",
    }
}

/// What a stored answer must be to be given.
fn hit(asks: &RequestDirectives) -> String {
    if asks.no_cache || asks.max_age == Some(0) {
        return "once the origin has confirmed what is stored; the request asks for that"
            .to_owned();
    }
    let mut wanted = vec!["a fresh answer for this key".to_owned()];
    wanted.extend(asks.max_age.map(|age| format!("at most {age}s old")));
    wanted.extend(asks.min_fresh.map(|left| format!("fresh for {left}s more")));
    wanted.extend(
        asks.max_stale
            .map(|_| "or a stale one as the request allows".to_owned()),
    );
    format!("{}; the upstream is not asked", wanted.join(", "))
}

fn miss(scene: &Scene<'_>, policy: &CachePolicy, asks: &RequestDirectives) -> String {
    if asks.only_if_cached {
        return "miss: 504 cache.nothing-stored; the request wants nothing else".to_owned();
    }
    let asker = policy.asker(scene.view.headers, scene.view.facts.identity().is_some());
    let rules = &policy.rules;
    let kept = if asker.authorization {
        "only if its origin shares it; the request holds Authorization".to_owned()
    } else if asker.cookie {
        "only if its origin says how long; the request holds cookies".to_owned()
    } else {
        match (rules.ttl_override, rules.ttl) {
            (Some(time), _) => format!("{} whatever its origin says of that", duration(time)),
            (None, Some(time)) => format!("{} unless its origin says otherwise", duration(time)),
            (None, None) => "if its origin says how long".to_owned(),
        }
    };
    format!("miss: the upstream's answer is kept {kept}")
}

fn stale(policy: &CachePolicy) -> Option<String> {
    let rules = &policy.rules;
    let (refresh, error) = (rules.stale_while_revalidate, rules.stale_if_error);
    let mut said = Vec::new();
    if !refresh.is_zero() {
        said.push(format!("{} while a new one is fetched", duration(refresh)));
    }
    if !error.is_zero() {
        said.push(format!("{} where the upstream fails", duration(error)));
    }
    let given = said.join(", ");
    (!said.is_empty()).then(|| format!("stale: given {given}, unless its origin says otherwise"))
}

/// The parts of the key, in their order.
fn key(scene: &Scene<'_>, policy: &CachePolicy, upstream: &str) -> Result<Vec<String>, ValueError> {
    let view = scene.view;
    let scheme = if view.secure { "https" } else { "http" };
    let mut parts = vec![
        format!("route {}", scene.config.name),
        format!("upstream {upstream}"),
        format!("{scheme}://{}{}{}", view.host, port(scene), view.path),
    ];
    parts.push(match policy.query.part(view.query) {
        Some(query) => format!("query {query}"),
        None => "no query".to_owned(),
    });
    for value in &policy.vary_on {
        parts.push(match view.lookup(value) {
            Ok(text) => format!("{value} {text}"),
            Err(ValueError::Missing) => format!("no {value}"),
            Err(error) => return Err(error),
        });
    }
    if policy.authenticated {
        let identity = view.lookup(&Value::Identity);
        parts.push(identity.map_or("no identity".to_owned(), |_| "identity".to_owned()));
    }
    Ok(parts)
}

fn port(scene: &Scene<'_>) -> String {
    let named = scene.head.headers.get(header::HOST);
    let named = named.and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let port = named.and_then(|authority| authority.port_u16());
    port.map(|port| format!(":{port}")).unwrap_or_default()
}
