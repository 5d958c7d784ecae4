//! HTTP checks, over HTTP/1.1 by Pingora's client and over HTTP/2 by `h2`.

use ::http::{HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use bytes::Bytes;
use pingora::http::RequestHeader;
use pingora::protocols::Stream;
use pingora::protocols::http::v1::client::HttpSession;

use super::check::{CheckError, broken};
use crate::config::model::HttpCheckConfig;

/// How much of an answer is searched.
const BODY_MAX: usize = 64 << 10;

const AGENT: HeaderValue = HeaderValue::from_static("gateway-health");

pub(super) async fn over_http1(
    stream: Stream,
    check: &HttpCheckConfig,
    host: &HeaderValue,
) -> Result<(), CheckError> {
    let mut request =
        RequestHeader::build(Method::GET, check.path.as_str().as_bytes(), None).map_err(broken)?;
    for (name, value) in fields(check) {
        request.append_header(name, value).map_err(broken)?;
    }
    request.insert_header(header::HOST, host).map_err(broken)?;
    request
        .insert_header(header::CONNECTION, "close")
        .map_err(broken)?;
    let mut session = HttpSession::new(stream);
    session
        .write_request_header(Box::new(request))
        .await
        .map_err(broken)?;
    loop {
        session.read_response().await.map_err(broken)?;
        let status = session.get_status().unwrap_or_default();
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            continue;
        }
        judge(status, check)?;
        break;
    }
    let Some(text) = &check.body else {
        return Ok(());
    };
    let mut search = Search::new(text);
    while let Some(piece) = session.read_body_bytes().await.map_err(broken)? {
        if search.is_over(&piece) {
            break;
        }
    }
    search.result()
}

pub(super) async fn over_http2(
    stream: Stream,
    check: &HttpCheckConfig,
    host: &HeaderValue,
    secure: bool,
) -> Result<(), CheckError> {
    let mut request = request(Method::GET, check.path.clone(), host, secure)?;
    for (name, value) in fields(check) {
        request.headers_mut().append(name, value);
    }
    exchange(stream, async |mut sender| {
        let (answer, _) = sender.send_request(request, true).map_err(broken)?;
        let mut body = {
            let answer = answer.await.map_err(broken)?;
            judge(answer.status(), check)?;
            answer.into_body()
        };
        let Some(text) = &check.body else {
            return Ok(());
        };
        let mut search = Search::new(text);
        while let Some(piece) = body.data().await {
            let piece: Bytes = piece.map_err(broken)?;
            if search.is_over(&piece) {
                break;
            }
            // Fails where the stream has ended: nothing more is expected then.
            body.flow_control()
                .release_capacity(piece.len())
                .unwrap_or_default();
        }
        search.result()
    })
    .await
}

/// Talks over a connection of its own, which is driven meanwhile and dropped in the end.
pub(super) async fn exchange<T>(
    stream: Stream,
    talk: impl AsyncFnOnce(h2::client::SendRequest<Bytes>) -> Result<T, CheckError>,
) -> Result<T, CheckError> {
    let (sender, connection) = h2::client::handshake(stream).await.map_err(broken)?;
    let sender = sender.ready();
    let talk = async {
        let sender = sender.await.map_err(broken)?;
        talk(sender).await
    };
    let (mut talk, connection) = (Box::pin(talk), Box::pin(connection));
    tokio::select! {
        result = &mut talk => result,
        // What has arrived before the end can still be read.
        _ = connection => talk.await,
    }
}

/// A request for HTTP/2 to this authority.
pub(super) fn request(
    method: Method,
    path: ::http::uri::PathAndQuery,
    host: &HeaderValue,
    secure: bool,
) -> Result<Request<()>, CheckError> {
    let uri = Uri::builder()
        .scheme(if secure { "https" } else { "http" })
        .authority(host.as_bytes())
        .path_and_query(path)
        .build()
        .map_err(broken)?;
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    *request.version_mut() = Version::HTTP_2;
    Ok(request)
}

fn fields(check: &HttpCheckConfig) -> impl Iterator<Item = (::http::HeaderName, HeaderValue)> {
    let own = !check
        .headers
        .iter()
        .any(|(name, _)| name == header::USER_AGENT);
    let agent = own.then_some((header::USER_AGENT, AGENT));
    check.headers.iter().cloned().chain(agent)
}

fn judge(status: StatusCode, check: &HttpCheckConfig) -> Result<(), CheckError> {
    let status = status.as_u16();
    if check.status.iter().any(|range| range.contains(&status)) {
        return Ok(());
    }
    Err(CheckError::Status(status))
}

/// Looks for a text in the pieces of a body.
struct Search<'a> {
    text: &'a [u8],
    seen: Vec<u8>,
    found: bool,
}

impl<'a> Search<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text: text.as_bytes(),
            seen: Vec::new(),
            found: text.is_empty(),
        }
    }

    /// Takes a piece in; `true` when nothing more need be read.
    fn is_over(&mut self, piece: &[u8]) -> bool {
        // It may lie across two pieces.
        let from = self.seen.len().saturating_sub(self.text.len());
        let room = BODY_MAX.saturating_sub(self.seen.len());
        self.seen
            .extend_from_slice(piece.get(..room).unwrap_or(piece));
        let fresh = self.seen.get(from..).unwrap_or_default();
        self.found |=
            !self.text.is_empty() && fresh.windows(self.text.len()).any(|at| at == self.text);
        self.found || self.seen.len() >= BODY_MAX
    }

    fn result(&self) -> Result<(), CheckError> {
        if self.found {
            Ok(())
        } else {
            Err(CheckError::Text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_text_across_pieces_and_within_the_limit() {
        let mut search = Search::new("ready");
        assert!(!search.is_over(b"not re") && !search.is_over(b"a"));
        assert!(search.is_over(b"dy at all") && search.result().is_ok());
        let mut search = Search::new("ready");
        assert!(search.is_over(&vec![b'x'; BODY_MAX + 1]));
        assert!(search.result().is_err());
        assert_eq!(search.seen.len(), BODY_MAX);
        let mut search = Search::new("ready");
        assert!(!search.is_over(&vec![b'x'; BODY_MAX - 2]) && search.is_over(b"ready"));
        assert!(search.result().is_err(), "only its beginning is within");
    }
}
