//! `[listener.NAME]` as meant.

use std::sync::Arc;
use std::time::Duration;

use plugins::contract::place::Span;
use plugins::ip_filter::Network;

use super::{Address, NamedFile};
use crate::config::secret::SecretRef;
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
    /// TLS; `None` is plaintext.
    pub tls: Option<TlsConfig>,
    /// The port of `https` to which every request is sent.
    pub redirect_https: Option<u16>,
    /// Whether HTTP/2 is spoken (by ALPN on TLS, by prior knowledge on plaintext).
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
    /// Bytes for each second that a body must have on average, beyond `body_timeout`.
    pub body_rate_min: u64,
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
    /// Limits of an HTTP/2 connection.
    pub h2: H2Config,
}

/// `h2` of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct H2Config {
    /// Concurrent streams.
    pub streams_max: u32,
    /// Bytes that a client may send ahead on one stream.
    pub stream_window: usize,
    /// Bytes that a client may send ahead on all streams together.
    pub connection_window: usize,
}

/// `[listener.NAME.tls]`
#[derive(Debug, Clone, PartialEq)]
pub struct TlsConfig {
    /// Where it starts.
    pub span: Span,
    /// At least one; the first is for clients that no other one fits.
    pub certificates: Vec<CertificateConfig>,
    /// Whose certificates clients may show.
    pub clients: Option<ClientsConfig>,
    /// The lowest version.
    pub version_min: TlsVersion,
    /// From the connection to the end of the handshake.
    pub handshake_timeout: Duration,
    /// `max-age` of `Strict-Transport-Security`.
    pub hsts: Option<Duration>,
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq)]
pub struct CertificateConfig {
    /// The chain in PEM.
    pub cert: NamedFile,
    /// The private key in PEM.
    pub key: SecretRef,
    /// Where it is named.
    pub key_span: Span,
    /// A response to be stapled, in DER.
    pub ocsp: Option<NamedFile>,
}

/// `client-ca` and `client-auth`
#[derive(Debug, Clone, PartialEq)]
pub struct ClientsConfig {
    /// Certificates of the authorities in PEM.
    pub authorities: NamedFile,
    /// Whether there is no connection without a certificate.
    pub required: bool,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2
    Tls12,
    /// 1.3
    Tls13,
}

impl ListenerConfig {
    /// Whether it does nothing but redirect: nobody could tell it that a client came by `https` already.
    pub fn only_redirects(&self) -> bool {
        self.redirect_https.is_some() && self.trusted_proxies.is_empty()
    }
}
