//! A real HTTP/2 server with a script, by prior knowledge; behind a [`TlsFront`](super::TlsFront) it is one over TLS.
//!
//! It records every request whose script reads the body, and counts connections and streams. What scripts cannot say,
//! a handler does: it gets the request and the way to answer it as the `h2` crate has them.

mod script;
mod serve;

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::broadcast;

pub use script::H2Script;

use super::scripted::scripted;
use super::{Recorded, lock, runtime};
use crate::ports::{self, Reservation};
use crate::wait::{self, DEADLINE};

/// A running HTTP/2 backend; it ends with this value.
#[derive(Debug)]
pub struct H2Backend {
    addr: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
    /// Keeps the port for who starts again there.
    _port: Option<Reservation>,
}

/// One stream, for a handler.
#[derive(Debug)]
pub struct H2Call {
    /// Head and body of the request.
    pub request: http::Request<RecvStream>,
    /// The way to answer.
    pub respond: SendResponse<Bytes>,
    /// The number of the connection it came on, from 0.
    pub connection: usize,
}

/// What a handler returns.
pub type Handled = Pin<Box<dyn Future<Output = ()> + Send>>;

type Handler = Arc<dyn Fn(H2Call) -> Handled + Send + Sync>;

#[derive(Debug)]
struct Shared {
    name: String,
    scripts: Mutex<Scripts>,
    requests: Mutex<Vec<Recorded>>,
    faults: Mutex<Vec<String>>,
    accepted: AtomicUsize,
    open: AtomicUsize,
    streams: AtomicUsize,
    orders: broadcast::Sender<Order>,
}

#[derive(Debug, Default)]
struct Scripts {
    next: VecDeque<H2Script>,
    by_path: HashMap<String, H2Script>,
    otherwise: H2Script,
    streams_max: Option<u32>,
}

/// What a connection is told.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// GOAWAY, then served to the end.
    Leave,
    /// GOAWAY with this reason, then cut.
    Abort(Reason),
    /// Closed without a word.
    Close,
}

impl H2Backend {
    /// Starts a backend on a free port.
    pub fn start() -> Self {
        Self::named("h2")
    }

    /// Starts one that calls itself `name` in its echo and in the header `x-backend`.
    pub fn named(name: &str) -> Self {
        Self::listening(name, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts one at a known address.
    pub fn at(addr: SocketAddr) -> Self {
        Self::listening("h2", addr)
    }

    fn listening(name: &str, addr: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            scripts: Mutex::default(),
            requests: Mutex::default(),
            faults: Mutex::default(),
            accepted: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            orders: broadcast::Sender::new(8),
        });
        let port = (addr.port() == 0).then(ports::reserve);
        let addr = port.as_ref().map_or(addr, Reservation::addr);
        let runtime = runtime();
        let listener = runtime
            .block_on(TcpListener::bind(addr))
            .unwrap_or_else(|error| panic!("{addr}: {error}"));
        runtime.spawn(serve::accept(listener, Arc::clone(&shared)));
        Self {
            addr,
            shared,
            runtime: Some(runtime),
            _port: port,
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    scripted!(H2Script);

    /// New connections allow that many streams at once.
    pub fn streams_max(&self, max: u32) -> &Self {
        lock(&self.shared.scripts).streams_max = Some(max);
        self
    }

    /// Connections that are open now.
    pub fn connections_open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Streams opened so far, also those that were refused.
    pub fn streams(&self) -> usize {
        self.shared.streams.load(Ordering::SeqCst)
    }

    /// Sends GOAWAY on every connection, finishes what is open there, and keeps listening.
    pub fn go_away(&self) {
        self.order(Order::Leave);
    }

    /// Sends GOAWAY with this reason on every connection and drops its streams unanswered.
    pub fn abort(&self, reason: Reason) {
        self.order(Order::Abort(reason));
    }

    /// Closes every connection without a word and keeps listening.
    pub fn close_connections(&self) {
        self.order(Order::Close);
    }

    fn order(&self, order: Order) {
        // Without a connection nobody listens, and nothing is to be done.
        self.shared.orders.send(order).ok();
    }

    /// Closes the listener and every connection; the address then refuses.
    pub fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
            wait::until(DEADLINE, "a stopped backend", || {
                std::net::TcpStream::connect(self.addr).is_err()
            });
        }
    }
}

impl Drop for H2Backend {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        let faults = self.faults();
        if std::thread::panicking() && !faults.is_empty() {
            eprintln!("--- {} could not read: {faults:#?}", self.shared.name);
        }
    }
}
