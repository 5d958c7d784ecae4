//! `cache` of a route and `[cache-zone.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use plugins::contract::place::{At, Span};
use plugins::contract::report::Report;
use plugins::contract::units::Time;
use plugins::contract::value::Value;

use super::{Context, bounds, matcher, plain};
use crate::cache::policy::{Rules, Statuses};
use crate::cache::query::{Glob, QueryRule};
use crate::config::leaf::StatusRange;
use crate::config::model::{CacheConfig, CacheDiskConfig, CacheZoneConfig};
use crate::config::raw::{
    Either, RawCache, RawCacheDisk, RawCacheOrTime, RawCacheQuery, RawCacheZone,
};
use crate::routing::pattern::Matcher;

/// The zone that is there without being written.
const DEFAULT_ZONE: &str = "default";

/// All zones, the one of every configuration among them.
pub(super) fn zones(
    raw: BTreeMap<String, At<RawCacheZone>>,
    stores: &BTreeMap<String, usize>,
    context: &mut Context<'_>,
) -> Vec<CacheZoneConfig> {
    let mut zones: Vec<CacheZoneConfig> = raw
        .into_iter()
        .map(|(name, zone)| CacheZoneConfig {
            name: name.into(),
            span: Some(zone.span()),
            memory: bounds::ZONE_MEMORY.bytes(zone.memory.as_ref(), context.report),
            disk: zone.disk.as_ref().map(|disk| self::disk(disk, context)),
            store: zone.store.as_ref().map(|store| {
                context.reference("store", store, &store.span(), stores);
                Arc::from(store.as_str())
            }),
        })
        .collect();
    apart(&zones, context);
    if !zones.iter().any(|zone| &*zone.name == DEFAULT_ZONE) {
        zones.push(CacheZoneConfig {
            name: DEFAULT_ZONE.into(),
            span: None,
            memory: bounds::ZONE_MEMORY.bytes(None, context.report),
            disk: None,
            store: None,
        });
    }
    zones
}

fn disk(raw: &At<RawCacheDisk>, context: &mut Context<'_>) -> CacheDiskConfig {
    let size = bounds::ZONE_DISK.bytes(Some(&raw.size), context.report);
    CacheDiskConfig {
        path: raw.path.0.clone(),
        span: raw.path.span(),
        size: u64::try_from(size).unwrap_or(u64::MAX),
    }
}

/// No two zones share a directory, nor is one inside another's.
fn apart(zones: &[CacheZoneConfig], context: &mut Context<'_>) {
    let disks: Vec<_> = zones
        .iter()
        .filter_map(|zone| Some((&zone.name, zone.disk.as_ref()?)))
        .collect();
    for (position, (_, disk)) in disks.iter().enumerate() {
        let mut before = disks.iter().take(position);
        let other = before.find(|(_, other)| {
            disk.path.starts_with(&other.path) || other.path.starts_with(&disk.path)
        });
        if let Some((name, other)) = other {
            context
                .report
                .error(
                    disk.span.clone(),
                    "cache.shared-directory",
                    format!("the zone `{name}` keeps its answers there"),
                )
                .label(format!("`{name}` has {}", other.path.display()))
                .help("give each zone a directory of its own, beside the others");
        }
    }
}

/// The policy; `None` for `"none"`.
pub(super) fn cache(
    raw: &At<RawCacheOrTime>,
    pattern: Option<&Matcher>,
    zones: &BTreeMap<String, usize>,
    context: &mut Context<'_>,
) -> Option<CacheConfig> {
    let table = match &**raw {
        Either::Short(time) => {
            let ttl = At::new(time.0?, raw.span());
            return Some(CacheConfig {
                rules: Rules {
                    ttl: Some(bounds::CACHE_TTL.duration(Some(&ttl), context.report)),
                    ..Rules::default()
                },
                ..plainest()
            });
        }
        Either::Long(table) => table,
    };
    let zone = table.zone.as_ref();
    if let Some(zone) = zone.filter(|zone| ***zone != DEFAULT_ZONE) {
        context.reference("cache-zone", zone, &zone.span(), zones);
    }
    let conditions = table.bypass.clone().map(At::into_inner);
    Some(CacheConfig {
        rules: rules(table, context),
        zone: zone.map_or_else(|| DEFAULT_ZONE.into(), |zone| Arc::from(zone.as_str())),
        object_max: bounds::OBJECT_MAX.bytes(table.object_max.as_ref(), context.report),
        query: table
            .query
            .as_ref()
            .map_or_else(QueryRule::default, |query| self::query(query, context)),
        vary_on: vary_on(table, pattern, context),
        shared: plain(table.shared.as_ref()).unwrap_or_default(),
        bypass: conditions
            .and_then(|conditions| matcher::conditions(conditions, context))
            .unwrap_or_default(),
        tags_from: tags_from(table, context),
    })
}

/// The policy of `[defaults]` on a route: the values that it names must be there.
pub(super) fn inherited(
    cache: &CacheConfig,
    span: &Span,
    pattern: Option<&Matcher>,
    context: &mut Context<'_>,
) -> CacheConfig {
    for value in &cache.vary_on {
        context.value(value, span, pattern);
    }
    cache.clone()
}

fn plainest() -> CacheConfig {
    CacheConfig {
        rules: Rules::default(),
        zone: DEFAULT_ZONE.into(),
        object_max: bounds::OBJECT_MAX.bytes(None, &mut Report::default()),
        query: QueryRule::All,
        vary_on: Vec::new(),
        shared: false,
        bypass: Vec::new(),
        tags_from: default_tags(),
    }
}

fn rules(table: &RawCache, context: &mut Context<'_>) -> Rules {
    let ttl_by_status = by_status(table, context);
    let report = &mut *context.report;
    let mut time = |bound: bounds::Bound<Time>, written: &Option<At<Time>>| {
        written
            .as_ref()
            .map(|written| bound.duration(Some(written), report))
    };
    Rules {
        ttl: time(bounds::CACHE_TTL, &table.ttl),
        ttl_override: time(bounds::CACHE_TTL_OVERRIDE, &table.ttl_override),
        stale_while_revalidate: time(bounds::STALE_WHILE, &table.stale_while_revalidate)
            .unwrap_or_default(),
        stale_if_error: time(bounds::STALE_IF_ERROR, &table.stale_if_error).unwrap_or_default(),
        ttl_by_status,
        heuristic: plain(table.heuristic.as_ref()).unwrap_or_default(),
        ignored_cookies: table
            .cookies
            .as_ref()
            .map(|cookies| globs(&cookies.ignore, "cookies.ignore", context))
            .unwrap_or_default(),
    }
}

fn by_status(table: &RawCache, context: &mut Context<'_>) -> Vec<(Statuses, Duration)> {
    let Some(written) = &table.ttl_by_status else {
        return Vec::new();
    };
    let mut found: Vec<(Statuses, Duration)> = Vec::new();
    for (name, time) in &**written {
        let lifetime = bounds::CACHE_TTL.duration(Some(time), context.report);
        match name.parse::<StatusRange>() {
            Ok(range) => found.push((
                Statuses {
                    first: *range.0.start(),
                    last: *range.0.end(),
                },
                lifetime,
            )),
            Err(error) => {
                context
                    .report
                    .error(time.span(), "cache.ttl-by-status", error.message)
                    .help("the keys are statuses: \"404\" or \"500-599\"");
            }
        }
    }
    // Of two that hold a status, the narrower decides.
    found.sort_by_key(|(statuses, _)| statuses.last - statuses.first);
    found
}

fn query(raw: &At<RawCacheQuery>, context: &mut Context<'_>) -> QueryRule {
    match (&raw.keep, &raw.drop) {
        (Some(keep), None) => QueryRule::Keep(globs(keep, "query.keep", context)),
        (None, Some(drop)) => QueryRule::Drop(globs(drop, "query.drop", context)),
        _ => {
            context
                .report
                .error(
                    raw.span(),
                    "cache.query",
                    "`query` has one of `keep` and `drop`",
                )
                .help("name what counts in `keep`, or what does not in `drop`");
            QueryRule::All
        }
    }
}

fn globs(written: &At<Vec<At<String>>>, key: &str, context: &mut Context<'_>) -> Vec<Glob> {
    for name in written.iter().filter(|name| name.is_empty()) {
        context
            .report
            .error(
                name.span(),
                "cache.empty-name",
                format!("`{key}` holds an empty name"),
            )
            .help("write a name, or \"*\" for all");
    }
    written.iter().map(|name| Glob::new(name)).collect()
}

fn vary_on(table: &RawCache, pattern: Option<&Matcher>, context: &mut Context<'_>) -> Vec<Value> {
    let Some(written) = &table.vary_on else {
        return Vec::new();
    };
    for value in written.iter() {
        context.value(value, &value.span(), pattern);
    }
    written.iter().map(|value| (**value).clone()).collect()
}

fn tags_from(table: &RawCache, context: &mut Context<'_>) -> Vec<HeaderName> {
    let Some(written) = &table.tags_from else {
        return default_tags();
    };
    let mut names = Vec::new();
    for name in written.iter() {
        match name.parse() {
            Ok(name) => names.push(name),
            Err(_) => not_a_header(name, name.span(), context),
        }
    }
    names
}

fn not_a_header(name: &str, span: Span, context: &mut Context<'_>) {
    context
        .report
        .error(
            span,
            "cache.tags-from",
            format!("`{name}` is not the name of a header"),
        )
        .help("write for example tags-from = [\"surrogate-key\"]");
}

fn default_tags() -> Vec<HeaderName> {
    vec![
        HeaderName::from_static("surrogate-key"),
        HeaderName::from_static("cache-tag"),
    ]
}
