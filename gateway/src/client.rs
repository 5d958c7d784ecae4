//! Our one outbound HTTP client, on Pingora's `Connector`: one request, one answer, within a time and a size.
//!
//! It has its own pool, apart from the proxy's. Pooled connections belong to the runtime that opened them, so each worker
//! has a client of its own. It follows no redirects and repeats nothing.

mod addresses;
pub mod call;

use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, StatusCode, Uri, header};
use pingora::ErrorType;
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::prelude::{Error, HttpPeer, OrErr, Result};
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::Peer;

/// Idle connections that one client keeps.
const POOL_SIZE: usize = 64;

/// A client. Making one costs nothing; its connector is made by the first request.
#[derive(Default)]
pub struct Client(OnceLock<Connector>);

/// What an answer may cost.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the connection to the last byte.
    pub time: Duration,
    /// Of its content; what is larger fails.
    pub bytes: usize,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its content.
    pub body: Bytes,
}

impl Client {
    /// Sends a request and reads the answer. The head has its `Host` and, with a body, its `Content-Length` already.
    pub async fn send(
        &self,
        peer: &HttpPeer,
        head: RequestHeader,
        body: Bytes,
        limits: Limits,
    ) -> Result<Answer> {
        match tokio::time::timeout(limits.time, self.exchange(peer, head, body, limits.bytes)).await
        {
            Ok(answered) => answered,
            Err(_) => Err(Error::new_up(ErrorType::ReadTimedout)),
        }
    }

    async fn exchange(
        &self,
        peer: &HttpPeer,
        head: RequestHeader,
        body: Bytes,
        bytes: usize,
    ) -> Result<Answer> {
        let connector = self
            .0
            .get_or_init(|| Connector::new(Some(ConnectorOptions::new(POOL_SIZE))));
        // A session that is dropped in the middle, by an error or by the time limit, is closed and never pooled.
        let (mut session, _) = connector.get_http_session(peer).await?;
        let answer = ask(&mut session, peer, head, body, bytes).await?;
        if let HttpSession::H1(http1) = &mut session {
            http1.respect_keepalive();
        }
        connector
            .release_http_session(session, peer, peer.options.idle_timeout)
            .await;
        Ok(answer)
    }
}

async fn ask(
    session: &mut HttpSession,
    peer: &HttpPeer,
    mut head: RequestHeader,
    body: Bytes,
    bytes: usize,
) -> Result<Answer> {
    if matches!(session, HttpSession::H2(_)) {
        put_for_http2(&mut head, peer.tls())?;
    }
    session.set_read_timeout(peer.options.read_timeout);
    session.set_write_timeout(peer.options.write_timeout);
    session.write_request_header(Box::new(head)).await?;
    if !body.is_empty() {
        session.write_request_body(body, true).await?;
    }
    session.finish_request_body().await?;
    let (status, headers) = loop {
        session.read_response_header().await?;
        match session.response_header() {
            Some(head) if head.status.is_informational() => {}
            Some(head) => break (head.status, head.headers.clone()),
            None => return Err(Error::new_up(ErrorType::InvalidHTTPHeader)),
        }
    };
    let mut content = Vec::new();
    while let Some(piece) = session.read_response_body().await? {
        if content.len() + piece.len() > bytes {
            return Err(Error::new_up(ErrorType::Custom("answer-too-large")));
        }
        content.extend_from_slice(&piece);
    }
    Ok(Answer {
        status,
        headers,
        body: content.into(),
    })
}

/// HTTP/2 says by pseudo-header fields what HTTP/1 says by its target and `Host`.
fn put_for_http2(head: &mut RequestHeader, secure: bool) -> Result<()> {
    let wrong = ErrorType::InvalidHTTPHeader;
    let host = head.headers.get(header::HOST);
    let host = host.map_or(&b""[..], |host| host.as_bytes());
    let authority = Authority::try_from(host).or_err(wrong.clone(), "a host for HTTP/2")?;
    let path = head.uri.path_and_query().cloned();
    let uri = Uri::builder()
        .scheme(if secure { Scheme::HTTPS } else { Scheme::HTTP })
        .authority(authority)
        .path_and_query(path.unwrap_or(PathAndQuery::from_static("/")))
        .build()
        .or_err(wrong, "a target for HTTP/2")?;
    head.set_uri(uri);
    head.remove_header(&header::HOST);
    Ok(())
}
