//! TLS in front of the other clients: what they trust, whom they ask for, and what came of the handshake.
//!
//! Certificates are verified unless a test says otherwise, so a wrong one fails the test that met it.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, HandshakeKind, NamedGroup,
    ProtocolVersion, RootCertStore, SignatureScheme, StreamOwned, SupportedProtocolVersion,
    version,
};

use super::Client;
use crate::tls::{Authority, Identity};
use crate::wait::DEADLINE;

/// How a client speaks TLS. One value keeps its sessions: its second connection may resume the first.
#[derive(Clone, Debug)]
pub struct Tls {
    settings: Settings,
    name: ServerName<'static>,
    config: Arc<ClientConfig>,
}

#[derive(Clone, Debug)]
struct Settings {
    trusted: Option<CertificateDer<'static>>,
    identity: Option<Identity>,
    alpn: Vec<Vec<u8>>,
    versions: Vec<&'static SupportedProtocolVersion>,
    sends_name: bool,
}

/// What a handshake came to.
#[derive(Clone, Debug)]
pub struct Shaken {
    /// The version in force.
    pub version: ProtocolVersion,
    /// The protocol chosen by ALPN.
    pub alpn: Option<String>,
    /// The group of the key exchange; none where a session of TLS 1.2 was resumed.
    pub group: Option<NamedGroup>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// The server's certificate in DER.
    pub certificate: CertificateDer<'static>,
}

impl Tls {
    /// Trusts this authority, asks for this name (sent as SNI unless it is an address).
    pub fn new(authority: &Authority, name: &str) -> Self {
        Self::with(Some(authority.der()), name)
    }

    /// Takes any certificate, as `curl -k` does; asks for this name.
    pub fn careless(name: &str) -> Self {
        Self::with(None, name)
    }

    fn with(trusted: Option<CertificateDer<'static>>, name: &str) -> Self {
        let settings = Settings {
            trusted,
            identity: None,
            alpn: Vec::new(),
            versions: vec![&version::TLS13, &version::TLS12],
            sends_name: true,
        };
        let name = ServerName::try_from(name.to_owned()).expect("a host name or address");
        let config = settings.config();
        Self {
            settings,
            name,
            config,
        }
    }

    /// Shows this certificate where the server asks for one.
    pub fn identity(self, identity: &Identity) -> Self {
        self.change(|settings| settings.identity = Some(identity.clone()))
    }

    /// Offers these protocols by ALPN.
    pub fn alpn(self, protocols: &[&str]) -> Self {
        let protocols = protocols.iter().map(|one| one.as_bytes().to_vec());
        self.change(|settings| settings.alpn = protocols.collect())
    }

    /// Speaks this version alone.
    pub fn only(self, version: &'static SupportedProtocolVersion) -> Self {
        self.change(|settings| settings.versions = vec![version])
    }

    /// Sends no name, as old clients do.
    pub fn nameless(self) -> Self {
        self.change(|settings| settings.sends_name = false)
    }

    fn change(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self.config = self.settings.config();
        self
    }

    /// An HTTP/1.1 connection.
    pub fn connect(&self, addr: SocketAddr) -> Client {
        self.try_connect(addr)
            .unwrap_or_else(|error| panic!("TLS to {addr}: {error}"))
    }

    /// An HTTP/1.1 connection, or why there is none. A server of TLS 1.3 that dislikes our certificate says so only
    /// at the first read.
    pub fn try_connect(&self, addr: SocketAddr) -> io::Result<Client> {
        let socket = TcpStream::connect_timeout(&addr, DEADLINE)?;
        self.over(socket)
    }

    /// An HTTP/1.1 connection over a socket on which something has been said before (a PROXY header).
    pub fn over(&self, socket: TcpStream) -> io::Result<Client> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        let addr = socket.peer_addr()?;
        let mut connection = ClientConnection::new(self.config.clone(), self.name.clone())
            .map_err(io::Error::other)?;
        let mut pipe = socket.try_clone()?;
        while connection.is_handshaking() {
            connection.complete_io(&mut pipe)?;
        }
        let shaken = Shaken::of(&connection);
        let port = addr.port();
        let authority = match self.name.to_str().as_ref() {
            name if name.contains(':') => format!("[{name}]:{port}"),
            name => format!("{name}:{port}"),
        };
        let stream = StreamOwned::new(connection, pipe);
        Ok(Client::over_tls(stream, socket, authority, shaken))
    }

    pub(crate) fn connector(&self) -> (tokio_rustls::TlsConnector, ServerName<'static>) {
        (self.config.clone().into(), self.name.clone())
    }
}

impl Settings {
    fn config(&self) -> Arc<ClientConfig> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&self.versions)
            .expect("versions that the provider has");
        let builder = match &self.trusted {
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots
                    .add(authority.clone())
                    .expect("an authority's certificate");
                builder.with_root_certificates(roots)
            }
            None => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        };
        let mut config = match &self.identity {
            Some(identity) => builder
                .with_client_auth_cert(vec![identity.cert_der()], identity.key_der())
                .expect("a certificate and its key"),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config.enable_sni = self.sends_name;
        Arc::new(config)
    }
}

impl Shaken {
    pub(crate) fn of(connection: &ClientConnection) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let group = connection.negotiated_key_exchange_group();
        let certificates = connection.peer_certificates().unwrap_or_default();
        Self {
            version: connection.protocol_version().expect("a version"),
            alpn: connection.alpn_protocol().map(text),
            group: group.map(rustls::crypto::SupportedKxGroup::name),
            resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
            certificate: certificates.first().expect("a certificate").clone(),
        }
    }
}

/// Believes any server that holds the key of the certificate it shows.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
