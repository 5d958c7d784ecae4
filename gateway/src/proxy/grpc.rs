//! Our own answers as gRPC knows them: a status and a message of the call, in the head where the answer is nothing else
//! ("trailers-only"), or after an answer that had begun. `decisions/0017` has the table of statuses.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::Result;
use plugins::contract::flow::{Refusal, Reply, ReplyBody};

use super::dialect::{Dialect, without_parameters};
use super::grpc_web::Bridge;

static STATUS: HeaderName = HeaderName::from_static("grpc-status");
static MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// The `code` that a problem answer has in its body.
static CODE: HeaderName = HeaderName::from_static("x-problem-code");

/// What a message must not hold as it is: everything but printable ASCII, and the sign of the encoding itself.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The head that is the whole answer to a call; `None` for an answer that is none of our refusals, failures or redirects.
pub(super) fn trailers_only(
    reply: &Reply,
    request: &RequestHeader,
) -> Result<Option<ResponseHeader>> {
    if reply.refusal.is_none() && reply.status.as_u16() < 300 {
        return Ok(None);
    }
    let mut head = ResponseHeader::build(StatusCode::OK, Some(8 + reply.headers.len()))?;
    head.insert_header(header::CONTENT_TYPE, kind(request))?;
    for (name, value) in &reply.headers {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            head.append_header(name.clone(), value.clone())?;
        }
    }
    if request.version != Version::HTTP_2 {
        head.insert_header(header::CONTENT_LENGTH, HeaderValue::from_static("0"))?;
    }
    for (name, value) in &verdict(reply.status, reply.refusal, &text(reply)) {
        head.insert_header(name.clone(), value.clone())?;
    }
    Ok(Some(head))
}

/// Makes the head for an upstream of HTTP/2 one of gRPC, where the client speaks it, and keeps its word that it takes
/// trailers: what Pingora removed with the fields of the client's connection holds on the next one too.
pub(super) fn prepare(
    head: &mut RequestHeader,
    client: &RequestHeader,
    dialect: Dialect,
) -> Result<Option<Box<Bridge>>> {
    if head.version != Version::HTTP_2 {
        return Ok(None);
    }
    let asks = |te: &HeaderValue| te.as_bytes().eq_ignore_ascii_case(b"trailers");
    let on_http2 = client.version == Version::HTTP_2;
    if dialect != Dialect::Plain || (on_http2 && client.headers.get(header::TE).is_some_and(asks)) {
        head.insert_header(header::TE, HeaderValue::from_static("trailers"))?;
    }
    match dialect {
        Dialect::GrpcWeb(coding) => {
            Bridge::build(head, coding).map(|bridge| Some(Box::new(bridge)))
        }
        Dialect::Plain | Dialect::Grpc => Ok(None),
    }
}

/// What ends an answer that had begun.
pub(super) fn trailers(refusal: &'static Refusal) -> HeaderMap {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    verdict(status, Some(refusal), refusal.title)
}

fn verdict(status: StatusCode, refusal: Option<&Refusal>, text: &str) -> HeaderMap {
    let mut fields = HeaderMap::with_capacity(3);
    fields.insert(&STATUS, HeaderValue::from(code(status)));
    let message = utf8_percent_encode(text, ENCODED).to_string();
    if let Ok(message) = HeaderValue::try_from(message) {
        fields.insert(&MESSAGE, message);
    }
    if let Some(refusal) = refusal {
        fields.insert(&CODE, HeaderValue::from_static(refusal.code));
    }
    fields
}

/// The media type that the client used: gRPC-Web clients insist on it.
fn kind(request: &RequestHeader) -> HeaderValue {
    let sent = request.headers.get(header::CONTENT_TYPE);
    let kind = sent.map(|kind| without_parameters(kind.as_bytes()));
    kind.and_then(|kind| HeaderValue::from_bytes(kind).ok())
        .unwrap_or(HeaderValue::from_static("application/grpc"))
}

fn text(reply: &Reply) -> String {
    let title = reply.refusal.map(|refusal| refusal.title);
    match (&reply.body, title) {
        (
            ReplyBody::Problem {
                detail: Some(detail),
            },
            Some(title),
        ) => format!("{title} {detail}"),
        (_, Some(title)) => title.to_owned(),
        (_, None) => reply.status.to_string(),
    }
}

/// The status of gRPC for one of ours.
pub(super) fn code(status: StatusCode) -> u16 {
    match status.as_u16() {
        499 => 1,                    // cancelled
        400 | 415 | 417 | 422 => 3,  // invalid argument
        408 | 504 => 4,              // deadline exceeded
        403 | 451 => 7,              // permission denied
        413 | 414 | 429 | 431 => 8,  // resource exhausted
        412 | 428 => 9,              // failed precondition
        409 => 10,                   // aborted
        404 | 405 | 421 | 501 => 12, // unimplemented
        500 => 13,                   // internal
        502 | 503 => 14,             // unavailable
        401 | 407 => 16,             // unauthenticated
        _ => 2,                      // unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static DENIED: Refusal = Refusal {
        status: 403,
        code: "test.denied",
        title: "Not yours.",
    };

    fn request(version: Version) -> RequestHeader {
        let mut request = RequestHeader::build("POST", b"/a.B/C", None).unwrap();
        request.set_version(version);
        request
            .insert_header(header::CONTENT_TYPE, "application/grpc+proto; a=b")
            .unwrap();
        request
    }

    #[test]
    fn a_refusal_is_a_status_and_a_message() {
        let reply = Reply::refusal(&DENIED).detail("100 % grün\n");
        let head = trailers_only(&reply, &request(Version::HTTP_2))
            .unwrap()
            .unwrap();
        assert_eq!(head.status, 200);
        for (name, value) in [
            ("content-type", "application/grpc+proto"),
            ("grpc-status", "7"),
            ("grpc-message", "Not yours. 100 %25 gr%C3%BCn%0A"),
            ("x-problem-code", "test.denied"),
        ] {
            assert_eq!(head.headers[name], value);
        }
        assert!(!head.headers.contains_key("content-length"));
    }

    #[test]
    fn an_answer_of_the_configuration_is_none_of_ours() {
        let reply = Reply::plain(StatusCode::OK, ReplyBody::Empty);
        assert!(
            trailers_only(&reply, &request(Version::HTTP_2))
                .unwrap()
                .is_none()
        );
        let reply = Reply::plain(StatusCode::PERMANENT_REDIRECT, ReplyBody::Empty);
        let head = trailers_only(&reply, &request(Version::HTTP_11))
            .unwrap()
            .unwrap();
        assert_eq!(
            (
                &head.headers["grpc-status"],
                &head.headers["content-length"]
            ),
            (&"2".parse().unwrap(), &"0".parse().unwrap())
        );
    }
}
