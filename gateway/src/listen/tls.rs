//! TLS on a listener: certificates chosen by name, sessions resumed, clients asked who they are.
//!
//! ```text
//! bytes of the files ─ Identity, Clients ─▶ Tls ─ handshake ─▶ TlsFacts
//!                                                    └──────▶ HandshakeFailure
//! ```
//!
//! Opens no file and asks no configuration: it is given bytes, and says what is wrong with them. Nothing of a client is
//! believed before its handshake is over; the handshake as a whole has one deadline.

use std::sync::Arc;
use std::time::Duration;

use plugins::contract::view::ClientCertificate;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};
use rustls::{ServerConfig, SupportedProtocolVersion, version};

pub use self::client::Clients;
pub use self::failure::HandshakeFailure;
pub(crate) use self::handshake::admit;
pub use self::identity::{Flaw, Identity, Part};
pub use self::names::Names;
pub(crate) use self::stream::TlsSocket;

mod client;
mod failure;
mod handshake;
mod identity;
mod names;
mod resolver;
mod stream;

#[cfg(test)]
mod tests;

use resolver::Table;

/// Sessions that are remembered for clients of TLS 1.2 without tickets.
const SESSIONS_MAX: usize = 1024;

/// The lowest version that a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionMin {
    /// TLS 1.2 and 1.3.
    Tls12,
    /// TLS 1.3 alone.
    Tls13,
}

/// Everything that the TLS of one listener is made of.
#[derive(Debug)]
pub struct Material {
    /// The first is for clients that name no host, or one that no certificate covers.
    pub identities: Vec<Identity>,
    /// Whose certificates clients may show.
    pub clients: Option<Clients>,
    /// The lowest version.
    pub version_min: VersionMin,
    /// Whether `h2` is offered.
    pub http2: bool,
    /// From the connection to the end of the handshake.
    pub handshake_timeout: Duration,
}

/// The TLS of one listener, ready for handshakes.
#[derive(Debug)]
pub struct Tls {
    config: Arc<ServerConfig>,
    table: Arc<Table>,
    clients: Option<Clients>,
    sessions: Sessions,
    handshake_timeout: Duration,
}

/// What lets a client resume. A resumed client is not verified again, so it goes over a reload only while the rules about
/// clients are the same.
#[derive(Debug, Clone)]
struct Sessions {
    tickets: Arc<dyn ProducesTickets>,
    cache: Arc<dyn StoresServerSessions>,
}

/// What is known of an encrypted connection.
#[derive(Debug)]
pub struct TlsFacts {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The host that the client asked for, in lower case.
    pub server_name: Option<Box<str>>,
    /// Whether HTTP/2 was agreed on.
    pub http2: bool,
    /// Who the client has proven to be.
    pub client: Option<Arc<ClientCertificate>>,
    names: Arc<Names>,
    /// Whether the certificate covers the host that the client asked for: nearly every request is for that one.
    covered: bool,
}

impl Tls {
    /// Makes the configuration for handshakes. Sessions go on where the rules about clients did not change.
    pub fn build(material: Material, previous: Option<&Self>) -> Result<Self, rustls::Error> {
        let provider = provider();
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(material.version_min.versions())?;
        let table = Arc::new(Table::new(material.identities));
        let builder = match &material.clients {
            Some(clients) => builder.with_client_cert_verifier(clients.verifier(provider)?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_cert_resolver(table.clone());
        let sessions = previous
            .filter(|before| before.clients == material.clients)
            .map_or_else(Sessions::new, |before| Ok(before.sessions.clone()))?;
        config.ticketer = sessions.tickets.clone();
        config.session_storage = sessions.cache.clone();
        config.alpn_protocols = alpn(material.http2);
        Ok(Self {
            config: Arc::new(config),
            table,
            clients: material.clients,
            sessions,
            handshake_timeout: material.handshake_timeout,
        })
    }

    /// Whether clients must show a certificate.
    pub fn requires_client(&self) -> bool {
        self.clients.as_ref().is_some_and(Clients::required)
    }

    /// Label and end (seconds since 1970) of each certificate.
    pub fn expiries(&self) -> impl Iterator<Item = (&str, i64)> {
        self.table
            .all()
            .map(|served| (served.names.first(), served.not_after))
    }
}

impl Sessions {
    fn new() -> Result<Self, rustls::Error> {
        Ok(Self {
            tickets: aws_lc_rs::Ticketer::new()?,
            cache: ServerSessionMemoryCache::new(SESSIONS_MAX),
        })
    }
}

impl TlsFacts {
    /// Whether the connection's certificate covers a host (in lower case, without port).
    pub fn covers(&self, host: &str) -> bool {
        match &self.server_name {
            Some(name) if **name == *host => self.covered,
            _ => self.names.cover(host),
        }
    }
}

impl VersionMin {
    fn versions(self) -> &'static [&'static SupportedProtocolVersion] {
        static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
        static LATEST: [&SupportedProtocolVersion; 1] = [&version::TLS13];
        match self {
            Self::Tls12 => &BOTH,
            Self::Tls13 => &LATEST,
        }
    }
}

fn alpn(http2: bool) -> Vec<Vec<u8>> {
    let h2 = http2.then(|| b"h2".to_vec());
    h2.into_iter().chain([b"http/1.1".to_vec()]).collect()
}

/// The process's cryptography; X25519MLKEM768 comes first in it.
fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}
