//! The only place that builds Pingora's peers from our settings.
//!
//! Whoever differs in authorities, identity, verification or protocol differs in `group_key`: Pingora's pool looks at
//! none of the first, so one target's connections would serve another's requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora::protocols::TcpKeepalive;
use pingora::protocols::tls::CaType;
use pingora::upstreams::peer::{HttpPeer, PeerOptions};
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use rustls_pki_types::CertificateDer;

use crate::config::files::digest;
use crate::config::model::{Authorities, ClientIdentity, Protocol, TargetHost, UpstreamConfig};

/// Streams on one connection, at most; Pingora's own default is one. Targets may allow fewer.
const H2_STREAMS_MAX: usize = 100;
/// What a target may send of one answer before somebody reads it.
const H2_STREAM_WINDOW: u32 = 1 << 20;
/// The same for all streams of a connection: one slow client leaves the most of it to the others.
const H2_CONNECTION_WINDOW: u32 = 8 << 20;
/// A connection that answers no ping is gone, whatever the network says.
const H2_PING: Duration = Duration::from_secs(20);
/// Finds pooled connections whose other end vanished without a word.
const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_mins(1),
    interval: Duration::from_secs(10),
    count: 3,
    #[cfg(target_os = "linux")]
    user_timeout: Duration::ZERO,
};

/// How long a connection of our own calls is kept for the next one.
const CALL_IDLE: Duration = Duration::from_secs(30);

/// What all peers of an upstream have in common, made at reload.
pub(super) struct Mould {
    options: PeerOptions,
    identity: Option<Arc<CertKey>>,
    tls: bool,
    server_name: Option<Arc<str>>,
    group_key: u64,
}

impl Mould {
    pub(super) fn of(config: &UpstreamConfig) -> Self {
        let tls = config.tls.as_ref();
        let identity = tls.and_then(|tls| tls.identity.as_deref());
        Self {
            options: options(config),
            identity: identity.map(|identity| Arc::new(cert_key(identity))),
            tls: tls.is_some(),
            server_name: tls.and_then(|tls| tls.server_name.clone()),
            group_key: group_key(config),
        }
    }

    /// A peer with every timeout set; Pingora's own default is none at all.
    pub(super) fn peer(&self, address: SocketAddr, host: &TargetHost) -> HttpPeer {
        // Never empty with TLS: an empty name turns verification off.
        let name = match (&self.server_name, host) {
            _ if !self.tls => String::new(),
            (Some(name), _) => name.to_string(),
            (None, TargetHost::Name { name, .. }) => name.trim_end_matches('.').to_owned(),
            // Of a service, too: validation asks for a `server-name` there.
            (None, TargetHost::Address(_) | TargetHost::Service { .. }) => address.ip().to_string(),
        };
        // A literal address: `HttpPeer::new` would look a name up and block.
        let mut peer = HttpPeer::new(address, self.tls, name);
        peer.options = self.options.clone();
        peer.client_cert_key.clone_from(&self.identity);
        peer.group_key = self.group_key;
        peer
    }
}

/// A peer for calls of our own to whom a URL names: certificates are verified by whom the system trusts.
pub fn to_party(address: SocketAddr, tls: bool, name: &str, time: Duration) -> HttpPeer {
    let name = if tls { name.to_owned() } else { String::new() };
    let mut peer = HttpPeer::new(address, tls, name);
    let options = &mut peer.options;
    options.connection_timeout = Some(time);
    options.total_connection_timeout = Some(time);
    options.read_timeout = Some(time);
    options.write_timeout = Some(time);
    options.idle_timeout = Some(CALL_IDLE);
    options.tcp_keepalive = Some(KEEPALIVE);
    options.set_http_version(1, 1);
    peer
}

fn options(config: &UpstreamConfig) -> PeerOptions {
    let mut options = PeerOptions::new();
    options.connection_timeout = Some(config.connect_timeout);
    options.total_connection_timeout = Some(config.connect_timeout);
    options.read_timeout = Some(config.read_timeout);
    options.write_timeout = Some(config.write_timeout);
    options.idle_timeout = Some(config.idle_timeout);
    options.tcp_keepalive = Some(KEEPALIVE);
    if let Some(tls) = &config.tls {
        options.verify_cert = tls.verify;
        options.verify_hostname = tls.verify;
        options.ca = tls.ca.as_deref().map(authorities);
    }
    match config.protocol {
        Protocol::Http1 => options.set_http_version(1, 1),
        // With 2 as the least version Pingora never falls back for ever after one refusal.
        Protocol::H2 => options.set_http_version(2, 2),
        Protocol::Auto => options.set_http_version(2, 1),
    }
    if config.protocol != Protocol::Http1 {
        options.max_h2_streams = H2_STREAMS_MAX;
        options.h2_stream_window_size = Some(H2_STREAM_WINDOW);
        options.h2_connection_window_size = Some(H2_CONNECTION_WINDOW);
        options.h2_ping_interval = Some(H2_PING);
    }
    options
}

fn authorities(authorities: &Authorities) -> Arc<CaType> {
    authorities.certificates.iter().map(wrapped).collect()
}

/// Validation has parsed it with the same parser; this one would panic.
fn wrapped(certificate: &CertificateDer<'static>) -> WrappedX509 {
    WrappedX509::new(certificate.to_vec(), parse_x509)
}

fn cert_key(identity: &ClientIdentity) -> CertKey {
    let chain = &identity.pair.chain;
    let chain = chain.iter().map(|der| der.to_vec()).collect();
    CertKey::new(chain, identity.pair.key.secret_der().to_vec())
}

/// Zero for plaintext HTTP/1.1, so that upstreams with common targets share their connections.
fn group_key(config: &UpstreamConfig) -> u64 {
    let protocol: &[u8] = match config.protocol {
        Protocol::Http1 if config.tls.is_none() => return 0,
        Protocol::Http1 => b"1",
        Protocol::H2 => b"2",
        Protocol::Auto => b"auto",
    };
    let mut parts = vec![protocol];
    if let Some(tls) = &config.tls {
        parts.push(if tls.verify { b"verify" } else { b"trust" });
        if let Some(identity) = &tls.identity {
            parts.push(b"as");
            parts.push(&identity.digest);
        }
        if let Some(ca) = &tls.ca {
            parts.push(b"by");
            parts.extend(ca.certificates.iter().map(AsRef::as_ref));
        }
    }
    let first = |key, byte: &u8| key << 8 | u64::from(*byte);
    digest(&parts).iter().take(8).fold(0, first)
}
