//! `[upstream.NAME]` as written.

use plugins::contract::place::At;
use plugins::contract::units::Time;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Either, Switch};
use crate::config::leaf::{CertificateName, FileRef, HostChoice, HostPort};

/// A named group of targets.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawUpstream {
    /// Where requests go: `"host:port"` or `{ address = "host:port", weight = 3 }`, at least one.
    pub(in crate::config) targets: At<Vec<At<Either<HostPort, RawTarget>>>>,
    /// How a target is picked. Default: `"round-robin"`.
    pub(in crate::config) balance: Option<At<RawBalance>>,
    /// TLS to the targets: `true`, or a table that says more. Default: `false`.
    pub(in crate::config) tls: Option<At<Switch<RawUpstreamTls>>>,
    /// `"http/1.1"`; `"h2"`, on plaintext by prior knowledge; or `"auto"`: whichever TLS agrees on. Default: `"http/1.1"`.
    pub(in crate::config) protocol: Option<At<RawProtocol>>,
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
    /// How often names are looked up again. Default: `"30s"`.
    pub(in crate::config) resolve_every: Option<At<Time>>,
    /// Which forwarding headers targets get. Default: `"legacy"`.
    pub(in crate::config) forwarded: Option<At<RawForwarded>>,
}

/// A target with a weight.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawTarget {
    /// Host and port.
    pub(in crate::config) address: At<HostPort>,
    /// Share of requests, 1 to 1000. Default: `1`.
    pub(in crate::config) weight: Option<At<u32>>,
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
