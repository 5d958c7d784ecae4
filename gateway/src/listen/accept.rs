//! Accepts connections, one loop for each listener and worker.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pingora::server::ShutdownWatch;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::Reception;
use super::caps;
use super::census::{Census, Ticket};
use super::conn::{Conn, Io, Plain};
use super::facts::{ConnFacts, Endpoint};
use super::gate::Gate;
use super::http1;
use super::introduction;
use super::live::Listener;
use super::refusal::TurnedAway;
use super::socket::Bound;
use super::tls;

/// How long to leave a full process alone; the waiting connections stay in the kernel's queue.
const FULL_PAUSE: Duration = Duration::from_millis(50);

/// Both ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) client: Endpoint,
    pub(super) local: Endpoint,
}

/// A listener as one worker serves it.
pub(super) struct Post<R> {
    pub(super) reception: Arc<R>,
    pub(super) listener: Arc<Listener>,
    pub(super) gate: Arc<Gate>,
    pub(super) watch: ShutdownWatch,
    pub(super) census: Arc<Census>,
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

/// Accepts until the gate closes, then once more what the kernel has accepted for us already: closing the socket would reset
/// those connections.
pub(super) async fn run<R: Reception>(bound: Bound, post: Arc<Post<R>>) -> io::Result<()> {
    let socket = Socket::register(bound)?;
    let mut closing = post.gate.watch();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = closing.wait_for(|closed| *closed) => break,
            accepted = poll_fn(|cx| socket.poll_accept(cx)) => accepted,
        };
        match accepted {
            Ok(accepted) => receive(accepted, &post),
            Err(error) if concerns_one_client(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "Cannot accept connections for a moment");
                tokio::time::sleep(FULL_PAUSE).await;
            }
        }
    }
    while let Poll::Ready(Ok(accepted)) = poll_fn(|cx| Poll::Ready(socket.poll_accept(cx))).await {
        receive(accepted, &post);
    }
    Ok(())
}

/// The client went before it was accepted, or the network said so; everything else is about this process or machine.
fn concerns_one_client(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionAborted
            | Kind::ConnectionReset
            | Kind::ConnectionRefused
            | Kind::Interrupted
            | Kind::NetworkDown
            | Kind::NetworkUnreachable
            | Kind::HostUnreachable
            | Kind::TimedOut
    )
}

fn receive<R: Reception>(accepted: Accepted, post: &Arc<Post<R>>) {
    let client = accepted.client();
    match caps::admit(post, client) {
        Ok(ticket) => drop(tokio::spawn(attend(accepted, Arc::clone(post), ticket))),
        Err(why) => turn_away(post, client, why),
    }
}

fn turn_away<R: Reception>(post: &Post<R>, client: Endpoint, why: TurnedAway) {
    post.reception
        .turned_away(&post.listener.live().facts, client, why);
}

/// One connection from its first byte to its last: who it is, then its requests.
async fn attend<R: Reception>(accepted: Accepted, post: Arc<Post<R>>, mut ticket: Ticket) {
    let (mut io, mut ends) = accepted.introduce();
    if post.listener.live().settings.proxy_protocol {
        let announced = introduction::hear(&mut io, &post, ends, &mut ticket);
        match Box::pin(announced).await {
            Ok(announced) => ends = announced,
            Err(why) => return turn_away(&post, ends.client, why),
        }
    }
    let mut conn = greet(io, ends, &post, ticket.before());
    let _visit = Visit::begin(&post, conn.facts().clone(), ticket);
    let tls = post.listener.live().settings.tls.clone();
    // Boxed, so that a connection does not keep room for what is over.
    if let Some(tls) = tls
        && !Box::pin(tls::admit(&mut conn, &tls, &*post.reception)).await
    {
        return;
    }
    http1::serve(conn, Arc::clone(&post)).await;
}

/// A plain function: what it needs on the way must not become a part of the connection's future.
fn greet<R: Reception>(io: Io, ends: Ends, post: &Post<R>, open_before: usize) -> Box<Conn> {
    let live = post.listener.live();
    let (listener, gate) = (Arc::clone(&live.facts), Arc::clone(&post.gate));
    let facts = ConnFacts {
        listener,
        client: ends.client,
        local: ends.local,
        tls: None,
        open_before,
        gate,
    };
    Box::new(Conn::new(io, facts, live.settings.write_timeout))
}

/// Tells that a connection is gone, however its future ends.
struct Visit<R: Reception> {
    post: Arc<Post<R>>,
    facts: ConnFacts,
    _ticket: Ticket,
}

impl<R: Reception> Visit<R> {
    fn begin(post: &Arc<Post<R>>, facts: ConnFacts, ticket: Ticket) -> Self {
        post.reception.opened(&facts);
        Self {
            post: Arc::clone(post),
            facts,
            _ticket: ticket,
        }
    }
}

impl<R: Reception> Drop for Visit<R> {
    fn drop(&mut self) {
        self.post.reception.closed(&self.facts);
    }
}

impl Socket {
    fn register(bound: Bound) -> io::Result<Self> {
        match bound {
            Bound::Tcp(socket) => TcpListener::from_std(socket).map(Self::Tcp),
            Bound::Unix(socket) => UnixListener::from_std(socket).map(Self::Unix),
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        match self {
            Self::Tcp(socket) => socket
                .poll_accept(cx)
                .map_ok(|(stream, client)| Accepted::Tcp(stream, client)),
            Self::Unix(socket) => socket
                .poll_accept(cx)
                .map_ok(|(stream, _)| Accepted::Unix(stream)),
        }
    }
}

impl Accepted {
    fn client(&self) -> Endpoint {
        match self {
            Self::Tcp(_, client) => Endpoint::Ip(*client),
            Self::Unix(_) => Endpoint::Unix,
        }
    }

    /// The connection, who it is, and whom it reached.
    fn introduce(self) -> (Io, Ends) {
        let client = self.client();
        match self {
            Self::Tcp(stream, _) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "A client's socket keeps its delay");
                }
                let local = stream.local_addr().map_or(Endpoint::Unix, Endpoint::Ip);
                (Io::Plain(Plain::Tcp(stream)), Ends { client, local })
            }
            Self::Unix(stream) => {
                let local = Endpoint::Unix;
                (Io::Plain(Plain::Unix(stream)), Ends { client, local })
            }
        }
    }
}
