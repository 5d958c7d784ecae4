//! The plain values of a route, each with the place that says it.

use super::story::Setting;
use crate::admin::describe;
use crate::config::model::{Config, PathChange, RouteConfig, TrailingSlash};
use crate::config::source::SourceMap;

/// Timeout, what happens to path and host, and what to a trailing slash where something does.
pub(super) fn of(route: &RouteConfig, config: &Config, sources: &SourceMap) -> Vec<Setting> {
    let path = match &route.path {
        PathChange::Keep => None,
        PathChange::StripPrefix(prefix) => Some(("strip-prefix", prefix.clone())),
        PathChange::Rewrite(template) => Some(("rewrite", template.to_string())),
    };
    let host = route.host.as_ref().map(|host| ("host", host.to_string()));
    let slash = match route.trailing_slash {
        TrailingSlash::Exact => None,
        TrailingSlash::Redirect => Some(("trailing-slash", "redirect".to_owned())),
    };
    let timeout = ("timeout", describe::duration(route.timeout));
    let retry = route
        .retry
        .as_ref()
        .map(|retry| ("retry", describe::retry_line(retry)));
    let cache = route
        .cache
        .as_ref()
        .map(|cache| ("cache", describe::cache_line(cache)));
    let deadline = route
        .deadline_from
        .as_ref()
        .map(|name| ("deadline-from", format!("header.{name}")));
    let fallback = route
        .fallback
        .as_ref()
        .map(|fallback| ("fallback", describe::fallback_line(fallback, config)));
    let mirror = route
        .mirror
        .map(|id| ("mirror", describe::upstream_name(id, config).to_owned()));
    let [idle, max] = stream(route);
    let all = [
        Some(timeout),
        idle,
        max,
        deadline,
        retry,
        cache,
        fallback,
        mirror,
        path,
        host,
        slash,
    ]
    .into_iter()
    .flatten();
    all.map(|(key, value)| setting(key, value, route, sources))
        .collect()
}

/// The limits of streams, where somebody has written them.
fn stream(route: &RouteConfig) -> [Option<(&'static str, String)>; 2] {
    let limits = [
        ("stream-idle-timeout", route.stream.idle),
        ("stream-max", route.stream.max),
    ];
    limits.map(|(key, time)| {
        let written = route.provenance.iter().any(|origin| origin.key == key);
        written.then(|| (key, describe::duration(time)))
    })
}

fn setting(key: &'static str, value: String, route: &RouteConfig, sources: &SourceMap) -> Setting {
    let origin = route.provenance.iter().find(|origin| origin.key == key);
    let span = origin.and_then(|origin| origin.span.as_ref());
    Setting {
        key,
        value,
        at: span.and_then(|span| sources.place(span)),
        like: origin.and_then(|origin| origin.like.as_deref().map(str::to_owned)),
    }
}
