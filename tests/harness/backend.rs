//! A real HTTP/1.1 server with a script: echo, answer, wait at a gate, stall, reset, trickle, or send any bytes.
//!
//! It records every request it read and complains about none silently: what it could not read strictly is
//! in `faults()`. Without a script it answers 200 with the request as JSON.

mod h2;
mod health;
mod script;
mod scripted;
mod serve;
mod tls;

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

pub use h2::{H2Backend, H2Call, H2Script, Handled};
pub use health::{GrpcHealth, Serving};
pub use script::{Ending, Gate, Script};
pub use tls::{Handshake, TlsFront, TlsSetup, certificates};

use crate::ports::{self, Reservation};
use crate::wait::{self, DEADLINE};
use crate::wire::Headers;
use scripted::scripted;

/// A request as the backend read it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The number of the connection it came on, from 0.
    pub connection: usize,
    /// The method.
    pub method: String,
    /// The request target, byte for byte.
    pub target: String,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// Fields in wire order.
    pub headers: Headers,
    /// The body without its framing; empty where the script does not read it.
    pub body: Vec<u8>,
    /// Fields after a chunked body.
    pub trailers: Headers,
}

impl Recorded {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A running backend; it ends with this value.
#[derive(Debug)]
pub struct Backend {
    addr: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
    /// Keeps the port for who starts again there.
    _port: Option<Reservation>,
}

#[derive(Debug, Default)]
struct Shared {
    name: String,
    scripts: Mutex<Scripts>,
    requests: Mutex<Vec<Recorded>>,
    faults: Mutex<Vec<String>>,
    streams: Mutex<HashMap<usize, TcpStream>>,
    accepted: AtomicUsize,
    stopping: AtomicBool,
}

#[derive(Debug, Default)]
struct Scripts {
    next: VecDeque<Script>,
    by_path: HashMap<String, Script>,
    otherwise: Script,
}

impl Backend {
    /// Starts a backend on a free port.
    pub fn start() -> Self {
        Self::named("backend")
    }

    /// Starts one that calls itself `name` in its echo and in the header `x-backend`.
    pub fn named(name: &str) -> Self {
        Self::listening(name, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Starts one at a known address: where another was stopped, or where nobody listened.
    pub fn at(addr: SocketAddr) -> Self {
        Self::listening("backend", addr)
    }

    /// An address of this machine where nobody listens, for as long as the test process lives.
    pub fn refusing() -> SocketAddr {
        let reservation = ports::reserve();
        let addr = reservation.addr();
        std::mem::forget(reservation);
        addr
    }

    fn listening(name: &str, addr: SocketAddr) -> Self {
        let port = (addr.port() == 0).then(ports::reserve);
        let addr = port.as_ref().map_or(addr, Reservation::addr);
        let listener = TcpListener::bind(addr).unwrap_or_else(|error| panic!("{addr}: {error}"));
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            ..Shared::default()
        });
        let accepting = thread::spawn({
            let shared = Arc::clone(&shared);
            move || serve::accept(&listener, &shared)
        });
        Self {
            addr,
            shared,
            accepting: Some(accepting),
            _port: port,
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    scripted!(Script);

    /// Connections that are open now.
    pub fn connections_open(&self) -> usize {
        lock(&self.shared.streams).len()
    }

    /// Closes the listener and every connection; the address then refuses.
    pub fn stop(&mut self) {
        let Some(accepting) = self.accepting.take() else {
            return;
        };
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes `accept`; if even that fails, the listener is gone already.
        TcpStream::connect(self.addr).ok();
        accepting
            .join()
            .expect("the accepting thread does not panic");
        self.close_connections();
    }

    /// Closes every connection and keeps listening, as a restarting server does.
    pub fn close_connections(&self) {
        for stream in lock(&self.shared.streams).values() {
            // Fails where the peer was quicker.
            stream.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.stop();
        let faults = self.faults();
        if thread::panicking() && !faults.is_empty() {
            eprintln!("--- {} could not read: {faults:#?}", self.shared.name);
        }
    }
}

/// What the asynchronous backends run on: a thread of their own.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// A test that panicked while it held the lock has failed already; others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
