//! Answers that are kept, on the data path: what Pingora's cache engine asks of us, and what we make of its answers.
//!
//! ```text
//! quick ──fresh, nothing special asked──────────────────▶ answered
//! enable ─ key ─ found ──fresh──────────────────────────▶ answered (Age, Cache-Status)
//!                  │ stale, while revalidate ─ refresh ─▶ answered
//!                  └ stale, or none ─ may_ask ─ upstream ─ confirmed (304) ─ store ─▶ answered
//! ```

mod changed;
mod key;
pub(super) mod outcome;
mod proxies;
pub(super) mod quick;
pub(super) mod refresh;
mod sent;
mod store;
mod told;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::Version;
use http::header::{self, HeaderMap, HeaderName};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, Result, Session};
use pingora::protocols::http::conditional_filter::not_modified_filter;
use pingora::{ErrorSource, ErrorType};
use pingora_cache::storage::HandleHit;
use pingora_cache::{CacheKey, CacheOptionOverrides, CachePhase, ForcedFreshness, NoCacheReason};
use plugins::contract::flow::Refusal;

use super::ctx::Ctx;
use super::dialect::Dialect;
use super::request::remaining;
use super::{failure, lower, reply};
use crate::cache::directives::RequestDirectives;
use crate::cache::entry::Entry;
use crate::cache::freshness::Use;
use crate::cache::policy::{CachePolicy, wants_events};
use crate::cache::query::QueryRule;
use crate::cache::storable::Asker;
use crate::cache::storage::{Ask, Hit};
use crate::cache::zone::Mark;
use crate::routing::RouteRequest;
use crate::upstream::Outcome;

pub(super) use changed::changed;
pub(super) use store::store;
pub(super) use told::told;

/// How long a request waits for another that fetches the same answer, at most.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// How often it looks again after such a wait.
const WAITS_MAX: usize = 3;

/// What is remembered of a request that the cache was asked about.
pub(super) struct State {
    asks: RequestDirectives,
    asker: Asker,
    ask: Option<Arc<Ask>>,
    /// When the request was sent to an upstream.
    asked: SystemTime,
    /// The same in the life of its zone.
    mark: Mark,
    /// Fields that the upstream was sent and that the client has not said.
    ours: Vec<HeaderName>,
    /// The stored answer and what it is good for.
    found: Option<(Arc<Entry>, Use)>,
    /// What the upstream says of the stored answer in its 304.
    confirmed: Option<HeaderMap>,
    /// Why the cache is left out, or why the answer is not kept.
    reason: Option<&'static str>,
    bypassed: bool,
    /// Whether it was answered without the engine.
    quick: bool,
}

/// Decides whether the cache is asked at all.
pub(super) fn enable(session: &mut Session, ctx: &mut Ctx) {
    let Some(policy) = ctx.route().and_then(|route| route.cache.as_ref()) else {
        return;
    };
    let head = session.req_header();
    let asks = RequestDirectives::read(&head.headers);
    let asker = policy.asker(&head.headers, ctx.seen.facts.identity().is_some());
    let streams = session.is_upgrade_req() || wants_events(&head.headers);
    let ask = match passes_by(session, ctx, policy, &asks, streams) {
        Some(reason) => Err(reason),
        None => key::ask(head, ctx, policy).map_err(|_| "ambiguous"),
    };
    let passes_by = ask.as_ref().err().copied();
    let state = State {
        asks,
        asker,
        ask: ask.ok().map(Arc::new),
        asked: SystemTime::UNIX_EPOCH,
        mark: Mark::default(),
        ours: Vec::new(),
        found: None,
        confirmed: None,
        reason: passes_by,
        bypassed: passes_by.is_some(),
        quick: false,
    };
    if passes_by.is_none() {
        let left = remaining(ctx.seen.deadline, Instant::now()).unwrap_or_default();
        let mut waiting = CacheOptionOverrides::default();
        waiting.wait_timeout = Some((left / 2).min(WAIT_MAX));
        waiting.max_lock_retries = Some(WAITS_MAX);
        session.cache.enable(
            policy.zone,
            None,
            Some(&policy.zone.predictor),
            Some(&*policy.zone.lock),
            Some(waiting),
        );
    }
    ctx.progress.cache = Some(Box::new(state));
}

fn passes_by(
    session: &Session,
    ctx: &Ctx,
    policy: &CachePolicy,
    asks: &RequestDirectives,
    streams: bool,
) -> Option<&'static str> {
    let head = session.req_header();
    let request = RouteRequest {
        method: &head.method,
        host: &ctx.seen.host,
        path: ctx.seen.path.as_deref().unwrap_or(head.uri.path()),
        query: head.uri.query(),
        headers: &head.headers,
    };
    let streams = streams || ctx.seen.dialect != Dialect::Plain;
    policy.passes_by(&request, ctx.seen.body, streams, asks)
}

/// The key, for the engine.
pub(super) fn key(ctx: &Ctx) -> Result<CacheKey> {
    let unfit = |reason| Error::explain(ErrorType::InternalError, reason);
    let policy = ctx.route().and_then(|route| route.cache.as_ref());
    let policy = policy.ok_or_else(|| unfit("a key without a policy"))?;
    let state = ctx.progress.cache.as_ref();
    let ask = state.and_then(|state| state.ask.as_ref());
    let ask = ask.ok_or_else(|| unfit("a key without a question"))?;
    Ok(key::engine(ask, policy.zone))
}

/// Judges a stored answer.
pub(super) fn found(
    session: &mut Session,
    hit: &dyn HandleHit,
    fresh: bool,
    ctx: &mut Ctx,
) -> Option<ForcedFreshness> {
    let entry = hit.as_any().downcast_ref::<Hit>()?.entry.clone();
    let state = ctx.progress.cache.as_mut()?;
    let mut verdict = entry
        .times
        .judge(&state.asks, entry.is_expired(), SystemTime::now());
    if refresh::is_one(session) {
        verdict = Use::Stale;
    }
    state.found = Some((entry.clone(), verdict));
    match verdict {
        Use::Fresh | Use::Tolerated => Some(ForcedFreshness::ForceFresh),
        Use::WhileRevalidate => {
            refresh::begin(session, &entry);
            Some(ForcedFreshness::ForceFresh)
        }
        Use::Stale if fresh => Some(ForcedFreshness::ForceExpiredServeStale { expired_at: None }),
        Use::Stale => None,
        Use::Asked => Some(ForcedFreshness::ForceExpired),
    }
}

/// The client wants nothing but what is stored, and that cannot be given.
static ONLY_IF_CACHED: Refusal = Refusal {
    status: 504,
    code: "cache.nothing-stored",
    title: "There is no stored answer that may be given.",
};

/// Whether the upstream may be asked. The answer is written where not.
pub(super) async fn may_ask(session: &mut Session, ctx: &mut Ctx) -> Result<bool> {
    let state = ctx.progress.cache.as_ref();
    if !state.is_some_and(|state| state.asks.only_if_cached && !state.bypassed) {
        return Ok(true);
    }
    let refusal = plugins::contract::flow::Reply::refusal(&ONLY_IF_CACHED);
    reply::send(session, ctx, &refusal).await.map(|()| false)
}

/// Prepares the head for the upstream: what does not count is not forwarded.
pub(super) fn prepare(session: &Session, head: &mut RequestHeader, ctx: &mut Ctx) -> Result<()> {
    let policy = ctx.route().and_then(|route| route.cache.as_ref());
    let mark = policy.map(|policy| policy.zone.mark());
    let Some(state) = &mut ctx.progress.cache else {
        return Ok(());
    };
    state.asked = SystemTime::now();
    state.mark = mark.unwrap_or_default();
    state.confirmed = None;
    if state.ask.is_none() {
        return Ok(());
    }
    // Also where the engine expects nothing to store: it stores what comes if that can be stored after all.
    state.ours = sent::ours(&session.req_header().headers, &head.headers);
    let policy = ctx.route().and_then(|route| route.cache.as_ref());
    let rule = policy.map(|policy| &policy.query);
    if rule.is_none_or(|rule| *rule == QueryRule::All) {
        return Ok(());
    }
    let (Some(rule), Some(query)) = (rule, head.uri.query()) else {
        return Ok(());
    };
    let kept = rule.forwarded(query);
    let path = head.uri.path();
    let target = if kept.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{kept}")
    };
    let mut parts = head.uri.clone().into_parts();
    let unfit =
        |error| Error::because(ErrorType::InternalError, "a query without its parts", error);
    parts.path_and_query = Some(target.parse().map_err(unfit)?);
    let uri = http::Uri::from_parts(parts).map_err(|error| {
        Error::because(ErrorType::InternalError, "a query without its parts", error)
    })?;
    lower::change(head, |head| head.uri = uri);
    Ok(())
}

/// Remembers what a 304 says: the engine would take over only some of it.
pub(super) fn confirmed(session: &Session, head: &ResponseHeader, ctx: &mut Ctx) {
    if head.status == http::StatusCode::NOT_MODIFIED
        && session.cache.enabled()
        && let Some(state) = &mut ctx.progress.cache
        && state.found.is_some()
    {
        state.confirmed = Some(head.headers.clone());
    }
}

/// Whether the client has what is stored (RFC 9111 section 4.3.2). Pingora compares tags and times of change; an answer
/// without such a time is as old as its `Date`.
pub(super) fn client_has(request: &RequestHeader, head: &ResponseHeader) -> bool {
    if not_modified_filter(request, head) {
        return true;
    }
    let date = |fields: &HeaderMap, name| {
        let value = fields.get(name)?.to_str().ok()?;
        httpdate::parse_http_date(value).ok()
    };
    let by_date = head.status == http::StatusCode::OK
        && !request.headers.contains_key(header::IF_NONE_MATCH)
        && !head.headers.contains_key(header::LAST_MODIFIED);
    by_date
        && date(&request.headers, header::IF_MODIFIED_SINCE)
            .zip(date(&head.headers, header::DATE))
            .is_some_and(|(since, date)| date <= since)
}

/// Whether a stale answer may be given in place of an error.
pub(super) fn covers(ctx: &mut Ctx, error: Option<&Error>) -> bool {
    let Some(error) = error else {
        // The engine's own refreshing needs a client of HTTP/1; `refresh` is ours.
        return false;
    };
    if let ErrorType::HTTPStatus(status) = error.etype()
        && let Ok(status) = http::StatusCode::from_u16(*status)
    {
        ctx.report(Outcome::Answered(status), Instant::now());
    }
    let ours_to_say = *error.etype() == failure::REFUSED;
    let found = ctx
        .progress
        .cache
        .as_ref()
        .and_then(|state| state.found.as_ref());
    let covered = found.is_some_and(|(entry, verdict)| {
        *verdict == Use::Stale && entry.times.covers_errors(SystemTime::now())
    });
    covered && !ours_to_say && *error.esource() != ErrorSource::Downstream
}

/// An answer that was being stored has broken off: nobody may find it from now on, not even before the client hears of it.
pub(super) fn broke(session: &mut Session) {
    let storing = matches!(
        session.cache.phase(),
        CachePhase::Miss | CachePhase::Expired
    );
    if storing && session.cache.miss_handler().is_some() {
        session.cache.disable(NoCacheReason::UpstreamError);
    }
}

/// `scheme://host[:port]/path` of a request, as purges name it.
fn url(head: &RequestHeader, ctx: &Ctx) -> String {
    let scheme = if ctx.seen.secure { "https" } else { "http" };
    let path = ctx.seen.path.as_deref().unwrap_or(head.uri.path());
    format!("{scheme}://{}{}{path}", ctx.seen.host, port(head))
}

/// Host and port as the client names them.
fn authority(head: &RequestHeader) -> &str {
    let host = head
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = match head.version {
        Version::HTTP_2 => head
            .uri
            .authority()
            .map(http::uri::Authority::as_str)
            .or(host),
        _ => host,
    };
    authority.unwrap_or_default()
}

/// The port that the client names, with its colon.
fn port(head: &RequestHeader) -> &str {
    let authority = authority(head);
    let at = authority
        .rfind(':')
        .filter(|at| !authority.get(*at..).unwrap_or_default().contains(']'));
    at.and_then(|at| authority.get(at..)).unwrap_or_default()
}
