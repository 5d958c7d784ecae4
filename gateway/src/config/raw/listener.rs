//! `[listener.NAME]` as written.

use plugins::contract::place::At;
use plugins::contract::units::{Size, Time};
use plugins::ip_filter::Network;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::leaf::ListenAddress;

/// Where clients connect.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawListener {
    /// IP address and port, or `unix:/path`.
    pub(in crate::config) address: At<ListenAddress>,
    /// Whether HTTP/2 is spoken, by prior knowledge on plaintext. Default: `true`.
    pub(in crate::config) http2: Option<At<bool>>,
    /// Peers whose forwarding headers are believed. Default: none.
    pub(in crate::config) trusted_proxies: Option<At<Vec<At<Network>>>>,
    /// Whether each connection begins with a PROXY header (version 1 or 2) that says whose it is. Only `trusted-proxies` may
    /// connect then. Default: `false`.
    pub(in crate::config) proxy_protocol: Option<At<bool>>,
    /// Open connections. Default: `20000`.
    pub(in crate::config) connections_max: Option<At<u32>>,
    /// Open connections of one address (IPv6: one /64); trusted proxies are not counted. Default: `1000`.
    pub(in crate::config) connections_per_ip_max: Option<At<u32>>,
    /// From the first byte of a head to its last. Default: `"10s"`.
    pub(in crate::config) header_timeout: Option<At<Time>>,
    /// Longest silence inside a body. Default: `"30s"`.
    pub(in crate::config) body_timeout: Option<At<Time>>,
    /// Longest silence between two requests. Default: `"60s"`.
    pub(in crate::config) idle_timeout: Option<At<Time>>,
    /// Bytes of a whole head. Default: `"32KiB"`.
    pub(in crate::config) header_bytes_max: Option<At<Size>>,
    /// Header fields of a head. Default: `100`.
    pub(in crate::config) headers_max: Option<At<u32>>,
    /// Bytes of a request target. Default: `"8KiB"`.
    pub(in crate::config) uri_max: Option<At<Size>>,
    /// `%2F` in a path. Default: `"refuse"`.
    pub(in crate::config) encoded_slash: Option<At<RawTolerance>>,
    /// `;params` in a path. Default: `"refuse"`.
    pub(in crate::config) path_params: Option<At<RawTolerance>>,
    /// Limits of HTTP/2.
    pub(in crate::config) h2: Option<At<RawH2>>,
}

/// Limits of HTTP/2.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawH2 {
    /// Concurrent streams of a connection. Default: `100`.
    pub(in crate::config) streams_max: Option<At<u32>>,
}

/// What happens to something in a path that upstreams read differently.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum RawTolerance {
    /// Answer 400.
    Refuse,
    /// Match and forward it as it came.
    Keep,
}
