//! The request's head: checked as the accept path checks it, then as Pingora and the hooks see it.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use pingora::http::RequestHeader;
use plugins::contract::view::RequestBody;

use super::ask::Question;
use crate::config::model::ListenerConfig;
use crate::listen::HeadRefusal;
use crate::listen::check::Checker;
use crate::run::settings;

/// Asks the checker of the accept path.
pub(super) fn check(question: &Question, listener: &ListenerConfig) -> Result<(), HeadRefusal> {
    let limits = settings::of(listener).head;
    let checked = Checker::default().advance(question.head().as_bytes(), &limits)?;
    // The head has its empty line: what the checker waits for can only be what it takes for a longer one.
    checked.map(|_| ()).ok_or(HeadRefusal::RequestLine)
}

/// The head in Pingora's form. It has passed the checker, so an error is nothing that a client could cause.
pub(super) fn parse(question: &Question) -> Result<RequestHeader, String> {
    let target = question.target.as_bytes();
    let mut head = RequestHeader::build(question.method.clone(), target, None).map_err(failed)?;
    for line in question.head().split("\r\n").skip(1) {
        let Some((name, value)) = line.split_once(": ") else {
            continue;
        };
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| error.to_string())?;
        head.append_header(name.to_owned(), value).map_err(failed)?;
    }
    Ok(head)
}

/// What Pingora removes from a copy of the head before our hook gets it (RFC 9110 section 7.6.1): fields for this hop
/// alone and those that `Connection` nominates. The handshake of a WebSocket stays.
pub(super) fn without_hop_by_hop(head: &RequestHeader) -> Result<RequestHeader, String> {
    let mut head = head.clone();
    let nominated: Vec<HeaderName> = nominated(&head.headers);
    let to = head.headers.get(header::UPGRADE);
    let websocket = to.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && nominated.contains(&header::UPGRADE);
    for name in nominated.iter().map(HeaderName::as_str).chain(HOP_BY_HOP) {
        head.remove_header(name);
    }
    if websocket {
        head.insert_header(header::CONNECTION, HeaderValue::from_static("Upgrade"))
            .map_err(failed)?;
        head.insert_header(header::UPGRADE, HeaderValue::from_static("websocket"))
            .map_err(failed)?;
    }
    Ok(head)
}

fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let lists = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|list| list.to_str().ok());
    lists
        .flat_map(|list| list.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect()
}

/// A body of unknown length is sent on in chunks: Pingora frames it after our hook.
pub(super) fn framed(head: &mut RequestHeader, body: RequestBody) -> Result<(), String> {
    if body == RequestBody::Unknown && !head.headers.contains_key(header::CONTENT_LENGTH) {
        head.insert_header(
            header::TRANSFER_ENCODING,
            HeaderValue::from_static("chunked"),
        )
        .map_err(failed)?;
    }
    Ok(())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err wants"
)]
pub(super) fn failed(error: Box<pingora::Error>) -> String {
    format!("the head cannot be built: {error}")
}

const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
