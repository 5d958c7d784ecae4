//! The configuration as meant: defaults filled in, names resolved to indices, impossible states gone.
//!
//! Made only by `validate`; read by `runtime::compile`. Holds no runtime type: no regex set, no socket, no task.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use plugins::chain::PoliciesConfig;
use plugins::contract::consumers::Directory;
use plugins::contract::place::Span;
use plugins::contract::template::Template;
use plugins::contract::value::Value;

mod access_log;
mod cache;
mod health;
mod listener;
mod overload;
mod retry;
mod store;
mod upstream;

pub use access_log::{AccessLogConfig, AccessLogPath, LogField, LogFields, LogValue};
pub use cache::{CacheConfig, CacheDiskConfig, CacheZoneConfig};
pub use health::{BreakerConfig, CheckConfig, HealthConfig, HttpCheckConfig, OutlierConfig};
pub use listener::{
    CertificateConfig, ClientsConfig, H2Config, ListenerConfig, TlsConfig, TlsVersion,
};
pub use overload::OverloadConfig;
pub use retry::{RetryConfig, RetryOn};
pub use store::{StoreConfig, StoreIdentity, StoreTls};
pub use upstream::{
    Authorities, Balance, ClientIdentity, Forwarded, HostPolicy, Protocol, StickyCookie,
    TargetConfig, TargetHost, UpstreamConfig, UpstreamId, UpstreamTls,
};

use super::secret::SecretRef;
use crate::routing::pattern::{Condition, Matcher};

/// The whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[server]`
    pub server: ServerConfig,
    /// `[listener.*]`, at least one, in the order of their names.
    pub listeners: Vec<ListenerConfig>,
    /// `[upstream.*]` in the order of their names.
    pub upstreams: Vec<UpstreamConfig>,
    /// `[cache-zone.*]` in the order of their names, and `default`.
    pub cache_zones: Vec<CacheZoneConfig>,
    /// `[store.*]` in the order of their names.
    pub stores: Vec<StoreConfig>,
    /// `[route.*]` in the order of their names.
    pub routes: Vec<RouteConfig>,
    /// `[consumer.*]`
    pub consumers: Arc<Directory>,
    /// `[overload]`
    pub overload: Option<OverloadConfig>,
    /// `[admin]`
    pub admin: Option<AdminConfig>,
    /// `[access-log]`
    pub access_log: AccessLogConfig,
}

/// A file that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedFile {
    /// Where it is.
    pub path: PathBuf,
    /// Where it is named.
    pub span: Span,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq)]
pub struct ServerConfig {
    /// Worker threads; `None`: one a core.
    pub workers: Option<usize>,
    /// How long requests in flight may take after SIGTERM.
    pub shutdown_grace: Duration,
    /// Open client connections of all listeners together.
    pub connections_max: usize,
    /// Idle connections to upstreams that each worker keeps.
    pub upstream_idle_max: usize,
    /// DNS servers; none: those of the system.
    pub resolvers: Vec<SocketAddr>,
    /// Where a new process asks for the sockets of this one.
    pub control_socket: Option<PathBuf>,
}

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// `host:port`
    Tcp(SocketAddr),
    /// `unix:/path`
    Unix(PathBuf),
}

/// `[route.NAME]`
#[derive(Debug, Clone, PartialEq)]
pub struct RouteConfig {
    /// Its name.
    pub name: Arc<str>,
    /// Where the table starts.
    pub span: Span,
    /// Indices of the listeners it is reached by.
    pub listeners: Vec<usize>,
    /// What it matches.
    pub matcher: Matcher,
    /// Where the match is written (in the route that this one is `like`, if it says none itself).
    pub match_span: Span,
    /// What it does.
    pub action: Action,
    /// Where the action is written.
    pub action_span: Span,
    /// Its policies in order.
    pub policies: PoliciesConfig,
    /// Until the last byte of the answer.
    pub timeout: Duration,
    /// The header in which clients say how long they want to wait.
    pub deadline_from: Option<HeaderName>,
    /// What happens when the upstream has failed for good.
    pub fallback: Option<FallbackConfig>,
    /// The upstream that gets copies of the requests.
    pub mirror: Option<UpstreamId>,
    /// How failed attempts are repeated; `None`: not at all.
    pub retry: Option<RetryConfig>,
    /// How its answers are kept; `None`: not at all.
    pub cache: Option<CacheConfig>,
    /// What holds for a stream once its head is there.
    pub stream: StreamLimits,
    /// What happens to a request that differs only in the trailing slash.
    pub trailing_slash: TrailingSlash,
    /// How the path is changed for the upstream.
    pub path: PathChange,
    /// The `Host` for the upstream, over the upstream's own policy.
    pub host: Option<Template>,
    /// Where each of its values comes from: key, place, and whether from the route itself, `like`, `[defaults]` …
    pub provenance: Vec<Provenance>,
}

/// Limits of an answer that has no natural end: a tunnel, server-sent events, a gRPC stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// The longest silence in both directions.
    pub idle: Duration,
    /// From the head of the answer to its last byte.
    pub max: Duration,
}

/// Where one value of a route comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Provenance {
    /// The key.
    pub key: &'static str,
    /// Where it is written; `None` for a built-in default.
    pub span: Option<Span>,
    /// The route whose table it is in, when it came by `like`.
    pub like: Option<Arc<str>>,
}

/// What a route does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Forwards.
    Upstream(Dispatch<UpstreamId>),
    /// Forwards to one of several by weight.
    Split(SplitConfig),
    /// Answers with a redirect.
    Redirect {
        /// Value of `Location`.
        to: Template,
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
    },
    /// Answers itself.
    Respond(RespondConfig),
}

impl Action {
    /// Where it may forward to.
    pub fn upstreams(&self) -> BTreeSet<UpstreamId> {
        match self {
            Self::Upstream(Dispatch::Always(id)) => BTreeSet::from([*id]),
            Self::Upstream(Dispatch::By { map, otherwise, .. }) => {
                map.values().chain(otherwise).copied().collect()
            }
            Self::Split(split) => split.arms.iter().map(|(id, _)| *id).collect(),
            Self::Redirect { .. } | Self::Respond(_) => BTreeSet::new(),
        }
    }
}

/// `fallback = …`
#[derive(Debug, Clone, PartialEq)]
pub enum FallbackConfig {
    /// Another upstream.
    Upstream(UpstreamId),
    /// An answer.
    Respond(RespondConfig),
}

/// A value that may depend on the request.
#[derive(Debug, Clone, PartialEq)]
pub enum Dispatch<T> {
    /// Always this.
    Always(T),
    /// Looked up by a value of the request.
    By {
        /// What is looked up.
        value: Value,
        /// The answers.
        map: BTreeMap<String, T>,
        /// When the map has none or the request has no such value.
        otherwise: Option<T>,
    },
}

/// `split = { … }`
#[derive(Debug, Clone, PartialEq)]
pub struct SplitConfig {
    /// Upstreams with weights; at least one weight is above zero.
    pub arms: Vec<(UpstreamId, u32)>,
    /// The same value always gets the same arm.
    pub sticky: Option<Value>,
    /// Requests that meet all conditions get this arm (an index of `arms`), first match wins.
    pub pick: Vec<(usize, Vec<Condition>)>,
}

/// `respond = { … }`
#[derive(Debug, Clone, PartialEq)]
pub struct RespondConfig {
    /// Status code, 200 to 599.
    pub status: StatusCode,
    /// Its content.
    pub body: RespondBody,
    /// Header fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// Content of a `respond` action.
#[derive(Debug, Clone, PartialEq)]
pub enum RespondBody {
    /// None.
    Empty,
    /// Written in the configuration.
    Text(String),
    /// Read at reload.
    File {
        /// Which file.
        path: PathBuf,
        /// Where it is named.
        span: Span,
    },
}

/// `trailing-slash = …`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrailingSlash {
    /// `/a` and `/a/` are two paths.
    #[default]
    Exact,
    /// The other form is redirected to the one that exists (308).
    Redirect,
}

/// How the path is changed for the upstream.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum PathChange {
    /// Not at all.
    #[default]
    Keep,
    /// `strip-prefix`: without these leading segments.
    StripPrefix(String),
    /// `rewrite`: this instead; the query is kept unless the template has one.
    Rewrite(Template),
}

/// How `/limits` shows whom it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LimitKeys {
    /// As they are.
    #[default]
    Plain,
    /// As digests that change with every start.
    Hashed,
}

/// `[admin]`
#[derive(Debug, Clone, PartialEq)]
pub struct AdminConfig {
    /// How `/limits` shows whom it counts.
    pub limit_keys: LimitKeys,
    /// Where it listens.
    pub address: Address,
    /// Where the table starts.
    pub span: Span,
    /// May read.
    pub read_token: Option<SecretRef>,
    /// May read and change.
    pub write_token: Option<SecretRef>,
    /// An address for `/healthz` and `/readyz` alone.
    pub probes: Option<Address>,
    /// An address for `/metrics` alone.
    pub metrics: Option<Address>,
    /// TLS of all but the probes; `None` is plaintext.
    pub tls: Option<TlsConfig>,
}
