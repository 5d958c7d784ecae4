//! HTTP/2 with prior knowledge or over TLS, on a private runtime so that tests stay plain functions.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{JoinHandle, JoinSet};

use super::{Response, Tls};
use crate::wait::DEADLINE;
use crate::wire::h2::{fields, rest};

/// One HTTP/2 connection.
#[derive(Debug)]
pub struct H2c {
    runtime: Runtime,
    send: SendRequest<Bytes>,
    scheme: &'static str,
    authority: String,
    connection: JoinHandle<Result<(), h2::Error>>,
}

/// A request as HTTP/2 knows it.
#[derive(Clone, Debug)]
pub struct H2Request {
    method: String,
    path: String,
    authority: Option<String>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl H2Request {
    /// A request without body.
    pub fn new(method: &str, path: &str) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self {
            method,
            path,
            authority: None,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Adds a header field.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets `:authority`; left out: the address.
    pub fn authority(mut self, authority: &str) -> Self {
        self.authority = Some(authority.to_owned());
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(super) fn head(&self, scheme: &str, authority: &str) -> http::Request<()> {
        let authority = self.authority.as_deref().unwrap_or(authority);
        let mut head = http::Request::builder()
            .method(self.method.as_str())
            .uri(format!("{scheme}://{authority}{}", self.path));
        for (name, value) in &self.headers {
            head = head.header(name, value);
        }
        head.body(())
            .expect("a request that the http crate accepts")
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.body
    }
}

impl H2c {
    /// Connects and shakes hands.
    pub fn connect(addr: SocketAddr) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (send, connection) = runtime.block_on(within(DEADLINE, async {
            let stream = TcpStream::connect(addr).await.expect("connected");
            let (send, connection) = h2::client::handshake(stream).await.expect("a handshake");
            (send, tokio::spawn(connection))
        }));
        Self {
            runtime,
            send,
            scheme: "http",
            authority: addr.to_string(),
            connection,
        }
    }

    /// Connects over TLS, which has to agree on `h2`.
    pub fn connect_tls(addr: SocketAddr, tls: &Tls) -> Self {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let (connector, name) = tls.clone().alpn(&["h2"]).connector();
        let authority = format!("{}:{}", name.to_str(), addr.port());
        let (send, connection) = runtime.block_on(within(DEADLINE, async {
            let stream = TcpStream::connect(addr).await.expect("connected");
            let stream = connector.connect(name, stream).await;
            let stream = stream.expect("a TLS handshake");
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
            let (send, connection) = h2::client::handshake(stream).await.expect("a handshake");
            (send, tokio::spawn(connection))
        }));
        Self {
            runtime,
            send,
            scheme: "https",
            authority,
            connection,
        }
    }

    /// `GET path`.
    pub fn get(&mut self, path: &str) -> Response {
        self.request(H2Request::new("GET", path))
    }

    /// `POST path` with a body.
    pub fn post(&mut self, path: &str, body: &[u8]) -> Response {
        self.request(H2Request::new("POST", path).body(body))
    }

    /// Sends a request and reads the whole answer.
    pub fn request(&mut self, request: H2Request) -> Response {
        self.try_request(request)
            .unwrap_or_else(|error| panic!("h2 at {}: {error}", self.authority))
    }

    /// Like `request`, or the stream's error.
    pub fn try_request(&mut self, request: H2Request) -> Result<Response, h2::Error> {
        let mut answers = self.together(vec![request]);
        answers.pop().expect("one answer a request")
    }

    /// Sends all requests at once, each on its own stream; answers come in the order of the requests.
    pub fn together(&mut self, requests: Vec<H2Request>) -> Vec<Result<Response, h2::Error>> {
        let mut tasks = JoinSet::new();
        for (index, request) in requests.into_iter().enumerate() {
            let send = self.send.clone();
            let base = (self.scheme, self.authority.clone());
            let exchange = async move { (index, exchange(send, request, base).await) };
            tasks.spawn_on(exchange, self.runtime.handle());
        }
        let mut answers = self.runtime.block_on(within(DEADLINE, tasks.join_all()));
        answers.sort_by_key(|(index, _)| *index);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Returns when the peer has closed the connection; the error, if it went away in anger.
    pub fn wait_closed(self) -> Result<(), h2::Error> {
        // `send` stays: without it our side would close by itself and the test would see nothing.
        let Self {
            runtime,
            send,
            connection,
            ..
        } = self;
        let end = runtime.block_on(within(DEADLINE, connection));
        drop(send);
        end.expect("the driver does not panic")
    }
}

pub(super) async fn within<T>(deadline: Duration, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(deadline, work)
        .await
        .expect("an answer within the deadline")
}

async fn exchange(
    send: SendRequest<Bytes>,
    request: H2Request,
    (scheme, authority): (&str, String),
) -> Result<Response, h2::Error> {
    let mut send = send.ready().await?;
    let head = request.head(scheme, &authority);
    let (answer, mut body) = send.send_request(head, request.body.is_empty())?;
    if !request.body.is_empty() {
        // An early answer may reset the sending side; the answer itself tells the test what happened.
        body.send_data(request.body.into(), true).ok();
    }
    collect(answer.await?).await
}

async fn collect(answer: http::Response<h2::RecvStream>) -> Result<Response, h2::Error> {
    let (head, stream) = answer.into_parts();
    let (body, trailers) = rest(stream).await?;
    Ok(Response {
        version: "HTTP/2".to_owned(),
        status: head.status.as_u16(),
        headers: fields(&head.headers),
        body,
        trailers,
        interim: Vec::new(),
    })
}
