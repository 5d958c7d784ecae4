//! A server of the gRPC health protocol: HTTP/2 with prior knowledge, one method, an answer that the test chooses.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use crate::wait::{self, DEADLINE};

/// What it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serving {
    /// `SERVING`, as one message.
    Yes,
    /// `NOT_SERVING`, as one message.
    No,
    /// No message, but this `grpc-status` in the head.
    Status(&'static str),
    /// Nothing, ever.
    Stall,
}

/// A running server; it ends with this value.
#[derive(Debug)]
pub struct GrpcHealth {
    addr: SocketAddr,
    shared: Arc<Shared>,
    _runtime: Runtime,
}

#[derive(Debug)]
struct Shared {
    serving: Mutex<Serving>,
    asked: Mutex<Vec<(HeaderMap, Vec<u8>)>>,
}

impl GrpcHealth {
    /// Starts one that answers so.
    pub fn start(serving: Serving) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.expect("a free port on 127.0.0.1");
        let addr = listener
            .local_addr()
            .expect("a bound listener has an address");
        let shared = Arc::new(Shared {
            serving: Mutex::new(serving),
            asked: Mutex::default(),
        });
        let served = shared.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, served.clone()));
            }
        });
        Self {
            addr,
            shared,
            _runtime: runtime,
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on it answers so.
    pub fn set(&self, serving: Serving) {
        *lock(&self.shared.serving) = serving;
    }

    /// Head and body of every question so far.
    pub fn asked(&self) -> Vec<(HeaderMap, Vec<u8>)> {
        lock(&self.shared.asked).clone()
    }

    /// Waits until more questions than `count` came.
    pub fn wait_asked(&self, count: usize) {
        wait::until(DEADLINE, "questions about health", || {
            self.asked().len() > count
        });
    }
}

/// A failure here is the peer's going away: the test sees what became of it.
async fn serve(stream: TcpStream, shared: Arc<Shared>) -> Option<()> {
    let mut connection = h2::server::handshake(stream).await.ok()?;
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(answer(request, respond, shared.clone()));
    }
    Some(())
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    shared: Arc<Shared>,
) -> Option<()> {
    let (head, mut body) = request.into_parts();
    let mut message = Vec::new();
    while let Some(piece) = body.data().await {
        message.extend_from_slice(&piece.ok()?);
    }
    let mut headers = head.headers;
    headers.insert("x-path", head.uri.path().parse().ok()?);
    lock(&shared.asked).push((headers, message));
    let serving = *lock(&shared.serving);
    let head = Response::builder().header("content-type", "application/grpc");
    let status = match serving {
        Serving::Yes => 1,
        Serving::No => 2,
        Serving::Status(code) => {
            let head = head.header("grpc-status", code).body(()).ok()?;
            respond.send_response(head, true).ok()?;
            return Some(());
        }
        Serving::Stall => std::future::pending().await,
    };
    let mut stream = respond.send_response(head.body(()).ok()?, false).ok()?;
    let message = Bytes::from(vec![0, 0, 0, 0, 2, 8, status]);
    stream.send_data(message, false).ok()?;
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().ok()?);
    stream.send_trailers(trailers).ok()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
