//! The plain case without Pingora's engine: a whole, fresh answer for a request that asks for nothing special, head and content
//! in one write. Whatever is not plain is left to the engine, which decides by the same rules.

use std::time::SystemTime;

use http::header::{self, HeaderName};
use http::{Method, StatusCode};
use pingora::prelude::{Result, Session};
use pingora::protocols::http::HttpTask;

use super::{State, key, passes_by, refresh};
use crate::cache::directives::RequestDirectives;
use crate::cache::freshness::Use;
use crate::cache::policy::CachePolicy;
use crate::cache::storage::head_of;
use crate::proxy::ctx::Ctx;
use crate::proxy::response;
use crate::proxy::response_head::OwnHop;

/// Fields that make a request ask for something special.
static SPECIAL: [HeaderName; 6] = [
    header::RANGE,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
];

/// Answers, if it can; whether it did.
pub(in crate::proxy) async fn answer(session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
    let Some(state) = look(session, ctx) else {
        return Ok(false);
    };
    let Some((entry, _)) = state.found.clone() else {
        return Ok(false);
    };
    let Some(whole) = entry.body.whole() else {
        return Ok(false);
    };
    entry.touch();
    ctx.progress.cache = Some(state);
    let mut head = head_of(&entry);
    response::finish_head(session, &mut head, ctx, Some(OwnHop::default()));
    let bodiless = session.req_header().method == Method::HEAD || whole.length() == 0;
    let mut tasks = Vec::with_capacity(1 + whole.pieces().len());
    tasks.push(HttpTask::Header(Box::new(head), bodiless));
    if !bodiless {
        let last = whole.pieces().len() - 1;
        for (index, piece) in whole.pieces().iter().enumerate() {
            let mut piece = Some(piece.clone());
            response::body(session, &mut piece, index == last, ctx)?;
            tasks.push(HttpTask::Body(piece, index == last));
        }
    }
    session.write_response_tasks(tasks).await.map(|_| true)
}

/// The stored answer, if the case is plain.
fn look(session: &Session, ctx: &Ctx) -> Option<Box<State>> {
    let policy = ctx.route()?.cache.as_ref()?;
    let head = session.req_header();
    let special = |name: &HeaderName| head.headers.contains_key(name);
    if SPECIAL.iter().any(special) || refresh::is_one(session) {
        return None;
    }
    let asks = RequestDirectives::read(&head.headers);
    if passes_by(session, ctx, policy, &asks).is_some() {
        return None;
    }
    let (shared, own) = key::keys(head, ctx, policy).ok()?;
    let found = own.and_then(|own| policy.zone.find(&own, &head.headers));
    let entry = found.or_else(|| policy.zone.find(&shared, &head.headers))?;
    let plain = entry.status != StatusCode::NO_CONTENT && entry.body.whole().is_some();
    let verdict = entry
        .times
        .judge(&asks, entry.is_expired(), SystemTime::now());
    (plain && verdict == Use::Fresh).then(|| Box::new(state(policy, ctx, session, asks, entry)))
}

fn state(
    policy: &CachePolicy,
    ctx: &Ctx,
    session: &Session,
    asks: RequestDirectives,
    entry: std::sync::Arc<crate::cache::entry::Entry>,
) -> State {
    let identified = ctx.seen.facts.identity().is_some();
    State {
        asks,
        asker: policy.asker(&session.req_header().headers, identified),
        ask: None,
        asked: SystemTime::UNIX_EPOCH,
        found: Some((entry, Use::Fresh)),
        confirmed: None,
        reason: None,
        bypassed: false,
        quick: true,
    }
}
