//! `cache` of a route and `[cache-zone.NAME]` as written.

use std::collections::BTreeMap;

use plugins::contract::place::At;
use plugins::contract::units::{Size, Time};
use plugins::contract::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Either, RawConditions};
use crate::config::leaf::{CacheTime, DirectoryPath};

/// How long answers are kept when their origin does not say, `"none"`, or a table.
pub(in crate::config) type RawCacheOrTime = Either<CacheTime, RawCache>;

/// Which answers are kept, for how long and for whom. `{}` keeps what the origin says may be kept.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawCache {
    /// Lifetime of a 200, 203, 204, 300, 301 or 308 whose origin says nothing. Default: none.
    pub(in crate::config) ttl: Option<At<Time>>,
    /// Lifetime whatever the origin says, but for `no-store` and `private`. Default: none.
    pub(in crate::config) ttl_override: Option<At<Time>>,
    /// Lifetime by status where the origin says nothing: `{ "404" = "10s", "500-599" = "1s" }`.
    pub(in crate::config) ttl_by_status: Option<At<BTreeMap<String, At<Time>>>>,
    /// How long a stale answer is still given while a new one is fetched, where the origin says nothing. Default: `"0s"`.
    pub(in crate::config) stale_while_revalidate: Option<At<Time>>,
    /// How long a stale answer is still given when the origin fails, where the origin says nothing. Default: `"0s"`.
    pub(in crate::config) stale_if_error: Option<At<Time>>,
    /// Whether a lifetime may be guessed from `Last-Modified`. Default: `false`.
    pub(in crate::config) heuristic: Option<At<bool>>,
    /// Where answers are kept. Default: `"default"`.
    pub(in crate::config) zone: Option<At<String>>,
    /// Largest content that is kept. Default: `"8MiB"`.
    pub(in crate::config) object_max: Option<At<Size>>,
    /// Which query parameters make another request; the others are not forwarded either. Default: all.
    pub(in crate::config) query: Option<At<RawCacheQuery>>,
    /// Values of the request that make another one. Default: none.
    pub(in crate::config) vary_on: Option<At<Vec<At<Value>>>>,
    /// Cookies.
    pub(in crate::config) cookies: Option<At<RawCacheCookies>>,
    /// Whether one answer may serve every identity. Default: only where its origin says so.
    pub(in crate::config) shared: Option<At<bool>>,
    /// Requests that meet any of these are neither answered from the cache nor stored.
    pub(in crate::config) bypass: Option<At<RawConditions>>,
    /// Fields of answers that name their tags, for purges. Default: `["surrogate-key", "cache-tag"]`.
    pub(in crate::config) tags_from: Option<At<Vec<At<String>>>>,
}

/// Which query parameters count: one of the two.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawCacheQuery {
    /// These alone; `*` stands for any text.
    pub(in crate::config) keep: Option<At<Vec<At<String>>>>,
    /// All but these; `*` stands for any text.
    pub(in crate::config) drop: Option<At<Vec<At<String>>>>,
}

/// Cookies of a route that keeps answers.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawCacheCookies {
    /// These make no difference, neither in requests nor in answers; `*` stands for any text.
    pub(in crate::config) ignore: At<Vec<At<String>>>,
}

/// A piece of memory for answers, and a directory behind it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawCacheZone {
    /// How much it may hold, heads included. Default: `"64MiB"`.
    pub(in crate::config) memory: Option<At<Size>>,
    /// A directory for what is to outlive the process, and what memory cannot hold. Default: none.
    pub(in crate::config) disk: Option<At<RawCacheDisk>>,
    /// By which store it tells other gateways what is purged or changed by requests, and hears it from them. Default: none.
    pub(in crate::config) store: Option<At<String>>,
}

/// A directory for answers. The heads of what is there are in memory as well and may take half of it; one takes about 1 KiB.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawCacheDisk {
    /// The directory, from the root on: no other process uses it, and no other zone. It is made where the one above it exists.
    pub(in crate::config) path: At<DirectoryPath>,
    /// How much its files may take together, each rounded up to 4 KiB. One answer takes no more than half of it.
    pub(in crate::config) size: At<Size>,
}
