//! `health`, `outlier` and `breaker` of an upstream, as written.

use std::collections::BTreeMap;

use plugins::contract::place::At;
use plugins::contract::units::{Share, Time};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::leaf::{CheckPath, HostChoice, StatusRange};

/// How targets are asked whether they are well: exactly one of `path`, `tcp` and `grpc`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawHealth {
    /// `GET` this path.
    pub(in crate::config) path: Option<At<CheckPath>>,
    /// `true`: connecting is enough.
    pub(in crate::config) tcp: Option<At<bool>>,
    /// Ask the gRPC health protocol for this service; `""` is the server as a whole.
    pub(in crate::config) grpc: Option<At<String>>,
    /// Time between checks; a quarter of it while a result contradicts the standing. Default: `"5s"`.
    pub(in crate::config) every: Option<At<Time>>,
    /// For the whole of one check, at most `every`. Default: `"2s"`.
    pub(in crate::config) timeout: Option<At<Time>>,
    /// Passed checks in a row that bring a target back. Default: `2`.
    pub(in crate::config) healthy_after: Option<At<u32>>,
    /// Failed checks in a row that take a target out. Default: `3`.
    pub(in crate::config) unhealthy_after: Option<At<u32>>,
    /// Statuses that pass: `["200-299", "401"]`. Default: `["200-299"]`.
    pub(in crate::config) status: Option<At<Vec<At<StatusRange>>>>,
    /// The `Host` of a check: `"target"` or a host name. Default: what the upstream's `host` says, else the target.
    pub(in crate::config) host: Option<At<HostChoice>>,
    /// A text that the first 64 KiB of the answer must hold.
    pub(in crate::config) body: Option<At<String>>,
    /// Header fields of a check.
    pub(in crate::config) headers: Option<BTreeMap<String, At<String>>>,
}

/// When a target whose requests fail is left out for a while.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawOutlier {
    /// Failures in a row that eject a target. Default: `5`.
    pub(in crate::config) consecutive_failures: Option<At<u32>>,
    /// Share of failures that ejects a target, over 10 seconds with at least 20 requests. Default: none.
    pub(in crate::config) failure_rate: Option<At<Share>>,
    /// For how long; the n-th time in short order n times as long, up to ten. Default: `"30s"`.
    pub(in crate::config) ejection_time: Option<At<Time>>,
    /// The largest share of the targets that may be ejected at once. Default: `"50%"`.
    pub(in crate::config) ejected_max: Option<At<Share>>,
}

/// When an upstream as a whole gets no requests for a while.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawBreaker {
    /// Share of failures that opens it. Default: `"50%"`.
    pub(in crate::config) failure_rate: Option<At<Share>>,
    /// Requests in the window below which it stays closed. Default: `20`.
    pub(in crate::config) requests_min: Option<At<u32>>,
    /// What is looked back on. Default: `"10s"`.
    pub(in crate::config) window: Option<At<Time>>,
    /// How long requests are refused before a few are let through to try. Default: `"5s"`.
    pub(in crate::config) open_for: Option<At<Time>>,
}
