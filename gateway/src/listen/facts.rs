//! What is known about a connection, for everyone who meets its requests.
//!
//! On HTTP/1 the facts ride in our `Conn` beneath Pingora's session, on HTTP/2 (where the session is only a stream) in the
//! digest that all streams of a connection share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use pingora::protocols::http::ServerSession;

use super::conn::Conn;
use super::gate::Gate;
use super::http2::stream;
use super::tls::TlsFacts;

/// Which listener a connection came by.
#[derive(Debug, PartialEq, Eq)]
pub struct ListenerFacts {
    /// The name from the configuration.
    pub name: Arc<str>,
    /// Its place in the list of listeners that was last committed.
    pub index: u32,
    /// Its address as configured, which is what stays of a listener that is renamed.
    pub address: Arc<str>,
}

/// One end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// An internet address and port.
    Ip(SocketAddr),
    /// A unix socket: the peer is on this machine and has no address.
    Unix,
}

/// What is known about a connection.
#[derive(Debug, Clone)]
pub struct ConnFacts {
    /// The listener it came by.
    pub listener: Arc<ListenerFacts>,
    /// Who connected; not yet the client where a trusted proxy stands between.
    pub client: Endpoint,
    /// The address that the client reached.
    pub local: Endpoint,
    /// What is known of its encryption; none on plaintext.
    pub tls: Option<Arc<TlsFacts>>,
    /// How many connections the server had when it came.
    pub open_before: usize,
    pub(crate) gate: Arc<Gate>,
}

impl ConnFacts {
    /// Whether the listener is going: the answer to the current request must be the last one on this connection.
    pub fn draining(&self) -> bool {
        self.gate.is_draining()
    }

    /// Whether the connection must go as long as no request is under way.
    pub(crate) fn dismissed(&self) -> bool {
        self.gate.is_closed()
    }
}

/// The facts of the connection beneath this session; `None` for sessions that our listeners did not make.
pub fn facts(session: &ServerSession) -> Option<&ConnFacts> {
    if let Some(conn) = conn(session) {
        return Some(conn.facts());
    }
    let digest = session.digest()?.proxy_digest.as_ref()?;
    digest.user_data.as_ref()?.downcast_ref()
}

/// When the first byte of the current request's head arrived; HTTP/1 only.
pub fn head_began(session: &ServerSession) -> Option<Instant> {
    conn(session).map(Conn::head_began)
}

/// Sets when the current request must be over: a wait beyond it fails like a read from the client. Whether anybody watches:
/// sessions that our listeners did not make have no deadline.
pub fn set_deadline(session: &mut ServerSession, deadline: Option<Instant>) -> bool {
    if let Some(conn) = conn(session) {
        conn.set_deadline(deadline);
        return true;
    }
    stream::set_deadline(session, deadline)
}

/// From here on the client may pause as long as the deadline allows: what it sends is no body that should keep coming.
pub fn forgive_pauses(session: &mut ServerSession) {
    if session.as_http1().is_some() {
        session.set_read_timeout(None);
    }
    match conn(session) {
        Some(conn) => conn.forgive_pauses(),
        None => stream::forgive_pauses(session),
    }
}

fn conn(session: &ServerSession) -> Option<&Conn> {
    session.stream()?.as_any().downcast_ref()
}
