//! `[upstream.NAME]` as meant.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use plugins::contract::place::Span;
use plugins::contract::value::Value;
use rustls_pki_types::CertificateDer;

use crate::config::files::Digest;
use crate::config::pem::Pair;
use crate::config::secret::SecretRef;

use super::{BreakerConfig, HealthConfig, OutlierConfig};

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
    /// TLS to the targets; `None`: plaintext.
    pub tls: Option<UpstreamTls>,
    /// Which version of HTTP targets speak.
    pub protocol: Protocol,
    /// A cookie that keeps a client at its target.
    pub sticky_cookie: Option<StickyCookie>,
    /// For how long a target that is new or back gets less than its weight.
    pub slow_start: Option<Duration>,
    /// When a smaller share of the targets can be used, all are: from 0 (never) to 1.
    pub panic_threshold: f64,
    /// The most requests that may be under way.
    pub connections_max: Option<u32>,
    /// The connection, TLS included.
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
    /// How targets are asked whether they are well.
    pub health: Option<HealthConfig>,
    /// When a target whose requests fail is left out for a while.
    pub outlier: Option<OutlierConfig>,
    /// When the upstream as a whole gets no requests for a while.
    pub breaker: Option<BreakerConfig>,
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
    /// Whether it serves only while no other can.
    pub backup: bool,
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
    /// A service whose hosts and ports SRV records name.
    Service {
        /// The name of the records.
        name: String,
    },
}

/// TLS to the targets of an upstream, with what its files held when they were read.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamTls {
    /// The name that certificates must have; `None`: the target's own host.
    pub server_name: Option<Arc<str>>,
    /// Whether certificates are verified.
    pub verify: bool,
    /// Who is trusted; `None`: whom the system trusts.
    pub ca: Option<Arc<Authorities>>,
    /// What targets that ask for a certificate are shown.
    pub identity: Option<Arc<ClientIdentity>>,
}

/// Certificates that others are verified by.
#[derive(Debug, PartialEq)]
pub struct Authorities {
    /// Where they were read.
    pub path: PathBuf,
    /// They, at least one.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// A client's certificate and key.
#[derive(Debug)]
pub struct ClientIdentity {
    /// Where the certificate was read.
    pub cert_path: PathBuf,
    /// Where the key was read.
    pub key_path: PathBuf,
    /// Both.
    pub pair: Pair,
    /// Of both files: another one is another identity.
    pub digest: Digest,
}

impl PartialEq for ClientIdentity {
    fn eq(&self, other: &Self) -> bool {
        (&self.cert_path, &self.key_path, self.digest)
            == (&other.cert_path, &other.key_path, other.digest)
    }
}

/// Which version of HTTP targets speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, on plaintext by prior knowledge.
    H2,
    /// Whichever TLS agrees on.
    Auto,
}

/// How a target is picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// In turn by weight.
    RoundRobin,
    /// At random by weight.
    Random,
    /// Of two the one with fewer requests under way.
    LeastRequest,
    /// Of two the one that has answered faster and has fewer requests under way.
    Ewma,
    /// By a value of the request.
    Hash(Value),
}

impl Balance {
    /// As the configuration writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RoundRobin => "round-robin",
            Self::Random => "random",
            Self::LeastRequest => "least-request",
            Self::Ewma => "ewma",
            Self::Hash(_) => "hash",
        }
    }
}

/// A cookie that keeps a client at its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StickyCookie {
    /// Its name.
    pub name: Arc<str>,
    /// What its values are made with; else a key of the process.
    pub key: Option<SecretRef>,
    /// How long clients keep it.
    pub max_age: Option<Duration>,
    /// Where it is written.
    pub span: Span,
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
