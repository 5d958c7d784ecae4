//! `[route.NAME]` as written.

use std::collections::BTreeMap;

use plugins::contract::file::FileRef;
use plugins::contract::place::At;
use plugins::contract::template::Template;
use plugins::contract::units::Time;
use plugins::contract::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Either, RawCacheOrTime, RawRetryOrNone};
use crate::config::leaf::{MatchHost, MatchLine, MatchPath};

/// A name or several.
pub(in crate::config) type RawNames = Either<String, Vec<At<String>>>;

/// An upstream's name, or one that depends on the request.
pub(in crate::config) type RawRouteUpstream = Either<String, RawDispatch>;

/// A condition on a header, query parameter or cookie.
pub(in crate::config) type RawCondition = Either<String, RawExact>;

/// Which requests are taken and what happens to them; beside these keys, any policy.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawRoute {
    /// Methods, host and path: `"GET,POST {tenant}.example.com/orders/{id}"`, or a table for more.
    pub(in crate::config) r#match: Option<At<Either<MatchLine, RawMatch>>>,
    /// Listeners by which the route is reached: a name, a list or `"any"`. Default: the only listener.
    pub(in crate::config) listener: Option<At<RawNames>>,
    /// The route that this one is a copy of, but for what it says itself.
    pub(in crate::config) like: Option<At<String>>,
    /// Forwards to this upstream; `{ by, map, otherwise }` chooses by a value of the request.
    pub(in crate::config) upstream: Option<At<RawRouteUpstream>>,
    /// Forwards to one of several upstreams by weight.
    pub(in crate::config) split: Option<At<RawSplit>>,
    /// Answers with a redirect.
    pub(in crate::config) redirect: Option<At<RawRedirect>>,
    /// Answers itself.
    pub(in crate::config) respond: Option<At<RawRespond>>,
    /// Leading part of the path that the upstream does not see.
    pub(in crate::config) strip_prefix: Option<At<String>>,
    /// The path for the upstream, `"/v2/{path.id}"`; the query is kept unless this has one.
    pub(in crate::config) rewrite: Option<At<Template>>,
    /// The `Host` for the upstream. Default: as the upstream says.
    pub(in crate::config) host: Option<At<Template>>,
    /// Until the last byte of the answer. Default: `"60s"`.
    pub(in crate::config) timeout: Option<At<Time>>,
    /// A header in which clients say how long they want to wait: `"header.x-request-timeout"`. It can only shorten.
    pub(in crate::config) deadline_from: Option<At<Value>>,
    /// When the upstream has failed for good: another upstream, or an answer like `respond`.
    pub(in crate::config) fallback: Option<At<Either<String, RawRespond>>>,
    /// An upstream that gets a copy of every request; its answers are dropped.
    pub(in crate::config) mirror: Option<At<String>>,
    /// How failed attempts are repeated; `"none"` drops the default. Default: not at all.
    pub(in crate::config) retry: Option<At<RawRetryOrNone>>,
    /// Keeps answers: for how long when their origin does not say, or a table; `"none"` drops it. Default: not at all.
    pub(in crate::config) cache: Option<At<RawCacheOrTime>>,
    /// How long a stream (Upgrade, server-sent events, gRPC) may be silent in both directions. Default: `"5min"`.
    pub(in crate::config) stream_idle_timeout: Option<At<Time>>,
    /// How long a stream may last; its `timeout` ends with the head. Default: `"24h"`.
    pub(in crate::config) stream_max: Option<At<Time>>,
    /// A request that differs only in the trailing slash. Default: `"exact"`.
    pub(in crate::config) trailing_slash: Option<At<RawTrailingSlash>>,
}

/// What a route matches, in full.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawMatch {
    /// Path: `"/orders/{id}"`, `"/orders/**"`.
    pub(in crate::config) path: At<MatchPath>,
    /// Hosts. Default: any.
    pub(in crate::config) host: Option<At<Vec<At<MatchHost>>>>,
    /// Methods; `GET` brings `HEAD`. Default: any.
    pub(in crate::config) method: Option<At<Vec<At<String>>>>,
    /// Header fields: a literal, `"~regex"`, `"*"` (present), `"!"` (absent) or `{ exact = "~literal" }`.
    pub(in crate::config) header: Option<BTreeMap<String, At<RawCondition>>>,
    /// Query parameters, likewise.
    pub(in crate::config) query: Option<BTreeMap<String, At<RawCondition>>>,
    /// Cookies, likewise.
    pub(in crate::config) cookie: Option<BTreeMap<String, At<RawCondition>>>,
}

/// A literal that looks like something else.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawExact {
    /// Exactly this text.
    pub(in crate::config) exact: At<String>,
}

/// Conditions on a request.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawConditions {
    /// Header fields.
    pub(in crate::config) header: Option<BTreeMap<String, At<RawCondition>>>,
    /// Query parameters.
    pub(in crate::config) query: Option<BTreeMap<String, At<RawCondition>>>,
    /// Cookies.
    pub(in crate::config) cookie: Option<BTreeMap<String, At<RawCondition>>>,
}

/// A choice by a value of the request.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawDispatch {
    /// The value: `"host.tenant"`.
    pub(in crate::config) by: At<Value>,
    /// What each of its values means.
    pub(in crate::config) map: BTreeMap<String, At<String>>,
    /// For any other value, and for none. Default: 404 `dispatch.no-match`.
    pub(in crate::config) otherwise: Option<At<String>>,
}

/// Several upstreams by weight.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawSplit {
    /// Upstreams with weights, 0 to 1000: `{ stable = 90, canary = 10 }`.
    pub(in crate::config) to: At<BTreeMap<String, At<u32>>>,
    /// The same value always gets the same upstream. Default: each request anew.
    pub(in crate::config) sticky: Option<At<Value>>,
    /// Requests that meet all conditions get this upstream whatever the weights.
    pub(in crate::config) pick: Option<BTreeMap<String, At<RawConditions>>>,
}

/// A redirect.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawRedirect {
    /// Where to: `"https://www.example.com/{path.rest}"`. A captured value never comes first.
    pub(in crate::config) to: At<Template>,
    /// 301, 302, 303, 307 or 308. Default: `308`.
    pub(in crate::config) status: Option<At<u16>>,
}

/// An answer without an upstream.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawRespond {
    /// 200 to 599. Default: `200`.
    pub(in crate::config) status: Option<At<u16>>,
    /// The content. Default: none.
    pub(in crate::config) body: Option<At<String>>,
    /// A file with the content, read at reload: `"file:sorry.html"`.
    pub(in crate::config) body_file: Option<At<FileRef>>,
    /// Header fields.
    pub(in crate::config) headers: Option<BTreeMap<String, At<String>>>,
}

/// A request that differs from the route only in the trailing slash.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum RawTrailingSlash {
    /// Is another path.
    Exact,
    /// Is redirected to the form that exists (308).
    Redirect,
}
