//! `like`: a route as a copy of another, but for what it says itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plugins::contract::place::{At, Span};

use super::Context;
use crate::config::model::Provenance;
use crate::config::raw::{RawRoute, WithPolicies};

/// Routes as written, by name.
pub(super) type Routes = BTreeMap<String, WithPolicies<RawRoute>>;

/// A route and those it is like, nearest first; `None` where that cannot be known.
pub(super) fn lineage<'r>(
    name: &'r str,
    routes: &'r Routes,
    context: &mut Context<'_>,
) -> Option<Vec<&'r str>> {
    let mut lineage = vec![name];
    let mut route = routes.get(name)?;
    while let Some(like) = &route.own.like {
        let base: &str = like;
        if let Some(start) = lineage.iter().position(|other| *other == base) {
            // Every route of the circle comes by here; the first by name complains.
            let circle = lineage.get(start..).unwrap_or_default();
            if start == 0 && circle.iter().min() == Some(&name) {
                cycle(circle, like.span(), context);
            }
            return None;
        }
        let Some((base, next)) = routes.get_key_value(base) else {
            if lineage.len() == 1 && !context.damage.has("route", base) {
                context.unknown(
                    "route",
                    base,
                    &like.span(),
                    routes.keys().map(String::as_str),
                );
            }
            return None;
        };
        lineage.push(base);
        route = next;
    }
    Some(lineage)
}

fn cycle(circle: &[&str], span: Span, context: &mut Context<'_>) {
    let first = circle.first().copied().unwrap_or_default();
    let message = match circle {
        [_] => format!("[route.{first}] is `like` itself"),
        _ => format!("these routes are `like` each other: {}", circle.join(", ")),
    };
    context
        .report
        .error(span, "route.like-cycle", message)
        .help("one of them must say everything itself");
}

/// What a route has after all that it is like.
pub(super) fn merged(lineage: &[&str], routes: &Routes) -> RawRoute {
    let mut own = RawRoute::default();
    for route in lineage.iter().filter_map(|name| routes.get(*name)) {
        own = over(own, route.own.clone());
    }
    own
}

/// A route's own keys over those of the one it is like.
fn over(own: RawRoute, base: RawRoute) -> RawRoute {
    // An action replaces the other's action whole, and so does a change of the path.
    let acts = own.upstream.is_some()
        || own.split.is_some()
        || own.redirect.is_some()
        || own.respond.is_some();
    let changes = own.strip_prefix.is_some() || own.rewrite.is_some();
    // What only matters on the way to an upstream is not copied to a route that has none.
    let forwards = own.redirect.is_none() && own.respond.is_none();
    let (base_action, base_change) = (!acts, !changes && forwards);
    RawRoute {
        r#match: own.r#match.or(base.r#match),
        listener: own.listener.or(base.listener),
        like: own.like.or(base.like),
        upstream: own.upstream.or(base.upstream.filter(|_| base_action)),
        split: own.split.or(base.split.filter(|_| base_action)),
        redirect: own.redirect.or(base.redirect.filter(|_| base_action)),
        respond: own.respond.or(base.respond.filter(|_| base_action)),
        strip_prefix: own
            .strip_prefix
            .or(base.strip_prefix.filter(|_| base_change)),
        rewrite: own.rewrite.or(base.rewrite.filter(|_| base_change)),
        host: own.host.or(base.host.filter(|_| forwards)),
        timeout: own.timeout.or(base.timeout),
        deadline_from: own
            .deadline_from
            .or(base.deadline_from.filter(|_| forwards)),
        fallback: own.fallback.or(base.fallback.filter(|_| forwards)),
        mirror: own.mirror.or(base.mirror.filter(|_| forwards)),
        retry: own.retry.or(base.retry.filter(|_| forwards)),
        cache: own.cache.or(base.cache.filter(|_| forwards)),
        stream_idle_timeout: own.stream_idle_timeout.or(base.stream_idle_timeout),
        stream_max: own.stream_max.or(base.stream_max),
        trailing_slash: own.trailing_slash.or(base.trailing_slash),
    }
}

/// Every key with its place.
pub(super) fn places(route: &RawRoute) -> [(&'static str, Option<Span>); 18] {
    fn place<T>(leaf: Option<&At<T>>) -> Option<Span> {
        leaf.map(At::span)
    }
    [
        ("match", place(route.r#match.as_ref())),
        ("listener", place(route.listener.as_ref())),
        ("upstream", place(route.upstream.as_ref())),
        ("split", place(route.split.as_ref())),
        ("redirect", place(route.redirect.as_ref())),
        ("respond", place(route.respond.as_ref())),
        ("strip-prefix", place(route.strip_prefix.as_ref())),
        ("rewrite", place(route.rewrite.as_ref())),
        ("host", place(route.host.as_ref())),
        ("timeout", place(route.timeout.as_ref())),
        ("deadline-from", place(route.deadline_from.as_ref())),
        ("fallback", place(route.fallback.as_ref())),
        ("mirror", place(route.mirror.as_ref())),
        ("retry", place(route.retry.as_ref())),
        ("cache", place(route.cache.as_ref())),
        (
            "stream-idle-timeout",
            place(route.stream_idle_timeout.as_ref()),
        ),
        ("stream-max", place(route.stream_max.as_ref())),
        ("trailing-slash", place(route.trailing_slash.as_ref())),
    ]
}

/// Keys that have a built-in default: worth a line in `explain` also where nobody wrote them.
const DEFAULTED: &[&str] = &["listener", "timeout", "trailing-slash"];

/// Where each value of a route comes from.
pub(super) fn provenance(
    route: &RawRoute,
    defaults: &[(&str, Option<Span>)],
    lineage: &[&str],
    routes: &Routes,
) -> Vec<Provenance> {
    let spans: BTreeSet<(usize, usize)> = lineage
        .first()
        .and_then(|own| routes.get(*own))
        .map(|own| places(&own.own))
        .into_iter()
        .flatten()
        .filter_map(|(_, span)| span.map(|span| (span.start, span.end)))
        .collect();
    let holder = |key: &str, span: &Span| {
        let is_here = |name: &&&str| {
            routes.get(**name).is_some_and(|route| {
                places(&route.own)
                    .iter()
                    .any(|(other, place)| *other == key && place.as_ref() == Some(span))
            })
        };
        let name = lineage.iter().skip(1).find(is_here)?;
        Some(Arc::from(*name))
    };
    let default = |key: &str| {
        let found = defaults.iter().find(|(of, _)| *of == key);
        found.and_then(|(_, span)| span.clone())
    };
    places(route)
        .into_iter()
        .map(|(key, span)| (key, span.or_else(|| default(key))))
        .filter(|(key, span)| span.is_some() || DEFAULTED.contains(key))
        .map(|(key, span)| {
            let inherited = span
                .as_ref()
                .filter(|span| !spans.contains(&(span.start, span.end)));
            Provenance {
                key,
                like: inherited.and_then(|span| holder(key, span)),
                span,
            }
        })
        .collect()
}
