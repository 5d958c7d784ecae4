//! What one listener is told: its address, its limits and its deadlines.
//!
//! Plain data with the defaults of the configuration language; every limit has a value, none is open.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::tls::Tls;
use plugins::ip_filter::Network;

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// An internet address and port; port 0 lets the system choose.
    Tcp(SocketAddr),
    /// A unix socket at this path.
    Unix(PathBuf),
}

impl Address {
    /// Reads `host:port` or `unix:/path`; a host name is looked up (blocking) and its first address taken.
    pub fn resolve(text: &str) -> io::Result<Self> {
        if let Some(path) = text.strip_prefix("unix:") {
            return Ok(Self::Unix(PathBuf::from(path)));
        }
        let missing = || io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        text.to_socket_addrs()?
            .next()
            .map(Self::Tcp)
            .ok_or_else(missing)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How large one HTTP/1 request head may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Bytes of the whole head with its request line. Default 32 KiB, at most 1 MiB.
    pub header_bytes_max: usize,
    /// Number of fields. Default 100, at most 256 (what Pingora parses).
    pub headers_max: usize,
    /// Bytes of the request target. Default 8 KiB, at most 60 KiB (what a `Uri` holds).
    pub uri_max: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            header_bytes_max: 32 * 1024,
            headers_max: 100,
            uri_max: 8 * 1024,
        }
    }
}

/// Limits of one HTTP/2 connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct H2Settings {
    /// Streams open at once. Default 100.
    pub streams_max: u32,
    /// Bytes of one decoded field list. Default 64 KiB.
    pub header_list_max: u32,
    /// Bytes a client may send ahead on one stream. Default 256 KiB.
    pub stream_window: u32,
    /// Bytes a client may send ahead on the whole connection. Default 1 MiB.
    pub connection_window: u32,
}

impl Default for H2Settings {
    fn default() -> Self {
        Self {
            streams_max: 100,
            header_list_max: 64 * 1024,
            stream_window: 256 * 1024,
            connection_window: 1024 * 1024,
        }
    }
}

/// No deadline means more, and adding it to a time cannot overflow.
const TIMEOUT_MAX: Duration = Duration::from_hours(365 * 24);

/// Everything that one listener is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name from the configuration: `[listener.NAME]`.
    pub name: String,
    /// Where to listen. Two listeners with the same address are the same socket across reloads.
    pub address: Address,
    /// Whether HTTP/2 is spoken by prior knowledge on plaintext; with TLS the handshake decides. Default true.
    pub http2: bool,
    /// Certificates and rules of TLS; none is plaintext. Default none.
    pub tls: Option<Arc<Tls>>,
    /// From the first byte of a head to its last. Default 10 s.
    pub header_timeout: Duration,
    /// The longest pause between two pieces of a request body. Default 30 s.
    pub body_timeout: Duration,
    /// Bytes of a body that earn another second of waiting for it, beyond `body_timeout`. Default 256.
    pub body_rate_min: u64,
    /// The longest time that the client takes nothing while we have something to send. Default 60 s.
    pub write_timeout: Duration,
    /// How long a connection may wait for its next request. Default 60 s.
    pub idle_timeout: Duration,
    /// How large a request head may be.
    pub head: HeadLimits,
    /// Connections open at once on this listener. Default 20,000.
    pub connections_max: usize,
    /// Connections open at once from one address (IPv6: one /64); trusted proxies are not counted. Default 1,000.
    pub connections_per_ip_max: usize,
    /// Peers that stand for their clients.
    pub trusted_proxies: Vec<Network>,
    /// Whether trusted proxies, and nobody else, connect and begin with a PROXY header. Default false.
    pub proxy_protocol: bool,
    /// Requests on one HTTP/1 connection, after which it is closed. Default 100,000.
    pub requests_max: u32,
    /// Limits of HTTP/2 connections.
    pub h2: H2Settings,
}

impl Settings {
    /// A listener of this name at this address, everything else at its default.
    pub fn new(name: impl Into<String>, address: Address) -> Self {
        Self {
            name: name.into(),
            address,
            http2: true,
            tls: None,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            body_rate_min: 256,
            write_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(1),
            head: HeadLimits::default(),
            connections_max: 20_000,
            connections_per_ip_max: 1000,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            requests_max: 100_000,
            h2: H2Settings::default(),
        }
    }

    /// Cut to what this machine and Pingora can take.
    pub(crate) fn bounded(mut self) -> Self {
        self.head.header_bytes_max = self.head.header_bytes_max.min(1024 * 1024 - 1);
        self.head.headers_max = self.head.headers_max.min(256);
        self.head.uri_max = self.head.uri_max.min(60 * 1024);
        for timeout in [
            &mut self.header_timeout,
            &mut self.body_timeout,
            &mut self.write_timeout,
            &mut self.idle_timeout,
        ] {
            *timeout = TIMEOUT_MAX.min(*timeout);
        }
        self
    }
}
