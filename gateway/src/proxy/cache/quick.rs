//! The plain case without Pingora's engine: a whole, fresh answer for a request that asks for nothing special. The head was
//! prepared when the answer was given first, the content leaves without being copied, both in one write. Whatever is not
//! plain is left to the engine, which decides by the same rules.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{self, HeaderMap, HeaderName};
use http::{Method, StatusCode};
use pingora::http::ResponseHeader;
use pingora::prelude::{Error, Result, Session};
use pingora::protocols::http::HttpTask;

use super::told::CACHE_STATUS;
use super::{State, key, passes_by, refresh};
use crate::cache::directives::RequestDirectives;
use crate::cache::entry::Entry;
use crate::cache::freshness::Use;
use crate::cache::policy::CachePolicy;
use crate::cache::storable::Asker;
use crate::cache::storage::head_of;
use crate::cache::zone::Mark;
use crate::proxy::ctx::Ctx;
use crate::proxy::response;
use crate::proxy::response_head::OwnHop;

/// Fields that every answer is sent with and few are stored with.
static OWN_FIELDS: [HeaderName; 5] = [
    header::AGE,
    CACHE_STATUS,
    HeaderName::from_static("x-request-id"),
    header::DATE,
    header::CONNECTION,
];

/// The stored answer, if the case is plain.
pub(in crate::proxy) fn look(session: &Session, ctx: &mut Ctx) -> Option<Arc<Entry>> {
    let policy = ctx.route()?.cache.as_ref()?;
    let head = session.req_header();
    let asks = plain_asks(&head.headers).filter(|_| !refresh::is_one(session))?;
    if passes_by(session, ctx, policy, &asks, false).is_some() {
        return None;
    }
    let entry = find(session, ctx, policy)?;
    let plain = entry.status != StatusCode::NO_CONTENT && entry.body.whole().is_some();
    let verdict = entry
        .times
        .judge(&asks, entry.is_expired(), SystemTime::now());
    if !plain || verdict != Use::Fresh {
        return None;
    }
    entry.touch();
    ctx.progress.cache = Some(Box::new(state(asks, entry.clone())));
    Some(entry)
}

/// What the request says to caches, unless it asks for something special. One pass: most requests hold none of these.
fn plain_asks(fields: &HeaderMap) -> Option<RequestDirectives> {
    let mut directs = false;
    for name in fields.keys() {
        match name.as_str() {
            "range"
            | "if-none-match"
            | "if-modified-since"
            | "if-match"
            | "if-unmodified-since"
            | "if-range"
            | "upgrade" => return None,
            "cache-control" | "pragma" => directs = true,
            _ => {}
        }
    }
    Some(if directs {
        RequestDirectives::read(fields)
    } else {
        RequestDirectives::default()
    })
}

fn find(session: &Session, ctx: &Ctx, policy: &CachePolicy) -> Option<Arc<Entry>> {
    let head = session.req_header();
    let (shared, own) = key::keys(head, ctx, policy).ok()?;
    let found = own.and_then(|own| policy.zone.find(&own, &head.headers));
    found.or_else(|| policy.zone.find(&shared, &head.headers))
}

fn state(asks: RequestDirectives, entry: Arc<Entry>) -> State {
    State {
        asks,
        asker: Asker::default(),
        ask: None,
        asked: SystemTime::UNIX_EPOCH,
        mark: Mark::default(),
        ours: Vec::new(),
        found: Some((entry, Use::Fresh)),
        confirmed: None,
        reason: None,
        bypassed: false,
        quick: true,
    }
}

/// Gives it.
pub(in crate::proxy) async fn answer(
    session: &mut Session,
    ctx: &mut Ctx,
    entry: &Entry,
) -> Result<bool> {
    let Some(whole) = entry.body.whole() else {
        return Ok(false);
    };
    let mut head = Box::new(head(ctx, entry));
    response::finish_head(session, &mut head, ctx, Some(OwnHop::default()));
    if session.req_header().method == Method::HEAD || whole.length() == 0 {
        // As a task it ends a stream of HTTP/2 with its head.
        let head = vec![HttpTask::Header(head, true)];
        return session.write_response_tasks(head).await.map(|_| true);
    }
    let written = session.write_response_header(head, false).await;
    written.map_err(Error::into_down)?;
    let last = whole.pieces().len() - 1;
    for (index, piece) in whole.pieces().iter().enumerate() {
        let mut piece = Some(piece.clone());
        response::body(session, &mut piece, index == last, ctx)?;
        let written = session.write_response_body(piece, index == last).await;
        written.map_err(Error::into_down)?;
    }
    Ok(true)
}

/// The prepared one, unless policies look at it: they are to see what is stored and nothing else.
fn head(ctx: &Ctx, entry: &Entry) -> ResponseHeader {
    if ctx.route().is_some_and(|route| route.chain.is_empty()) {
        entry.ready(&OWN_FIELDS).clone()
    } else {
        head_of(entry)
    }
}
