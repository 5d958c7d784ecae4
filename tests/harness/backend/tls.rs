//! TLS before a backend: it ends TLS and passes plain bytes on, so that every script works behind it too.
//!
//! What was agreed on by ALPN decides which backend gets the bytes. It records every handshake, also those that failed.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::{lock, runtime};
use crate::tls::{Authority, Identity};
use crate::wait::{self, DEADLINE};

/// A TLS server before other backends; it ends with this value.
#[derive(Debug)]
pub struct TlsFront {
    addr: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

/// What a [`TlsFront`] is made of, said before it starts.
#[derive(Debug)]
pub struct TlsSetup {
    identity: Identity,
    clients: Option<String>,
    http1: Option<SocketAddr>,
    h2: Option<SocketAddr>,
    alpn: bool,
}

/// A handshake that came about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handshake {
    /// The name that the client asked for.
    pub server_name: Option<String>,
    /// What was agreed on by ALPN.
    pub protocol: Option<String>,
    /// The client's certificate, DER.
    pub client: Option<Vec<u8>>,
}

#[derive(Debug)]
struct Shared {
    http1: Option<SocketAddr>,
    h2: Option<SocketAddr>,
    accepted: AtomicUsize,
    handshakes: Mutex<Vec<Handshake>>,
    failures: Mutex<Vec<String>>,
    generation: watch::Sender<usize>,
}

impl TlsFront {
    /// Begins to set one up that shows this certificate.
    pub fn showing(identity: &Identity) -> TlsSetup {
        TlsSetup {
            identity: identity.clone(),
            clients: None,
            http1: None,
            h2: None,
            alpn: true,
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections accepted so far, whatever became of them.
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Every handshake that came about, in order.
    pub fn handshakes(&self) -> Vec<Handshake> {
        lock(&self.shared.handshakes).clone()
    }

    /// Why handshakes failed, in order.
    pub fn failures(&self) -> Vec<String> {
        lock(&self.shared.failures).clone()
    }

    /// Waits until at least `count` handshakes have failed.
    pub fn wait_failures(&self, count: usize) -> Vec<String> {
        wait::until_some(DEADLINE, "handshakes to fail", || {
            Some(self.failures()).filter(|failures| failures.len() >= count)
        })
    }

    /// Closes every connection without a word and keeps listening.
    pub fn close_connections(&self) {
        self.shared.generation.send_modify(|number| *number += 1);
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl TlsSetup {
    /// Only clients with a certificate of this authority come in.
    pub fn clients_of(mut self, authority: &Authority) -> Self {
        self.clients = Some(authority.pem());
        self
    }

    /// Who speaks HTTP/1.1 behind it.
    pub fn http1(mut self, addr: SocketAddr) -> Self {
        self.http1 = Some(addr);
        self
    }

    /// Who speaks HTTP/2 behind it.
    pub fn h2(mut self, addr: SocketAddr) -> Self {
        self.h2 = Some(addr);
        self
    }

    /// Knows no ALPN, as old servers do.
    pub fn without_alpn(mut self) -> Self {
        self.alpn = false;
        self
    }

    /// Starts on a free port.
    pub fn start(self) -> TlsFront {
        self.start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts at a known address.
    pub fn start_at(self, addr: SocketAddr) -> TlsFront {
        let acceptor = TlsAcceptor::from(Arc::new(self.server_config()));
        let shared = Arc::new(Shared {
            http1: self.http1,
            h2: self.h2,
            accepted: AtomicUsize::new(0),
            handshakes: Mutex::default(),
            failures: Mutex::default(),
            generation: watch::Sender::new(0),
        });
        let runtime = runtime();
        let listener = runtime
            .block_on(TcpListener::bind(addr))
            .unwrap_or_else(|error| panic!("{addr}: {error}"));
        let addr = listener
            .local_addr()
            .expect("a bound listener has an address");
        runtime.spawn(accept(listener, acceptor, Arc::clone(&shared)));
        TlsFront {
            addr,
            shared,
            runtime: Some(runtime),
        }
    }

    fn server_config(&self) -> ServerConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions that the provider knows");
        let builder = match &self.clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates(authority));
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("an authority"))
            }
        };
        let key = PrivateKeyDer::from_pem_slice(self.identity.key.as_bytes()).expect("a key");
        let mut config = builder
            .with_single_cert(certificates(&self.identity.cert), key)
            .expect("a certificate and its key");
        if self.alpn {
            let known = [(self.h2, "h2"), (self.http1, "http/1.1")];
            let offered = known.iter().filter(|(addr, _)| addr.is_some());
            config.alpn_protocols = offered.map(|(_, name)| name.as_bytes().to_vec()).collect();
        }
        config
    }
}

/// The certificates of a PEM text.
pub fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .expect("certificates in PEM")
}

async fn accept(listener: TcpListener, acceptor: TlsAcceptor, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        shared.accepted.fetch_add(1, Ordering::SeqCst);
        let (acceptor, shared) = (acceptor.clone(), Arc::clone(&shared));
        tokio::spawn(async move {
            let mut generation = shared.generation.subscribe();
            tokio::select! {
                served = serve(stream, &acceptor, &shared) => if let Err(error) = served {
                    lock(&shared.failures).push(error.to_string());
                },
                // Dropping the stream closes it, without TLS's own farewell.
                _ = generation.changed() => {}
            }
        });
    }
}

/// An error is one of the handshake; later ones are the test's business.
async fn serve(stream: TcpStream, acceptor: &TlsAcceptor, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true).ok();
    let mut stream = acceptor.accept(stream).await?;
    let agreed = handshake(stream.get_ref().1);
    let backend = match agreed.protocol.as_deref() {
        Some("h2") => shared.h2,
        Some(_) => shared.http1,
        None => shared.http1.or(shared.h2),
    };
    lock(&shared.handshakes).push(agreed);
    if let Some(addr) = backend {
        let mut plain = TcpStream::connect(addr).await?;
        plain.set_nodelay(true).ok();
        copy_bidirectional(&mut stream, &mut plain).await.ok();
    }
    Ok(())
}

fn handshake(connection: &rustls::ServerConnection) -> Handshake {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Handshake {
        server_name: connection.server_name().map(str::to_owned),
        protocol: connection.alpn_protocol().map(text),
        client: connection
            .peer_certificates()
            .and_then(|chain| chain.first())
            .map(|cert| cert.to_vec()),
    }
}
