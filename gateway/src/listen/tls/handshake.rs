//! The handshake of one connection: a quiet moment until the first byte, then TLS, all before one deadline.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use rustls::{ProtocolVersion, ServerConnection};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::client;
use super::failure::{FailureKind, HandshakeFailure};
use super::stream::TlsSocket;
use super::{Tls, TlsFacts};
use crate::listen::Reception;
use crate::listen::conn::{Conn, Io};

/// The first byte of a handshake (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
/// Encrypted bytes that may wait for a slow client; more, and its answer waits instead.
const UNSENT_MAX: usize = 32 * 1024;

/// Turns a plain connection into an encrypted one; whether there is anything left to serve.
pub(crate) async fn admit<R: Reception>(conn: &mut Conn, tls: &Tls, reception: &R) -> bool {
    match shake(conn, tls).await {
        Ok(Some(facts)) => {
            conn.note_tls(Arc::new(facts));
            reception.shaken(conn.facts(), None);
            true
        }
        Ok(None) => false,
        Err(failure) => {
            reception.shaken(conn.facts(), Some(&failure));
            if failure.matters() {
                // An alert is under way; closing over what the client still sends would lose it.
                conn.linger().await;
            }
            false
        }
    }
}

/// `Ok(None)`: the listener is going, and the client has said nothing yet.
async fn shake(conn: &mut Conn, tls: &Tls) -> Result<Option<TlsFacts>, HandshakeFailure> {
    let deadline = Instant::now() + tls.handshake_timeout;
    let late = |_| HandshakeFailure::new(FailureKind::Late, "the handshake took too long");
    let first = timeout_at(deadline, first_byte(conn));
    match first.await.map_err(late)? {
        Some(HANDSHAKE) => {}
        Some(_) => {
            let detail = "the first byte is not that of a TLS handshake";
            return Err(HandshakeFailure::new(FailureKind::NotTls, detail));
        }
        None if conn.facts().dismissed() => return Ok(None),
        None => {
            return Err(HandshakeFailure::new(
                FailureKind::Gone,
                "closed before the handshake",
            ));
        }
    }
    let Some(plain) = conn.take_plain() else {
        return Err(HandshakeFailure::new(
            FailureKind::Broken,
            "encrypted already",
        ));
    };
    let socket = TlsSocket::new(conn.take_early(usize::MAX), plain);
    let accept = TlsAcceptor::from(tls.config.clone())
        .accept_with(socket, |session| {
            session.set_buffer_limit(Some(UNSENT_MAX));
        })
        .into_fallible();
    match timeout_at(deadline, accept).await.map_err(late)? {
        Ok(stream) => {
            let facts = facts(stream.get_ref().1, tls);
            conn.put(Io::Tls(Box::new(stream)));
            facts.map(Some)
        }
        Err((error, socket)) => {
            conn.put(Io::Plain(socket.io));
            Err(error.into())
        }
    }
}

/// The first byte, once it is there; none when the client has gone or the listener is going.
async fn first_byte(conn: &mut Conn) -> Option<u8> {
    let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let _seat = conn.facts().gate.enlist(waker);
    poll_fn(|cx| {
        loop {
            if let Some(first) = conn.early().first() {
                return Poll::Ready(Some(*first));
            }
            match conn.poll_receive(cx) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => return Poll::Ready(None),
                Poll::Pending if conn.facts().dismissed() => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await
}

fn facts(session: &ServerConnection, tls: &Tls) -> Result<TlsFacts, HandshakeFailure> {
    let shown = session.peer_certificates().and_then(<[_]>::first);
    let client = shown.map(|der| verified(der.as_ref())).transpose()?;
    let server_name = session.server_name().map(str::to_ascii_lowercase);
    let served = tls.table.pick(server_name.as_deref());
    let names = served
        .map(|served| served.names.clone())
        .unwrap_or_default();
    let covered = server_name.as_deref().is_some_and(|name| names.cover(name));
    Ok(TlsFacts {
        version: match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            Some(_) | None => "1.2",
        },
        server_name: server_name.map(String::into_boxed_str),
        http2: session.alpn_protocol() == Some(b"h2"),
        client,
        names,
        covered,
    })
}

fn verified(
    der: &[u8],
) -> Result<Arc<plugins::contract::view::ClientCertificate>, HandshakeFailure> {
    match client::read(der) {
        Some((certificate, true)) => Ok(Arc::new(certificate)),
        Some((_, false)) => Err(HandshakeFailure::new(
            FailureKind::CertificateExpired,
            "the certificate has expired since the session began",
        )),
        None => Err(HandshakeFailure::new(
            FailureKind::CertificateBad,
            "the certificate cannot be read",
        )),
    }
}
