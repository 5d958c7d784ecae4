//! How a route keeps answers, as data and as one line.

use serde_json::{Map, Value, json};

use super::duration;
use crate::cache::policy::Statuses;
use crate::cache::query::{Glob, QueryRule};
use crate::config::model::CacheConfig;

pub(super) fn value(cache: &CacheConfig) -> Value {
    let rules = &cache.rules;
    let by_status: Map<String, Value> = rules
        .ttl_by_status
        .iter()
        .map(|(statuses, time)| (statuses.to_string(), duration(*time).into()))
        .collect();
    json!({
        "ttl": rules.ttl.map(duration),
        "ttl-override": rules.ttl_override.map(duration),
        "ttl-by-status": by_status,
        "stale-while-revalidate": duration(rules.stale_while_revalidate),
        "stale-if-error": duration(rules.stale_if_error),
        "heuristic": rules.heuristic,
        "zone": &*cache.zone,
        "object-max": cache.object_max,
        "query": query(&cache.query),
        "vary-on": cache.vary_on.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "cookies": { "ignore": names(&rules.ignored_cookies) },
        "shared": cache.shared,
        "bypass": cache.bypass.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "tags-from": cache.tags_from.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

fn query(rule: &QueryRule) -> Value {
    match rule {
        QueryRule::All => Value::Null,
        QueryRule::Keep(globs) => json!({ "keep": names(globs) }),
        QueryRule::Drop(globs) => json!({ "drop": names(globs) }),
    }
}

fn names(globs: &[Glob]) -> Vec<&str> {
    globs.iter().map(Glob::pattern).collect()
}

pub(super) fn line(cache: &CacheConfig) -> String {
    let rules = &cache.rules;
    let mut parts = vec![match (rules.ttl_override, rules.ttl) {
        (Some(time), _) => format!("{} whatever the origin says", duration(time)),
        (None, Some(time)) => format!("{} unless the origin says otherwise", duration(time)),
        (None, None) => "as the origin says".to_owned(),
    }];
    let by_status =
        |(statuses, time): &(Statuses, _)| format!("{statuses} for {}", duration(*time));
    parts.extend(rules.ttl_by_status.iter().map(by_status));
    parts.push(format!("zone {}", cache.zone));
    parts.join(", ")
}
