//! The second connection of a request: the same bytes once more, until the answer begins.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use http::StatusCode;
use pingora::ErrorType;
use pingora::prelude::HttpPeer;
use pingora::protocols::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Hedger;
use crate::upstream::retry::marked::ATTEMPT;
use crate::upstream::{Attempt, Outcome};

/// What is read of the second answer before it is known who wins.
const FIRST_READ: usize = 16 << 10;

/// The first bytes of the second answer, and where they came from.
pub(super) struct Answer {
    pub(super) stream: Stream,
    pub(super) peer: HttpPeer,
    pub(super) bytes: Vec<u8>,
    /// None where the first target was asked anew.
    pub(super) attempt: Option<(Attempt, Instant)>,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Of an answer's first bytes, if they hold it.
pub(super) fn status(bytes: &[u8]) -> Option<StatusCode> {
    let rest = bytes.strip_prefix(b"HTTP/1.")?;
    StatusCode::from_bytes(rest.get(2..5)?).ok()
}

pub(super) fn closed() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

/// The request as a repetition: targets are told, as they are of retries.
pub(super) fn marked(request: &[u8]) -> Vec<u8> {
    let head = request.strip_suffix(b"\r\n").unwrap_or(request);
    let field = format!("{}: 2\r\n\r\n", ATTEMPT.as_str());
    [head, field.as_bytes()].concat()
}

/// Sends a request and waits for the first bytes of its answer.
pub(super) async fn answer(
    hedger: Arc<Hedger>,
    peer: HttpPeer,
    request: Vec<u8>,
    mut attempt: Option<(Attempt, Instant)>,
) -> io::Result<Answer> {
    let asked = match &attempt {
        Some(_) => ask_pooled(&hedger, &peer, &request).await,
        None => ask_anew(&hedger, &peer, &request).await,
    };
    match asked {
        Ok((stream, bytes)) => Ok(Answer {
            stream,
            peer,
            bytes,
            attempt,
        }),
        Err((outcome, error)) => {
            if let Some((attempt, picked)) = &mut attempt {
                if outcome != Outcome::Broken {
                    attempt.address_refused();
                }
                attempt.report(outcome, picked.elapsed());
            }
            Err(error)
        }
    }
}

type Asked = Result<(Stream, Vec<u8>), (Outcome, io::Error)>;

/// On a connection from the pool, or a new one where that one was dead.
async fn ask_pooled(hedger: &Hedger, peer: &HttpPeer, request: &[u8]) -> Asked {
    if let Some(stream) = hedger.connector().reused_stream(peer).await
        && let Ok(asked) = exchange(stream, request).await
    {
        return Ok(asked);
    }
    ask_anew(hedger, peer, request).await
}

async fn ask_anew(hedger: &Hedger, peer: &HttpPeer, request: &[u8]) -> Asked {
    match hedger.connector().new_stream(peer).await {
        Ok(stream) => exchange(stream, request)
            .await
            .map_err(|error| (Outcome::Broken, error)),
        Err(error) => {
            let late = [ErrorType::ConnectTimedout, ErrorType::TLSHandshakeTimedout];
            let outcome = if late.contains(error.etype()) {
                Outcome::TimedOut
            } else {
                Outcome::ConnectFailed
            };
            Err((outcome, io::Error::other(error)))
        }
    }
}

async fn exchange(mut stream: Stream, request: &[u8]) -> io::Result<(Stream, Vec<u8>)> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut bytes = Vec::with_capacity(FIRST_READ);
    if stream.read_buf(&mut bytes).await? == 0 {
        return Err(closed());
    }
    Ok((stream, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_status_and_marks_the_repetition() {
        assert_eq!(
            status(b"HTTP/1.1 503 Busy").map(|it| it.as_u16()),
            Some(503)
        );
        assert_eq!(status(b"HTTP/1.0 200").map(|it| it.as_u16()), Some(200));
        for other in [&b""[..], b"HTTP/1.1 5", b"HTTP/2 200 ok", b"SSH-2.0-x-5000"] {
            assert_eq!(status(other), None, "{other:?}");
        }
        assert_eq!(
            marked(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
            b"GET / HTTP/1.1\r\nhost: a\r\nx-gateway-attempt: 2\r\n\r\n"
        );
    }
}
