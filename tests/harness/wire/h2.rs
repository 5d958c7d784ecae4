//! What both ends read of a stream of HTTP/2.

use h2::RecvStream;
use http::{HeaderMap, HeaderValue};

use super::{BodyAndTrailers, Headers};

/// Fields as text.
pub(crate) fn fields(map: &HeaderMap) -> Headers {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let pair = |(name, value): (&http::HeaderName, _)| (name.to_string(), text(value));
    Headers(map.iter().map(pair).collect())
}

/// Everything behind the head.
pub(crate) async fn rest(mut stream: RecvStream) -> Result<BodyAndTrailers, h2::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk?;
        stream.flow_control().release_capacity(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    let trailers = stream.trailers().await?.unwrap_or_default();
    Ok((body, fields(&trailers)))
}
