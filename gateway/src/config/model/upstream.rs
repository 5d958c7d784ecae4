//! `[upstream.NAME]` as meant.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use plugins::contract::place::Span;

/// Index of an upstream in [`Config::upstreams`](super::Config::upstreams).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UpstreamId(pub usize);

/// `[upstream.NAME]`
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamConfig {
    /// Its name.
    pub name: Arc<str>,
    /// Where the table starts.
    pub span: Span,
    /// At least one.
    pub targets: Vec<TargetConfig>,
    /// How a target is picked.
    pub balance: Balance,
    /// TCP connection.
    pub connect_timeout: Duration,
    /// Longest silence while reading.
    pub read_timeout: Duration,
    /// Longest silence while writing.
    pub write_timeout: Duration,
    /// How long an unused connection is kept.
    pub idle_timeout: Duration,
    /// The `Host` that targets see.
    pub host: HostPolicy,
    /// How often names are looked up again.
    pub resolve_every: Duration,
    /// Which forwarding headers targets get.
    pub forwarded: Forwarded,
}

/// One target of an upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetConfig {
    /// As written, `host:port`: what logs and metrics say.
    pub address: Arc<str>,
    /// Host and port.
    pub host: TargetHost,
    /// Share of requests, at least 1.
    pub weight: u32,
    /// Where it is written.
    pub span: Span,
}

/// Host of a target.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetHost {
    /// A literal address.
    Address(SocketAddr),
    /// A name that is looked up.
    Name {
        /// The name.
        name: String,
        /// The port.
        port: u16,
    },
}

/// How a target is picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Balance {
    /// In turn by weight.
    RoundRobin,
    /// At random by weight.
    Random,
}

/// The `Host` that an upstream sees.
#[derive(Debug, Clone, PartialEq)]
pub enum HostPolicy {
    /// What the client sent.
    Client,
    /// The target's own address.
    Target,
    /// This one.
    Literal(HeaderValue),
}

/// Which forwarding headers an upstream gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// `X-Forwarded-For`, `-Proto`, `-Host`.
    Legacy,
    /// `Forwarded` (RFC 7239).
    Ietf,
    /// Both kinds.
    Both,
    /// Neither.
    None,
}
