//! `[upstream.NAME]` as written.

use plugins::contract::file::FileRef;
use plugins::contract::place::At;
use plugins::contract::units::{Share, Time};
use plugins::contract::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Either, RawBreaker, RawHealth, RawOutlier, Switch};
use crate::config::leaf::{CertificateName, CookieName, HostChoice, HostPort};
use crate::config::secret::SecretRef;

/// A named group of targets.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawUpstream {
    /// Where requests go: `"host:port"`, `"srv:_http._tcp.NAME"` or `{ address = "host:port", weight = 3 }`, at least one.
    pub(in crate::config) targets: At<Vec<At<Either<HostPort, RawTarget>>>>,
    /// How a target is picked. Default: `"round-robin"`.
    pub(in crate::config) balance: Option<At<RawBalance>>,
    /// TLS to the targets: `true`, or a table that says more. Default: `false`.
    pub(in crate::config) tls: Option<At<Switch<RawUpstreamTls>>>,
    /// `"http/1.1"`; `"h2"`, on plaintext by prior knowledge; or `"auto"`: whichever TLS agrees on. Default: `"http/1.1"`.
    pub(in crate::config) protocol: Option<At<RawProtocol>>,
    /// The value of the request that `balance = "hash"` goes by; a request without it goes anywhere.
    pub(in crate::config) hash_on: Option<At<Value>>,
    /// A cookie that keeps a client at its target: its name, or a table. Default: none.
    pub(in crate::config) sticky_cookie: Option<At<Either<CookieName, RawStickyCookie>>>,
    /// For how long a target that is new or back gets less than its weight. Default: `"0s"`.
    pub(in crate::config) slow_start: Option<At<Time>>,
    /// When fewer than this share of the targets can be used, all are. Default: `"0%"`.
    pub(in crate::config) panic_threshold: Option<At<Share>>,
    /// The most requests that may be under way; more get a 503. Default: no limit of its own.
    pub(in crate::config) connections_max: Option<At<u32>>,
    /// For the connection, TLS included. Default: `"2s"`.
    pub(in crate::config) connect_timeout: Option<At<Time>>,
    /// Longest silence while reading. Default: `"30s"`.
    pub(in crate::config) read_timeout: Option<At<Time>>,
    /// Longest silence while writing. Default: `"30s"`.
    pub(in crate::config) write_timeout: Option<At<Time>>,
    /// How long an unused connection is kept. Default: `"60s"`.
    pub(in crate::config) idle_timeout: Option<At<Time>>,
    /// The `Host` that targets see: `"client"`, `"target"` or a host name. Default: `"client"`.
    pub(in crate::config) host: Option<At<HostChoice>>,
    /// Names are looked up again when DNS's answer is over, at the latest after this. Default: `"30s"`.
    pub(in crate::config) resolve_every: Option<At<Time>>,
    /// Which forwarding headers targets get. Default: `"legacy"`.
    pub(in crate::config) forwarded: Option<At<RawForwarded>>,
    /// How targets are asked whether they are well. Default: they are not.
    pub(in crate::config) health: Option<At<RawHealth>>,
    /// When a target whose requests fail is left out for a while. Default: never.
    pub(in crate::config) outlier: Option<At<RawOutlier>>,
    /// When the upstream as a whole gets no requests for a while. Default: never.
    pub(in crate::config) breaker: Option<At<RawBreaker>>,
}

/// A target with a weight.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawTarget {
    /// Host and port, or a service: `"srv:_http._tcp.NAME"`.
    pub(in crate::config) address: At<HostPort>,
    /// Share of requests, 1 to 1000. Default: `1`.
    pub(in crate::config) weight: Option<At<u32>>,
    /// Whether it serves only while no other target can. Default: `false`.
    pub(in crate::config) backup: Option<At<bool>>,
}

/// A cookie that keeps a client at its target.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawStickyCookie {
    /// The cookie's name.
    pub(in crate::config) name: At<CookieName>,
    /// What its values are made with, so that they hold after a restart and on every instance; left out: a key of the process.
    pub(in crate::config) key: Option<At<SecretRef>>,
    /// How long clients keep it; left out: until the browser closes.
    pub(in crate::config) max_age: Option<At<Time>>,
}

/// TLS to the targets of an upstream.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawUpstreamTls {
    /// The name that certificates must have. Left out: each target's own host.
    pub(in crate::config) server_name: Option<At<CertificateName>>,
    /// The authorities that are trusted (PEM). Left out: those of the system.
    pub(in crate::config) ca: Option<At<FileRef>>,
    /// Our own certificate with its chain (PEM), for targets that ask for one.
    pub(in crate::config) cert: Option<At<FileRef>>,
    /// The key of `cert` (PEM).
    pub(in crate::config) key: Option<At<FileRef>>,
    /// `false` takes any certificate of anybody. Default: `true`.
    pub(in crate::config) verify: Option<At<bool>>,
}

/// Which version of HTTP targets speak.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(in crate::config) enum RawProtocol {
    /// HTTP/1.1.
    #[serde(rename = "http/1.1")]
    Http1,
    /// HTTP/2, on plaintext by prior knowledge.
    #[serde(rename = "h2")]
    H2,
    /// Whichever TLS agrees on.
    #[serde(rename = "auto")]
    Auto,
}

/// How a target is picked.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum RawBalance {
    /// In turn by weight.
    RoundRobin,
    /// At random by weight.
    Random,
    /// Of two the one with fewer requests under way.
    LeastRequest,
    /// Of two the one that has answered faster and has fewer requests under way.
    Ewma,
    /// The same value of the request goes to the same target: see `hash-on`.
    Hash,
}

/// Which forwarding headers targets get.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum RawForwarded {
    /// `X-Forwarded-For`, `-Proto` and `-Host`.
    Legacy,
    /// `Forwarded` (RFC 7239).
    Ietf,
    /// Both kinds.
    Both,
    /// Neither.
    None,
}
