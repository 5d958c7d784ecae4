//! One HTTP/2 request as Pingora sees it: Pingora's own stream, with a deadline that can end any wait, and a least rate for
//! its body.
//!
//! On HTTP/1 a request as a whole ends by `Conn`, whose reads fail once its deadline is over. Streams share their
//! connection, so here the session itself has the deadline: Pingora waits for the client (or for news that it is gone) all
//! the time it works on a request. A body keeps the same pace as on HTTP/1, but for calls of gRPC, whose body is one side of
//! a conversation. Everything else is handed on; `decisions/0019` says why it is done like this.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream as Messages;
use http::{HeaderMap, Method, header};
use pingora::ErrorType::{InternalError, ReadError};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, Result};
use pingora::protocols::Digest;
use pingora::protocols::http::custom::CustomMessageWrite;
use pingora::protocols::http::custom::server::Session;
use pingora::protocols::http::v2::server::HttpSession;
use pingora::protocols::http::{HttpTask, ServerSession};
use pingora::protocols::l4::socket::SocketAddr;

use super::tally::Tally;
use crate::listen::conn::Allowance;
use crate::listen::conn::deadline::Deadline;
use crate::listen::conn::pace::Pace;

type Reader = Box<dyn Messages<Item = Result<Bytes>> + Unpin + Send + Sync + 'static>;
type Writer = Box<dyn CustomMessageWrite>;

/// A stream with a deadline and a pace.
struct Stream {
    inner: HttpSession,
    deadline: Deadline,
    pace: Pace,
    answered: bool,
    tally: Arc<Tally>,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.tally.note(self.answered);
    }
}

/// Gives a session of HTTP/2 a deadline, what its body is allowed, and the most that it waits for a client that takes nothing.
pub(super) fn watched(
    session: ServerSession,
    write_timeout: Duration,
    body: Allowance,
    tally: &Arc<Tally>,
) -> ServerSession {
    let ServerSession::H2(mut inner) = session else {
        return session;
    };
    inner.set_write_timeout(Some(write_timeout));
    let mut pace = Pace::default();
    pace.begin(body);
    if is_call(inner.req_header()) {
        pace.forgive();
    }
    ServerSession::new_custom(Box::new(Stream {
        inner,
        deadline: Deadline::new(),
        pace,
        answered: false,
        tally: tally.clone(),
    }))
}

/// Sets when a stream's request must be over; whether the session is such a stream.
pub(in crate::listen) fn set_deadline(
    session: &mut ServerSession,
    deadline: Option<Instant>,
) -> bool {
    let Some(stream) = session.as_custom_mut() else {
        return false;
    };
    // The one way to tell a session something that Pingora does not know of.
    stream.set_read_timeout(deadline.map(|at| at.saturating_duration_since(Instant::now())));
    true
}

/// From here on the body may come as slowly as it likes.
pub(in crate::listen) fn forgive_pauses(session: &mut ServerSession) {
    if let Some(stream) = session.as_custom_mut() {
        // Told likewise: nobody waits for the end of a body that has none.
        stream.set_total_drain_timeout(None);
    }
}

/// A call of gRPC, whose client may be silent until it has something to say.
fn is_call(head: &RequestHeader) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE);
    let kind = kind.map_or(&b""[..], |kind| kind.as_bytes());
    let rest = kind.strip_prefix(b"application/grpc");
    head.method == Method::POST
        && rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

fn over_time(cause: std::io::Error) -> Box<Error> {
    Error::because(ReadError, "while waiting on an HTTP/2 stream", cause)
}

fn no_messages<T>() -> Result<T> {
    Error::e_explain(InternalError, "HTTP/2 has no custom messages")
}

#[async_trait]
impl Session for Stream {
    fn req_header(&self) -> &RequestHeader {
        self.inner.req_header()
    }

    fn req_header_mut(&mut self) -> &mut RequestHeader {
        self.inner.req_header_mut()
    }

    async fn read_body_bytes(&mut self) -> Result<Option<Bytes>> {
        let Self {
            inner,
            deadline,
            pace,
            ..
        } = self;
        let read = tokio::select! {
            biased;
            read = inner.read_body_bytes() => read?,
            cause = poll_fn(|cx| deadline.poll(cx, pace.waits())) => return Err(over_time(cause)),
        };
        pace.took(read.as_ref().map_or(0, Bytes::len));
        Ok(read)
    }

    async fn drain_request_body(&mut self) -> Result<()> {
        self.inner.drain_request_body().await
    }

    async fn write_response_header(&mut self, head: Box<ResponseHeader>, end: bool) -> Result<()> {
        self.answered |= end;
        self.inner.write_response_header(head, end)
    }

    async fn write_response_header_ref(&mut self, head: &ResponseHeader, end: bool) -> Result<()> {
        self.inner.write_response_header_ref(head, end)
    }

    async fn write_body(&mut self, data: Bytes, end: bool) -> Result<()> {
        self.inner.write_body(data, end).await?;
        self.answered |= end;
        Ok(())
    }

    async fn write_trailers(&mut self, trailers: HeaderMap) -> Result<()> {
        self.answered = true;
        self.inner.write_trailers(trailers)
    }

    async fn response_duplex_vec(&mut self, tasks: Vec<HttpTask>) -> Result<bool> {
        let ended = self.inner.response_duplex_vec(tasks).await?;
        self.answered |= ended;
        Ok(ended)
    }

    /// The wait for the client as a whole, from now on: not a timeout of single reads.
    fn set_read_timeout(&mut self, timeout: Option<Duration>) {
        self.deadline
            .set(timeout.and_then(|timeout| Instant::now().checked_add(timeout)));
    }

    fn get_read_timeout(&self) -> Option<Duration> {
        None
    }

    fn set_write_timeout(&mut self, timeout: Option<Duration>) {
        self.inner.set_write_timeout(timeout);
    }

    fn get_write_timeout(&self) -> Option<Duration> {
        self.inner.get_write_timeout()
    }

    /// None forgives pauses, too.
    fn set_total_drain_timeout(&mut self, timeout: Option<Duration>) {
        if timeout.is_none() {
            self.pace.forgive();
        }
        self.inner.set_total_drain_timeout(timeout);
    }

    fn get_total_drain_timeout(&self) -> Option<Duration> {
        self.inner.get_total_drain_timeout()
    }

    fn request_summary(&self) -> String {
        self.inner.request_summary()
    }

    fn response_written(&self) -> Option<&ResponseHeader> {
        self.inner.response_written()
    }

    async fn shutdown(&mut self, _code: u32, _reason: &str) {
        self.inner.shutdown();
    }

    fn is_body_done(&mut self) -> bool {
        self.inner.is_body_done()
    }

    async fn finish(&mut self) -> Result<()> {
        self.answered = true;
        self.inner.finish()
    }

    fn is_body_empty(&mut self) -> bool {
        self.inner.is_body_empty()
    }

    async fn read_body_or_idle(&mut self, no_body_expected: bool) -> Result<Option<Bytes>> {
        let Self {
            inner,
            deadline,
            pace,
            ..
        } = self;
        // Otherwise it waits for news that the client is gone.
        let for_body = !no_body_expected && !inner.is_body_done();
        let due = |pace: &mut Pace| for_body.then(|| pace.waits()).flatten();
        let read = tokio::select! {
            biased;
            read = inner.read_body_or_idle(no_body_expected) => read?,
            cause = poll_fn(|cx| deadline.poll(cx, due(pace))) => return Err(over_time(cause)),
        };
        pace.took(read.as_ref().map_or(0, Bytes::len));
        Ok(read)
    }

    fn body_bytes_sent(&self) -> usize {
        self.inner.body_bytes_sent()
    }

    fn body_bytes_read(&self) -> usize {
        self.inner.body_bytes_read()
    }

    fn digest(&self) -> Option<&Digest> {
        self.inner.digest()
    }

    fn digest_mut(&mut self) -> Option<&mut Digest> {
        self.inner.digest_mut()
    }

    fn client_addr(&self) -> Option<&SocketAddr> {
        self.inner.client_addr()
    }

    fn server_addr(&self) -> Option<&SocketAddr> {
        self.inner.server_addr()
    }

    fn pseudo_raw_h1_request_header(&self) -> Bytes {
        self.inner.pseudo_raw_h1_request_header()
    }

    fn enable_retry_buffering(&mut self) {
        self.inner.enable_retry_buffering();
    }

    fn retry_buffer_truncated(&self) -> bool {
        self.inner.retry_buffer_truncated()
    }

    fn get_retry_buffer(&self) -> Option<Bytes> {
        self.inner.get_retry_buffer()
    }

    async fn finish_custom(&mut self) -> Result<()> {
        Ok(())
    }

    fn take_custom_message_reader(&mut self) -> Option<Reader> {
        None
    }

    fn restore_custom_message_reader(&mut self, _: Reader) -> Result<()> {
        no_messages()
    }

    fn take_custom_message_writer(&mut self) -> Option<Writer> {
        None
    }

    fn restore_custom_message_writer(&mut self, _: Writer) -> Result<()> {
        no_messages()
    }
}
