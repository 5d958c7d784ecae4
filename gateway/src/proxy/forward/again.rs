//! What follows a failed attempt: another one, or the end.
//!
//! Pingora repeats an attempt when its error says so. Every branch here decides: an error left undecided panics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::{Error, Result, Session};
use pingora::{ErrorSource, ErrorType};

use super::fallback::{self, Fell};
use super::hedge;
use crate::proxy::ctx::Ctx;
use crate::proxy::failure;
use crate::proxy::request::remaining;
use crate::upstream::retry::marked::{ATTEMPT, is_marked};
use crate::upstream::retry::{Cause, Failed, Hindrance};
use crate::upstream::{Attempt, Outcome, Target};

/// Tries of one request that the policy does not count.
const FREE_MAX: u32 = 2;

/// An answer that is not passed on, because the attempt is repeated.
const REPEATED: ErrorType = ErrorType::Custom("repeated");

/// What failed attempts leave behind for the next one and for the record.
#[derive(Default)]
pub(in crate::proxy) struct Again {
    /// What the last repeated attempt had failed of.
    pub(in crate::proxy) cause: Option<Cause>,
    /// Why the last failed attempt was not repeated.
    pub(in crate::proxy) hindrance: Option<Hindrance>,
    /// What became of the request when its upstream had failed for good.
    pub(in crate::proxy) fell: Option<Fell>,
    pub(super) pause: Duration,
    tried: Vec<Arc<Target>>,
    /// Repetitions by the policy.
    made: u32,
    /// Repetitions after a connection that was dead, or a request that was not looked at.
    free: u32,
    /// With those at other addresses of a target: all that the policy does not count.
    uncounted: u32,
}

impl Again {
    /// Tells the target, and the proxies before it, that this is a repetition.
    pub(super) fn mark(&self, head: &mut RequestHeader) -> Result<()> {
        if self.made > 0 {
            head.insert_header(ATTEMPT.clone(), self.made + 1)?;
        }
        Ok(())
    }
}

/// How long to wait before this attempt.
pub(super) fn pause(ctx: &mut Ctx) -> Option<Duration> {
    let again = ctx.progress.again.as_mut()?;
    Some(std::mem::take(&mut again.pause)).filter(|pause| !pause.is_zero())
}

/// Where the request was sent before.
pub(super) fn tried(ctx: &Ctx) -> &[Arc<Target>] {
    let again = ctx.progress.again.as_deref();
    again.map_or(&[], |again| &again.tried)
}

/// No connection came about, so no target has read anything.
pub(in crate::proxy) fn not_connected(
    session: &Session,
    ctx: &mut Ctx,
    mut error: Box<Error>,
) -> Box<Error> {
    #[expect(clippy::wildcard_enum_match_arm, reason = "said at the arm")]
    let result = match error.etype() {
        ErrorType::ConnectTimedout | ErrorType::TLSHandshakeTimedout => Outcome::TimedOut,
        // Pingora has some thirty kinds, and may have more: whatever else it is, there is no connection.
        _ => Outcome::ConnectFailed,
    };
    // Nothing was sent: the next address of the name is no second request.
    let attempt = ctx.progress.attempt.as_ref();
    let elsewhere = attempt.is_some_and(Attempt::address_refused);
    over(ctx, result);
    let cause = Cause::ConnectFailure;
    // A pooled HTTP/2 connection that its target has given up: nothing was sent, and the next one is new.
    let given_up = *error.etype() == ErrorType::H2Error;
    let again = (elsewhere && uncounted(ctx))
        || (given_up && take_free(ctx))
        || repeats(session, ctx, cause, false)
        || fallback::follows(session, ctx, cause);
    error.set_retry(again);
    error
}

/// The attempt failed after the connection was there.
pub(in crate::proxy) fn broke(
    session: &Session,
    ctx: &mut Ctx,
    mut error: Box<Error>,
    reused: bool,
) -> Box<Error> {
    if *error.etype() == REPEATED {
        error.set_retry(true);
        return error;
    }
    hedge::settle(ctx);
    let cause = cause(&error);
    let unanswered = ctx.progress.status.is_none() && ctx.progress.reply.is_none();
    if let Some((_, result)) = cause.filter(|_| ctx.progress.status.is_none()) {
        over(ctx, result);
    }
    let again =
        unanswered && (free(session, ctx, &mut error, reused) || covered(session, ctx, cause));
    error.set_retry(again);
    error
}

fn covered(session: &Session, ctx: &mut Ctx, cause: Option<(Option<Cause>, Outcome)>) -> bool {
    let Some((Some(cause), _)) = cause else {
        return false;
    };
    repeats(session, ctx, cause, false) || fallback::follows(session, ctx, cause)
}

/// What a failure after the connection was there is; `None` where it is not the upstream's.
fn cause(error: &Error) -> Option<(Option<Cause>, Outcome)> {
    let over_time = failure::is_over_time(error);
    if *error.esource() == ErrorSource::Downstream && !over_time {
        return None;
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "said at the arm")]
    let found = match error.etype() {
        _ if over_time => (Some(Cause::Timeout), Outcome::TimedOut),
        ErrorType::ReadTimedout | ErrorType::WriteTimedout => {
            (Some(Cause::Timeout), Outcome::TimedOut)
        }
        ErrorType::ConnectionClosed
        | ErrorType::ReadError
        | ErrorType::WriteError
        | ErrorType::H2Error => (Some(Cause::Reset), Outcome::Broken),
        // Malformed answers, and our own failures: they would be the same again.
        _ => (None, Outcome::Broken),
    };
    Some(found)
}

/// Tries that every request has, whatever the policy says: after a connection from the pool that the target had closed
/// meanwhile, if the request may safely be sent twice, and where the target has said that it did nothing with it.
fn free(session: &Session, ctx: &mut Ctx, error: &mut Error, reused: bool) -> bool {
    let unprocessed = unprocessed(error);
    error.retry.decide_reuse(reused);
    let keyed =
        ctx.seen.facts.is_repeatable() && ctx.route().is_some_and(|route| route.retry.is_some());
    let safe = unprocessed || keyed || session.req_header().method.is_idempotent();
    safe && error.retry() && !session.as_ref().retry_buffer_truncated() && take_free(ctx)
}

/// Whether the target has said that it did nothing with the request (RFC 9113 section 8.7): `REFUSED_STREAM`, or a farewell
/// that names an earlier stream as its last. A stream that was taken gets another error when its connection ends.
fn unprocessed(error: &Error) -> bool {
    let cause = error.cause.as_deref();
    let Some(cause) = cause.and_then(|cause| cause.downcast_ref::<h2::Error>()) else {
        return false;
    };
    let says = |reason| cause.is_remote() && cause.reason() == Some(reason);
    (cause.is_reset() && says(h2::Reason::REFUSED_STREAM))
        || (cause.is_go_away() && says(h2::Reason::NO_ERROR))
}

fn take_free(ctx: &mut Ctx) -> bool {
    let again = ctx.progress.again.get_or_insert_default();
    let left = again.free < FREE_MAX;
    again.free += u32::from(left);
    left && uncounted(ctx)
}

fn uncounted(ctx: &mut Ctx) -> bool {
    ctx.progress.again.get_or_insert_default().uncounted += 1;
    true
}

/// An answer that the policy takes for a failure is not passed on, unless it is the last one.
pub(in crate::proxy) fn answered(
    session: &Session,
    head: &ResponseHeader,
    ctx: &mut Ctx,
) -> Result<()> {
    hedge::settle(ctx);
    let retry = ctx.route().and_then(|route| route.retry.as_ref());
    if !retry.is_some_and(|retry| retry.covers_status(head.status)) {
        return Ok(());
    }
    let told_when = head.headers.contains_key(header::RETRY_AFTER);
    if !repeats(session, ctx, Cause::Status, told_when) {
        return Ok(());
    }
    over(ctx, Outcome::Answered(head.status));
    let mut error = Error::new_up(REPEATED);
    error.set_retry(true);
    Err(error)
}

/// Asks the route's policy, and remembers what it says.
fn repeats(session: &Session, ctx: &mut Ctx, cause: Cause, told_when: bool) -> bool {
    let (route, arm) = (ctx.route(), ctx.arm());
    let Some((retry, arm)) = route.and_then(|route| route.retry.as_ref()).zip(arm) else {
        return false;
    };
    if !retry.covers(cause) {
        return false;
    }
    let head = session.req_header();
    let again = ctx.progress.again.as_deref();
    let verdict = retry.again(
        &Failed {
            cause,
            method: Some(&head.method).filter(|_| !ctx.seen.facts.is_repeatable()),
            attempts: ctx.progress.attempts - again.map_or(0, |again| again.uncounted),
            body_kept: !session.as_ref().retry_buffer_truncated(),
            told_when,
            marked: ctx.seen.trusted && is_marked(&head.headers),
            left: remaining(ctx.seen.deadline, Instant::now()),
        },
        &arm.upstream.budget,
    );
    match verdict {
        Ok(_) => arm.upstream.retries.made(),
        Err(hindrance) => arm.upstream.retries.hindered(hindrance),
    }
    let targets = arm.upstream.count();
    let again = ctx.progress.again.get_or_insert_default();
    again.hindrance = verdict.err();
    let Ok(pause) = verdict else {
        return false;
    };
    // A target that nobody has asked yet need not be spared.
    let fresh = cause == Cause::ConnectFailure && again.tried.len() < targets;
    again.pause = if fresh { Duration::ZERO } else { pause };
    again.cause = Some(cause);
    again.made += 1;
    true
}

/// Ends an attempt that failed.
fn over(ctx: &mut Ctx, outcome: Outcome) {
    let now = Instant::now();
    ctx.report(outcome, now);
    ctx.attempt_over(now);
    let hedge = ctx.progress.hedge.clone();
    let hedged = hedge.iter().flat_map(|hedge| hedge.targets());
    let targets = ctx.progress.target().cloned().into_iter().chain(hedged);
    let tried = &mut ctx.progress.again.get_or_insert_default().tried;
    for target in targets {
        if !tried.iter().any(|other| Arc::ptr_eq(other, &target)) {
            tried.push(target);
        }
    }
}
