//! The only writer of the gateway's own answers. It has two sinks: Pingora's session, and plain bytes for a connection
//! whose request head was refused before any session was made.
//!
//! Problem answers follow RFC 9457. They hold a stable code and the request's id, and nothing of the inside.

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use pingora::http::ResponseHeader;
use pingora::prelude::{Result, Session};
use pingora::protocols::http::HttpTask;
use plugins::contract::flow::{Refusal, Reply, ReplyBody};
use plugins::contract::view::RequestBody;

use super::ctx::Ctx;
use super::dialect::Dialect;
use super::{grpc, response};

/// A request body of at most this many bytes is read to its end, so that the connection can go on.
const DRAIN_MAX: u64 = 64 << 10;

/// Sends an answer; the response hooks of the route's policies run on it.
pub(super) async fn send(session: &mut Session, ctx: &mut Ctx, reply: &Reply) -> Result<()> {
    ctx.progress.code = reply.refusal.map(|refusal| refusal.code).or(reply.code);
    if ctx.seen.dialect != Dialect::Plain
        && let Some(head) = grpc::trailers_only(reply, session.req_header())?
    {
        ctx.progress.grpc_status = Some(grpc::code(reply.status));
        return send_head(session, ctx, head).await;
    }
    let (mut head, body) = compose(reply, ctx.seen.id.to_str().unwrap_or_default())?;
    response::finish_head(session, &mut head, ctx, None);
    keep_usable(session, ctx.seen.body);
    let bodiless =
        body.is_empty() || session.req_header().method == Method::HEAD || !has_length(reply.status);
    session
        .write_response_header(Box::new(head), bodiless)
        .await?;
    if !bodiless {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// Sends an answer that is nothing but a head. (Pingora's own way would end it with a frame of its own.)
async fn send_head(session: &mut Session, ctx: &mut Ctx, mut head: ResponseHeader) -> Result<()> {
    response::finish_head(session, &mut head, ctx, None);
    keep_usable(session, ctx.seen.body);
    let whole = HttpTask::Header(Box::new(head), true);
    session.write_response_tasks(vec![whole]).await.map(drop)
}

/// Tells the client of a call why its answer, which had begun, will not go on; other clients see it cut.
pub(super) async fn break_off(session: &mut Session, ctx: &mut Ctx, refusal: &'static Refusal) {
    if ctx.seen.dialect != Dialect::Plain {
        ctx.progress.grpc_status = StatusCode::from_u16(refusal.status).ok().map(grpc::code);
    }
    let told = match ctx.seen.dialect {
        Dialect::Grpc => {
            session
                .write_response_trailers(grpc::trailers(refusal))
                .await
        }
        Dialect::GrpcWeb(_) | Dialect::Plain => {
            let bridge = ctx.progress.bridge.as_ref();
            match bridge.and_then(|bridge| bridge.broken(refusal)) {
                Some(frame) => session.write_response_body(Some(frame), true).await,
                None => Ok(()),
            }
        }
    };
    if let Err(error) = told {
        tracing::debug!(%error, "A client did not hear why its call broke");
    }
}

/// Head and content of an answer, before the response hooks.
pub fn compose(reply: &Reply, id: &str) -> Result<(ResponseHeader, Bytes)> {
    let (body, kind) = content(reply, id);
    let mut head = ResponseHeader::build(reply.status, Some(8 + reply.headers.len()))?;
    for (name, value) in &reply.headers {
        head.append_header(name.clone(), value.clone())?;
    }
    if let Some(kind) = kind {
        head.insert_header(header::CONTENT_TYPE, HeaderValue::from_static(kind))?;
        head.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
    }
    if has_length(reply.status) {
        head.insert_header(header::CONTENT_LENGTH, HeaderValue::from(body.len()))?;
    }
    Ok((head, body))
}

/// 204 and 304 have no content and 204 must not have a length (RFC 9110 sections 8.6 and 15.3.5).
fn has_length(status: StatusCode) -> bool {
    status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// Pingora closes a connection whose request was not read to its end. A small body is worth reading instead; a client
/// that waits for `100 Continue` will not send it.
fn keep_usable(session: &mut Session, body: RequestBody) {
    let waits = session.req_header().headers.contains_key(header::EXPECT);
    if !waits && matches!(body, RequestBody::Length(length) if length <= DRAIN_MAX) {
        session.set_close_on_response_before_downstream_finish(false);
    }
}

/// The content of a reply and its type, where the type is ours to say.
fn content(reply: &Reply, id: &str) -> (Bytes, Option<&'static str>) {
    match (&reply.body, reply.refusal) {
        (ReplyBody::Bytes(bytes), _) => (bytes.clone(), None),
        (ReplyBody::Problem { detail }, Some(refusal)) => (
            problem(refusal, detail.as_deref(), id),
            Some("application/problem+json"),
        ),
        (ReplyBody::Empty | ReplyBody::Problem { .. }, _) => (Bytes::new(), None),
    }
}

#[derive(serde::Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(rename = "request-id")]
    request_id: &'a str,
}

fn problem(refusal: &Refusal, detail: Option<&str>, request_id: &str) -> Bytes {
    let Refusal {
        status,
        code,
        title,
    } = *refusal;
    let problem = Problem {
        r#type: "about:blank",
        title,
        status,
        code,
        detail,
        request_id,
    };
    // A struct of texts and numbers always serialises.
    serde_json::to_vec(&problem)
        .map(Bytes::from)
        .unwrap_or_default()
}

/// A whole HTTP/1.1 answer that ends its connection, for a head that was refused before any route was known.
pub(super) fn farewell(refusal: &'static Refusal, id: &str, hsts: Option<&HeaderValue>) -> Bytes {
    let body = problem(refusal, None, id);
    let reason = StatusCode::from_u16(refusal.status)
        .ok()
        .and_then(|status| status.canonical_reason());
    let hsts = hsts.and_then(|value| value.to_str().ok());
    let hsts = hsts.map(|value| format!("Strict-Transport-Security: {value}\r\n"));
    let head = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\nContent-Length: {}\r\n\
         X-Request-Id: {id}\r\n{}Connection: close\r\n\r\n",
        refusal.status,
        reason.unwrap_or("Refused"),
        body.len(),
        hsts.unwrap_or_default(),
    );
    [head.into_bytes(), body.to_vec()].concat().into()
}
