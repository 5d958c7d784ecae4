//! From a request that may pass to a target: pick, prepare head and body, account for every attempt.

use bytes::Bytes;
use pingora::http::RequestHeader;
use pingora::prelude::{Error, HttpPeer, Result, Session};
use pingora::{ErrorSource, ErrorType, RetryType};
use plugins::contract::flow::Flow;
use plugins::contract::plugin::BodyChunk;
use plugins::contract::view::RequestBody;
use std::time::{Duration, Instant};

use super::ctx::Ctx;
use super::request::{Count, remaining};
use super::{affinity, cookie, failure, headers, silence};
use crate::config::model::Protocol;
use crate::runtime::route::Route;
use crate::upstream::{Attempt, Outcome, Unavailable};

/// So often a request is sent that targets refuse unread.
const UNPROCESSED_MAX: u32 = 3;

/// Chooses the target of the next attempt.
pub(super) fn pick(session: &Session, ctx: &mut Ctx) -> Result<Box<HttpPeer>> {
    let now = Instant::now();
    let left = remaining(ctx.seen.deadline, now).ok_or_else(|| failed(failure::DEADLINE))?;
    let arm = ctx.arm().ok_or_else(|| failed(failure::NO_TARGET))?;
    let mut pick = arm
        .upstream
        .pick(&affinity::wish(session, ctx, now))
        .map_err(|unavailable| match unavailable {
            Unavailable::NoTarget => failed(failure::NO_TARGET),
            Unavailable::Full => failed(failure::FULL),
        })?;
    within(&mut pick.peer, left);
    silence::take_over(session, &mut pick.peer, &mut ctx.seen);
    if ctx.seen.body == RequestBody::None {
        silence::begins(session, &ctx.seen, now);
    }
    ctx.progress.attempts += 1;
    ctx.progress.attempt = Some(pick.attempt);
    ctx.progress.picked = Some(now);
    Ok(pick.peer)
}

/// No single wait may outlast the request's own deadline.
fn within(peer: &mut HttpPeer, left: Duration) {
    let options = &mut peer.options;
    for timeout in [
        &mut options.connection_timeout,
        &mut options.total_connection_timeout,
        &mut options.read_timeout,
        &mut options.write_timeout,
    ] {
        *timeout = Some(timeout.map_or(left, |timeout| timeout.min(left)));
    }
}

fn failed(kind: ErrorType) -> Box<Error> {
    Error::new_in(kind)
}

/// No connection came about.
pub(super) fn not_connected(ctx: &mut Ctx, mut error: Box<Error>) -> Box<Error> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "said at the arm")]
    let outcome = match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => Outcome::TimedOut,
        // Pingora has some thirty kinds, and may have more: whatever else it is, there is no connection.
        _ => Outcome::ConnectFailed,
    };
    // Nothing was sent: the next address of the name is no second request.
    let attempt = ctx.progress.attempt.as_ref();
    let elsewhere = attempt.is_some_and(Attempt::address_refused);
    over(ctx, outcome);
    // A pooled HTTP/2 connection that its target has given up: nothing was sent, and the next one is new.
    let given_up = *error.etype() == ErrorType::H2Error;
    let again = given_up && ctx.progress.attempts < UNPROCESSED_MAX;
    error.set_retry(elsewhere || again);
    error
}

/// The attempt failed after the connection was there. Only a connection from the pool that the target had closed
/// meanwhile is worth another try, and only if the request may safely be sent twice.
pub(super) fn broke(
    session: &Session,
    ctx: &mut Ctx,
    mut error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    let over_time = failure::is_over_time(&error);
    let upstreams = *error.esource() != ErrorSource::Downstream || over_time;
    if upstreams && ctx.progress.status.is_none() {
        let timed_out = over_time
            || matches!(
                error.etype(),
                ErrorType::ReadTimedout | ErrorType::WriteTimedout
            );
        over(
            ctx,
            if timed_out {
                Outcome::TimedOut
            } else {
                Outcome::Broken
            },
        );
    }
    let safe = session.req_header().method.is_idempotent() || unprocessed(&error);
    let again = !unprocessed(&error) || ctx.progress.attempts < UNPROCESSED_MAX;
    let repeatable = safe && again && !session.as_ref().retry_buffer_truncated();
    if repeatable && ctx.progress.reply.is_none() && ctx.progress.status.is_none() {
        error.retry.decide_reuse(reused);
    } else {
        error.set_retry(false);
    }
    error
}

/// Whether the target has said that it did nothing with the request: `REFUSED_STREAM`, GOAWAY, `HTTP_1_1_REQUIRED`.
/// Pingora has decided in these cases, and in no other of these kinds.
fn unprocessed(error: &Error) -> bool {
    matches!(error.retry, RetryType::Decided(true))
        && matches!(error.etype(), ErrorType::H2Error | ErrorType::H2Downgrade)
}

fn over(ctx: &mut Ctx, outcome: Outcome) {
    let now = Instant::now();
    ctx.report(outcome, now);
    ctx.attempt_over(now);
}

/// Prepares the head of one attempt; `head` is a fresh copy of the client's.
pub(super) fn prepare(session: &Session, head: &mut RequestHeader, ctx: &mut Ctx) -> Result<()> {
    let Ctx {
        snapshot,
        seen,
        memory,
        progress,
    } = ctx;
    let Some(route) = seen.route.and_then(|index| snapshot.routes.get(index)) else {
        return Err(failed(ErrorType::InternalError));
    };
    let original = session.req_header();
    let identified = seen.identified(snapshot, original);
    let view = identified.view(&original.method, original.uri.query(), &original.headers);
    let hop = headers::Hop {
        view: &view,
        id: &seen.id,
        peer: seen.peer,
        trusted: seen.trusted,
        secure: seen.secure,
        version: original.version,
        target: progress.target().map_or("", |target| &*target.address),
    };
    let Some(upstream) = arm_config(route, progress.arm) else {
        return Err(failed(failure::NO_TARGET));
    };
    if upstream.protocol == Protocol::H2 && head.version != http::Version::HTTP_2 {
        // Over TLS, Pingora falls back to HTTP/1.1 where the target knows no ALPN.
        let reason = "the target did not agree on HTTP/2";
        return Err(Error::explain(failure::OTHER_PROTOCOL, reason));
    }
    if original.version == http::Version::HTTP_2 {
        cookie::join_crumbs(head)?;
    }
    if let Err(error) = headers::prepare(head, &hop, route, upstream, seen.path.is_some()) {
        progress.reply = Some(crate::decide::refusals::value(error));
        return Err(failed(failure::REFUSED));
    }
    route.chain.on_upstream_request(&view, head, memory);
    Ok(())
}

fn arm_config(route: &Route, arm: Option<usize>) -> Option<&crate::config::model::UpstreamConfig> {
    match &route.action {
        crate::runtime::action::Action::Forward(forward) => {
            Some(&forward.arms.get(arm?)?.upstream.config)
        }
        crate::runtime::action::Action::Redirect { .. }
        | crate::runtime::action::Action::Respond { .. } => None,
    }
}

/// Shows a piece of the request's body to the policies.
pub(super) fn body(
    session: &Session,
    bytes: &mut Option<Bytes>,
    end: bool,
    ctx: &mut Ctx,
) -> Result<()> {
    let Ctx {
        snapshot,
        seen,
        memory,
        progress,
    } = ctx;
    let Some(route) = seen.route.and_then(|index| snapshot.routes.get(index)) else {
        return Ok(());
    };
    if seen.body != RequestBody::None || bytes.is_some() {
        let now = Instant::now();
        if remaining(seen.deadline, now).is_none() {
            return Err(failed(failure::DEADLINE));
        }
        // A tunnel's client sends for as long as it likes; the upstream's silence counts from its last word.
        if end || progress.status.is_some() {
            silence::begins(session, seen, now);
        } else {
            silence::ends(session, seen);
        }
    }
    let mut chunk = BodyChunk { bytes, end };
    let mut count = Count {
        metrics: &route.metrics,
        shadowed: &mut progress.shadowed,
    };
    match route.chain.on_request_body(&mut chunk, memory, &mut count) {
        Flow::Continue => Ok(()),
        Flow::Reply(reply) => {
            progress.reply = Some(reply);
            Err(failed(failure::REFUSED))
        }
    }
}
