//! `health`, `outlier` and `breaker` of an upstream, as meant.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};
use plugins::contract::units::Share;

use super::HostPolicy;

/// How targets are asked whether they are well.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthConfig {
    /// What is asked.
    pub check: CheckConfig,
    /// Time between checks.
    pub every: Duration,
    /// For the whole of one check; at most `every`.
    pub timeout: Duration,
    /// Passed checks in a row that bring a target back, at least 1.
    pub healthy_after: u32,
    /// Failed checks in a row that take a target out, at least 1.
    pub unhealthy_after: u32,
}

/// What a check asks.
#[derive(Debug, Clone, PartialEq)]
pub enum CheckConfig {
    /// An HTTP request.
    Http(HttpCheckConfig),
    /// Connecting is enough.
    Tcp,
    /// The gRPC health protocol.
    Grpc {
        /// Empty: the server as a whole.
        service: String,
        /// Its `:authority`.
        host: HostPolicy,
        /// Metadata.
        headers: Vec<(HeaderName, HeaderValue)>,
    },
}

/// An HTTP check.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpCheckConfig {
    /// What is asked for.
    pub path: PathAndQuery,
    /// Statuses that pass.
    pub status: Vec<RangeInclusive<u16>>,
    /// Its `Host`; `Client` stands for the target, since a check has no client.
    pub host: HostPolicy,
    /// Further header fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// A text that the answer must hold.
    pub body: Option<String>,
}

/// When a target whose requests fail is left out for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlierConfig {
    /// Failures in a row that eject, at least 1.
    pub consecutive_failures: u32,
    /// Share of failures that ejects.
    pub failure_rate: Option<Share>,
    /// The time of a first ejection.
    pub ejection_time: Duration,
    /// The largest share of the targets that may be ejected at once.
    pub ejected_max: Share,
}

/// When an upstream as a whole gets no requests for a while.
#[derive(Debug, Clone, PartialEq)]
pub struct BreakerConfig {
    /// Share of failures that opens it.
    pub failure_rate: Share,
    /// Requests in the window below which it stays closed, at least 1.
    pub requests_min: u32,
    /// What is looked back on.
    pub window: Duration,
    /// How long it stays open.
    pub open_for: Duration,
}
