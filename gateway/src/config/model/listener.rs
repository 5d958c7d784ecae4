//! `[listener.NAME]` as meant.

use std::sync::Arc;
use std::time::Duration;

use plugins::contract::place::Span;
use plugins::ip_filter::Network;

use super::Address;
use crate::routing::path::PathPolicy;

/// `[listener.NAME]`
#[derive(Debug, Clone, PartialEq)]
pub struct ListenerConfig {
    /// Its name.
    pub name: Arc<str>,
    /// Where the table starts.
    pub span: Span,
    /// Where it listens.
    pub address: Address,
    /// Whether HTTP/2 is spoken (prior knowledge on plaintext).
    pub http2: bool,
    /// Peers whose forwarding headers are believed.
    pub trusted_proxies: Vec<Network>,
    /// Whether each connection begins with a PROXY header.
    pub proxy_protocol: bool,
    /// Open connections.
    pub connections_max: usize,
    /// Open connections of one address.
    pub connections_per_ip_max: usize,
    /// From the first byte of a head to its last.
    pub header_timeout: Duration,
    /// Longest silence inside a body.
    pub body_timeout: Duration,
    /// Longest silence between two requests.
    pub idle_timeout: Duration,
    /// Bytes of a whole head.
    pub header_bytes_max: usize,
    /// Header fields of a head.
    pub headers_max: usize,
    /// Bytes of a request target.
    pub uri_max: usize,
    /// What happens to `%2F` and `;params`.
    pub path_policy: PathPolicy,
    /// Concurrent streams of an HTTP/2 connection.
    pub h2_streams_max: u32,
}
