//! What happens to an upstream's answer on its way to the client.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use pingora::ErrorType::InvalidHTTPHeader;
use pingora::http::ResponseHeader;
use pingora::prelude::{Error, Result, Session};
use pingora_cache::CachePhase;
use plugins::contract::plugin::BodyChunk;
use plugins::contract::view::ResponseView;

use super::ctx::{Ctx, Seen};
use super::dialect::Dialect;
use super::request::remaining;
use super::response_head::OwnHop;
use super::{affinity, cache, failure, forward, lower, response_head, silence, trailers};
use crate::decide::REQUEST_ID;
use crate::listen::{self, ConnFacts};
use crate::runtime::Snapshot;
use crate::upstream::Outcome;

/// Changes the head. Informational heads pass as they are; 101 is final.
pub(super) fn head(session: &mut Session, head: &mut ResponseHeader, ctx: &mut Ctx) -> Result<()> {
    let hop = response_head::look(head)
        .map_err(|fault| Error::explain(InvalidHTTPHeader, fault).into_up())?;
    let switching = head.status == StatusCode::SWITCHING_PROTOCOLS;
    if switching && !session.is_upgrade_req() {
        // Pingora compares what both sides asked for; where neither did, it would let the client's side become raw.
        return Err(Error::explain(InvalidHTTPHeader, "101 that nobody asked for").into_up());
    }
    let informational = head.status.is_informational() && !switching;
    // Pingora takes any head for an answer that came before the request's end, and would close the connection after it.
    session.set_close_on_response_before_downstream_finish(!informational);
    let old_client = session.req_header().version == Version::HTTP_10;
    response_head::drop_framing_of_nothing(head);
    if informational {
        count_interim(ctx)?;
        // HTTP/1.0 has none and takes the first head for the answer (RFC 9110 section 15.2).
        session.set_ignore_info_resp(old_client);
        return Ok(());
    }
    let now = Instant::now();
    if came_from_upstream(session) {
        ctx.report(Outcome::Answered(head.status), now);
    }
    forward::answer_begins(ctx);
    match ctx.route().map(|route| route.stream) {
        // The timeout of a stream ends with its head.
        Some(limits) if is_stream(head) || ctx.seen.dialect != Dialect::Plain => {
            silence::streams(session, &mut ctx.seen, limits, now);
        }
        _ => silence::begins(session, &ctx.seen, now),
    }
    if old_client {
        unchunk(session, head);
    }
    affinity::set_cookie(head, ctx)?;
    if let Some(bridge) = &mut ctx.progress.bridge {
        bridge.head(head)?;
    }
    if let Some(hedge) = &ctx.progress.hedge
        && is_whole(&session.req_header().method, head)
    {
        hedge.answered();
    }
    cache::changed(session.req_header(), head, ctx);
    finish_head(session, head, ctx, Some(hop));
    Ok(())
}

/// Whether an upstream gave this answer, and not the cache.
fn came_from_upstream(session: &Session) -> bool {
    !matches!(
        session.cache.phase(),
        CachePhase::Hit | CachePhase::Stale | CachePhase::StaleUpdating
    )
}

/// An upstream that has much to say before its answer has none.
fn count_interim(ctx: &mut Ctx) -> Result<()> {
    ctx.progress.interim = ctx.progress.interim.saturating_add(1);
    if ctx.progress.interim <= response_head::INTERIM_MAX {
        return Ok(());
    }
    Err(Error::explain(InvalidHTTPHeader, "too many informational heads").into_up())
}

/// Whether nothing follows the head.
fn is_whole(method: &Method, head: &ResponseHeader) -> bool {
    let length = head.headers.get(header::CONTENT_LENGTH);
    *method == Method::HEAD
        || matches!(
            head.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        )
        || length.is_some_and(|length| length == "0")
}

/// Answers that have no natural end: tunnels and server-sent events.
pub(super) fn is_stream(head: &ResponseHeader) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE);
    head.status == StatusCode::SWITCHING_PROTOCOLS || kind.is_some_and(is_event_stream)
}

fn is_event_stream(kind: &HeaderValue) -> bool {
    let kind = kind.as_bytes();
    let (media, rest) = kind.split_at(EVENT_STREAM.len().min(kind.len()));
    media.eq_ignore_ascii_case(EVENT_STREAM) && matches!(rest.first(), None | Some(b';' | b' '))
}

const EVENT_STREAM: &[u8] = b"text/event-stream";

/// What every answer gets, whoever made it: the policies' changes, the request id, the end of a draining connection. An
/// upstream's answer loses what it says of its own hop; ours has none.
pub(super) fn finish_head(
    session: &mut Session,
    head: &mut ResponseHeader,
    ctx: &mut Ctx,
    hop: Option<OwnHop>,
) {
    let Ctx {
        snapshot,
        seen,
        memory,
        progress,
    } = ctx;
    let status = head.status;
    progress.status = Some(status.as_u16());
    let route = seen.route.and_then(|index| snapshot.routes.get(index));
    if let Some(route) = route.filter(|route| !route.chain.is_empty()) {
        let request = session.req_header();
        let identified = seen.identified(snapshot, request);
        let view = identified.view(&request.method, request.uri.query(), &request.headers);
        let ours = hop.is_none();
        route
            .chain
            .on_response(&view, &mut ResponseView { head, ours }, memory);
    }
    let facts = listen::facts(session);
    let draining = facts.is_some_and(ConnFacts::draining);
    let encrypted = facts.is_some_and(|facts| facts.tls.is_some());
    let hsts = encrypted.then(|| hsts(snapshot, seen)).flatten();
    let state = progress.cache.as_deref();
    lower::response(head, |fields| {
        if let Some(state) = state {
            cache::told(session, state, fields);
        }
        if let Some(hop) = hop.filter(|_| status != StatusCode::SWITCHING_PROTOCOLS) {
            remove_hop_by_hop(fields, hop);
        }
        fields.insert(&REQUEST_ID, seen.id.clone());
        if let Some(hsts) = hsts {
            fields.insert(header::STRICT_TRANSPORT_SECURITY, hsts);
        }
    });
    if draining {
        session.set_keepalive(None);
    }
}

fn hsts(snapshot: &Snapshot, seen: &Seen) -> Option<HeaderValue> {
    let listener = snapshot.listeners.get(seen.listener?)?;
    listener.hsts.clone()
}

/// HTTP/1.0 knows no chunks: without a length the body ends with the connection (RFC 9112 section 6.1).
fn unchunk(session: &mut Session, head: &mut ResponseHeader) {
    if head.remove_header(&header::TRANSFER_ENCODING).is_some() {
        session.set_keepalive(None);
    }
}

/// Pingora sets `Connection` itself; what an upstream says of its own connection must not reach the client.
fn remove_hop_by_hop(fields: &mut HeaderMap, hop: OwnHop) {
    if hop.nominates {
        remove_nominated(fields);
    }
    if hop.others {
        fields.remove(&KEEP_ALIVE);
        fields.remove(&PROXY_CONNECTION);
        // An offer that the gateway could not keep: it forwards no other protocol than the client asked for.
        fields.remove(header::UPGRADE);
    }
}

fn remove_nominated(fields: &mut HeaderMap) {
    let nominated = fields
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let names = nominated
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .filter_map(|name| name.parse().ok());
    let names: Vec<HeaderName> = names.filter(|name| !is_framing(name)).collect();
    for name in names {
        fields.remove(name);
    }
}

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Framing is Pingora's; an upstream that nominates it must not strip it.
fn is_framing(name: &HeaderName) -> bool {
    [
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::CONNECTION,
    ]
    .contains(name)
}

/// Shows a piece of the body to the policies, and cuts an answer that outlasts its request's deadline.
pub(super) fn body(
    session: &mut Session,
    bytes: &mut Option<Bytes>,
    end: bool,
    ctx: &mut Ctx,
) -> Result<()> {
    let now = Instant::now();
    if end {
        if let Some(hedge) = &ctx.progress.hedge {
            hedge.answered();
        }
        ctx.attempt_over(now);
        silence::ends(session, &ctx.seen);
    } else if remaining(ctx.seen.deadline, now).is_none() {
        return Err(Error::new_in(failure::DEADLINE));
    } else {
        silence::begins(session, &ctx.seen, now);
    }
    let Ctx {
        snapshot,
        seen,
        memory,
        progress,
    } = ctx;
    if let Some(route) = seen.route.and_then(|index| snapshot.routes.get(index)) {
        route
            .chain
            .on_response_body(&mut BodyChunk { bytes, end }, memory);
    }
    if let Some(bridge) = &mut progress.bridge {
        bridge.body(bytes);
    }
    Ok(())
}

/// Cleans trailers; what is to be written as body in their place.
pub(super) fn trailers(fields: &mut HeaderMap, ctx: &mut Ctx) -> Option<Bytes> {
    trailers::clean(fields);
    ctx.progress.trailers = !fields.is_empty();
    ctx.progress.bridge.as_ref()?.trailers(fields)
}
