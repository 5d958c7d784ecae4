//! The configuration as written: every key optional or required as the language says, every leaf with its place.
//!
//! No defaults and no logic. The JSON Schema comes from these types, and their comments are the manual: key, meaning,
//! default. A route's table holds the policies' keys too; they are split off before serde sees it, because `flatten`
//! loses places.

use std::collections::BTreeMap;

use plugins::chain::{RawNamed, RawPolicies};
use plugins::contract::file::FileRef;
use plugins::contract::place::At;
use plugins::contract::report::Report;
use plugins::contract::units::{Share, Time};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

mod cache;
mod consumer;
mod either;
mod health;
mod listener;
mod overload;
mod retry;
mod route;
mod store;
mod switch;
mod upstream;

pub(super) use cache::{RawCache, RawCacheDisk, RawCacheOrTime, RawCacheQuery, RawCacheZone};
pub(super) use consumer::{RawConsumer, RawSubject};
pub(super) use either::Either;
pub(super) use health::{RawBreaker, RawHealth, RawOutlier};
pub(super) use listener::{
    RawCertificate, RawClientAuth, RawH2, RawListener, RawRedirectHttps, RawTls, RawTlsVersion,
    RawTolerance,
};
pub(super) use overload::RawOverload;
pub(super) use retry::{RawRetry, RawRetryOrNone};
pub(super) use route::{
    RawCondition, RawConditions, RawDispatch, RawMatch, RawNames, RawRedirect, RawRespond,
    RawRoute, RawRouteUpstream, RawSplit, RawTrailingSlash,
};
pub(super) use store::{RawRedis, RawRedisTls, RawStore};
pub(super) use switch::Switch;
pub(super) use upstream::{
    RawBalance, RawForwarded, RawProtocol, RawStickyCookie, RawTarget, RawUpstream, RawUpstreamTls,
};

use super::dom::Node;
use super::leaf::{ListenAddress, LogEntry, LogPath, NameServer, SocketPath};
use super::secret::SecretRef;

/// The whole file, but for policies.
#[derive(Debug, JsonSchema)]
#[schemars(deny_unknown_fields, rename_all = "kebab-case")]
#[expect(
    dead_code,
    reason = "describes the top of a file to the schema; `Raw` is what is read"
)]
pub(super) struct RawFile {
    /// More files, relative to this one: `["routes/*.toml"]`. Only the last part may hold `*`.
    include: Option<Vec<String>>,
    /// The process.
    server: Option<RawServer>,
    /// Where clients connect: `[listener.NAME]`, at least one.
    listener: BTreeMap<String, RawListener>,
    /// Where requests go: `[upstream.NAME]`.
    upstream: Option<BTreeMap<String, RawUpstream>>,
    /// What several gateways share: `[store.NAME]`.
    store: Option<BTreeMap<String, RawStore>>,
    /// Which requests are taken and what happens to them: `[route.NAME]`.
    route: Option<BTreeMap<String, RawRoute>>,
    /// Where answers are kept: `[cache-zone.NAME]`; `default` is there without being written.
    cache_zone: Option<BTreeMap<String, RawCacheZone>>,
    /// Who may call, and by which credentials: `[consumer.NAME]`.
    consumer: Option<BTreeMap<String, RawConsumer>>,
    /// A file with more consumers, however many: `"file:consumers.toml"`. It holds `[consumer.NAME]` tables and nothing else.
    consumers: Option<FileRef>,
    /// Policies that every route has and none may drop.
    always: Option<RawPolicies>,
    /// Policies that a route may replace.
    defaults: Option<RawDefaults>,
    /// When the gateway itself has too much to do, and who is turned away then. Left out: nobody.
    overload: Option<RawOverload>,
    /// Health, metrics, configuration and reload, on an address of their own.
    admin: Option<RawAdmin>,
    /// One JSON line a request.
    access_log: Option<RawAccessLog>,
}

/// The process.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawServer {
    /// Worker threads. Default: one a core.
    pub(super) workers: Option<At<u32>>,
    /// How long requests in flight may take after SIGTERM. Default: `"30s"`.
    pub(super) shutdown_grace: Option<At<Time>>,
    /// Open client connections of all listeners together. Default: `100000`.
    pub(super) connections_max: Option<At<u32>>,
    /// Idle connections to upstreams that each worker keeps. Default: `1024`.
    pub(super) upstream_idle_max: Option<At<u32>>,
    /// DNS servers, `"10.0.0.2"` or `"10.0.0.2:5353"`. Left out: those of the system.
    pub(super) resolvers: Option<At<Vec<At<NameServer>>>>,
    /// The unix socket by which a new process takes over the sockets of this one; left out: there is none, and a new
    /// binary needs a restart.
    pub(super) control_socket: Option<At<SocketPath>>,
}

/// What a route has unless it says otherwise; beside these keys, any policy.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawDefaults {
    /// Until the last byte of the answer. Default: `"60s"`.
    pub(super) timeout: Option<At<Time>>,
    /// How failed attempts are repeated. Default: not at all.
    pub(super) retry: Option<At<RawRetryOrNone>>,
    /// How answers of routes with an upstream are kept. Default: not at all.
    pub(super) cache: Option<At<RawCacheOrTime>>,
    /// How long a stream may be silent. Default: `"5min"`.
    pub(super) stream_idle_timeout: Option<At<Time>>,
    /// How long a stream may last. Default: `"24h"`.
    pub(super) stream_max: Option<At<Time>>,
}

/// Health, metrics, configuration and reload.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawAdmin {
    /// Loopback, or `unix:/path`; anything else needs tokens.
    pub(super) address: At<ListenAddress>,
    /// Who may do what.
    pub(super) tokens: Option<At<RawTokens>>,
    /// An address for `/healthz` and `/readyz` alone.
    pub(super) probes: Option<At<ListenAddress>>,
    /// An address for `/metrics` alone.
    pub(super) metrics: Option<At<ListenAddress>>,
    /// How `/limits` shows whom it counts: `"plain"` or `"hashed"`. Default: `"plain"`.
    pub(super) limit_keys: Option<At<RawLimitKeys>>,
    /// Certificates: with them `address` and `metrics` speak TLS only; `probes` stays plaintext.
    pub(super) tls: Option<At<RawTls>>,
}

/// How `/limits` shows whom it counts.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawLimitKeys {
    /// As they are.
    Plain,
    /// As digests that change with every start.
    Hashed,
}

/// Tokens of the admin listener.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawTokens {
    /// May read.
    pub(super) read: Option<At<SecretRef>>,
    /// May read and change.
    pub(super) write: Option<At<SecretRef>>,
}

/// One JSON line a request.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RawAccessLog {
    /// `"stdout"`, `"off"` or a file, which is reopened on SIGUSR1. Default: `"stdout"`.
    pub(super) path: Option<At<LogPath>>,
    /// Share of requests with a status below 400 that are logged. Default: `"100%"`.
    pub(super) sample: Option<At<Share>>,
    /// Whether the query is logged: it may hold credentials. Default: `false`.
    pub(super) query: Option<At<bool>>,
    /// What a line holds beside its time: fields of the default line and values of the request, which are left out where the
    /// request has none, or more than one. Default: every field, and no value.
    pub(super) fields: Option<At<Vec<At<LogEntry>>>>,
}

/// A route or `[defaults]`: its own keys and its policies.
#[derive(Debug, Clone)]
pub(super) struct WithPolicies<T> {
    /// Its own keys.
    pub(super) own: T,
    /// Its policies.
    pub(super) policies: RawPolicies,
    /// Where its table starts.
    pub(super) span: std::ops::Range<usize>,
}

/// All tables of a configuration as written.
#[derive(Debug, Default)]
pub(super) struct Raw {
    pub(super) server: Option<At<RawServer>>,
    pub(super) listeners: BTreeMap<String, At<RawListener>>,
    pub(super) upstreams: BTreeMap<String, At<RawUpstream>>,
    pub(super) stores: BTreeMap<String, At<RawStore>>,
    pub(super) routes: BTreeMap<String, WithPolicies<RawRoute>>,
    pub(super) cache_zones: BTreeMap<String, At<RawCacheZone>>,
    pub(super) consumers: BTreeMap<String, At<RawConsumer>>,
    pub(super) consumers_file: Option<At<FileRef>>,
    pub(super) always: RawPolicies,
    pub(super) defaults: Option<WithPolicies<RawDefaults>>,
    pub(super) overload: Option<At<RawOverload>>,
    pub(super) admin: Option<At<RawAdmin>>,
    pub(super) access_log: Option<At<RawAccessLog>>,
    pub(super) named: RawNamed,
}

impl Raw {
    /// Reads a tree that has passed the shape check.
    pub(super) fn read(root: DeTable<'_>, report: &mut Report) -> Self {
        let mut raw = Self::default();
        let mut named = DeTable::new();
        for (key, node) in root {
            match key.get_ref().as_ref() {
                "include" => {}
                "server" => raw.server = read(node, report),
                "listener" => raw.listeners = objects(node, report, read),
                "upstream" => raw.upstreams = objects(node, report, read),
                "cache-zone" => raw.cache_zones = objects(node, report, read),
                "store" => raw.stores = objects(node, report, read),
                "route" => raw.routes = objects(node, report, with_policies),
                "consumer" => raw.consumers = objects(node, report, read),
                "consumers" => raw.consumers_file = read(node, report),
                "always" => {
                    raw.always = read(node, report).map(At::into_inner).unwrap_or_default();
                }
                "defaults" => raw.defaults = with_policies(node, report),
                "overload" => raw.overload = read(node, report),
                "admin" => raw.admin = read(node, report),
                "access-log" => raw.access_log = read(node, report),
                _ => {
                    named.insert(key, node);
                }
            }
        }
        let named = Spanned::new(0..0, DeValue::Table(named));
        raw.named = read(named, report).map(At::into_inner).unwrap_or_default();
        raw
    }
}

fn read<T: DeserializeOwned>(node: Node<'_>, report: &mut Report) -> Option<At<T>> {
    let span = node.span();
    match At::deserialize(ValueDeserializer::from(node)) {
        Ok(value) => Some(value),
        Err(error) => {
            // The shape check should have found it; whatever it did not know is still a complaint.
            let span = error.span().unwrap_or(span);
            report.error(span, "config.shape", error.message());
            None
        }
    }
}

fn objects<T>(
    node: Node<'_>,
    report: &mut Report,
    read: impl Fn(Node<'_>, &mut Report) -> Option<T>,
) -> BTreeMap<String, T> {
    let DeValue::Table(table) = node.into_inner() else {
        return BTreeMap::new();
    };
    table
        .into_iter()
        .filter_map(|(name, node)| Some((name.into_inner().into_owned(), read(node, report)?)))
        .collect()
}

fn with_policies<T: DeserializeOwned>(
    node: Node<'_>,
    report: &mut Report,
) -> Option<WithPolicies<T>> {
    let span = node.span();
    let DeValue::Table(table) = node.into_inner() else {
        return None;
    };
    let (mut own, mut policies) = (DeTable::new(), DeTable::new());
    for (key, node) in table {
        let is_policy = plugins::chain::NAMES.contains(&key.get_ref().as_ref());
        if is_policy { &mut policies } else { &mut own }.insert(key, node);
    }
    let table = |table| Spanned::new(span.clone(), DeValue::Table(table));
    Some(WithPolicies {
        own: At::<T>::into_inner(read(table(own), report)?),
        policies: At::into_inner(read(table(policies), report)?),
        span: span.clone(),
    })
}
