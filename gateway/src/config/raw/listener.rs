//! `[listener.NAME]` as written.

use plugins::contract::file::FileRef;
use plugins::contract::place::At;
use plugins::contract::units::{ByteRate, Size, Time};
use plugins::ip_filter::Network;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Either;
use crate::config::leaf::ListenAddress;
use crate::config::secret::SecretRef;

/// Where clients connect.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawListener {
    /// IP address and port, or `unix:/path`.
    pub(in crate::config) address: At<ListenAddress>,
    /// Certificates: with them the listener speaks TLS only.
    pub(in crate::config) tls: Option<At<RawTls>>,
    /// Whether requests are answered with a redirect to `https`, on port 443 or `{ port = 8443 }`. Default: `false`.
    pub(in crate::config) redirect_https: Option<At<Either<bool, RawRedirectHttps>>>,
    /// Whether HTTP/2 is spoken: by ALPN on TLS, by prior knowledge on plaintext. Default: `true`.
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
    /// Bytes for each second that a body must have on average, once `body-timeout` is used up. Default: `"256B/s"`.
    pub(in crate::config) body_rate_min: Option<At<ByteRate>>,
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

/// TLS of a listener.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawTls {
    /// Certificates, at least one, chosen by the host that the client asks for; the first where none fits.
    pub(in crate::config) certificates: At<Vec<At<RawCertificate>>>,
    /// Authorities whose certificates clients may show, in PEM: `"file:clients.pem"`.
    pub(in crate::config) client_ca: Option<At<FileRef>>,
    /// Whether clients must show a certificate. Needs `client-ca`.
    pub(in crate::config) client_auth: Option<At<RawClientAuth>>,
    /// The lowest version. Default: `"1.2"`.
    pub(in crate::config) version_min: Option<At<RawTlsVersion>>,
    /// From the connection to the end of the handshake. Default: `"10s"`.
    pub(in crate::config) handshake_timeout: Option<At<Time>>,
    /// How long browsers are told to come by `https` only (`Strict-Transport-Security`). Default: they are not told.
    pub(in crate::config) hsts: Option<At<Time>>,
}

/// A certificate and its key.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawCertificate {
    /// The server's own certificate, then its chain, in PEM: `"file:site.pem"`.
    pub(in crate::config) cert: At<FileRef>,
    /// Its private key in PEM.
    pub(in crate::config) key: At<SecretRef>,
    /// A response of its authority's OCSP responder in DER, to be stapled.
    pub(in crate::config) ocsp: Option<At<FileRef>>,
}

/// Whether clients must show a certificate.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum RawClientAuth {
    /// Without one there is no connection.
    Required,
    /// One that is shown must be good.
    Optional,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub(in crate::config) enum RawTlsVersion {
    /// TLS 1.2 and 1.3.
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3 alone.
    #[serde(rename = "1.3")]
    Tls13,
}

/// Where the redirect to `https` leads.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawRedirectHttps {
    /// The port at which clients reach the TLS listener. Default: `443`.
    pub(in crate::config) port: Option<At<u16>>,
}

/// Limits of HTTP/2.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawH2 {
    /// Concurrent streams of a connection. Default: `100`.
    pub(in crate::config) streams_max: Option<At<u32>>,
    /// Bytes that a client may send ahead on one stream. Default: `"256KiB"`.
    pub(in crate::config) stream_window: Option<At<Size>>,
    /// Bytes that a client may send ahead on all streams together. Default: `"1MiB"`.
    pub(in crate::config) connection_window: Option<At<Size>>,
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
