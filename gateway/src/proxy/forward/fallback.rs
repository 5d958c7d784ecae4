//! Where a request goes when its upstream has failed for good: another upstream, or an answer of the configuration.
//!
//! Only before the first byte of an answer, and only with what may be sent twice.

use std::time::{Duration, Instant};

use pingora::prelude::Session;
use plugins::contract::flow::Reply;

use crate::proxy::ctx::Ctx;
use crate::proxy::request::remaining;
use crate::runtime::action::Fallback;
use crate::upstream::retry::Cause;

/// What became of a request whose upstream had failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Fell {
    /// It went to another upstream.
    Upstream,
    /// The configuration answered it.
    Respond,
}

impl Fell {
    /// Its name in the access log.
    pub(in crate::proxy) fn name(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Respond => "respond",
        }
    }
}

fn of(ctx: &Ctx) -> Option<&Fallback> {
    ctx.route()?.action.forward()?.fallback.as_ref()
}

/// Turns a request to the other upstream, if there is one that it has not been turned to before.
pub(super) fn turn(ctx: &mut Ctx) -> bool {
    let Some(Fallback::Arm(arm)) = of(ctx) else {
        return false;
    };
    let arm = *arm;
    let again = ctx.progress.again.get_or_insert_default();
    if again.fell.is_some() || ctx.progress.arm == Some(arm) {
        return false;
    }
    again.fell = Some(Fell::Upstream);
    again.pause = Duration::ZERO;
    ctx.progress.arm = Some(arm);
    true
}

/// Turns a request whose last attempt failed in this way.
pub(super) fn follows(session: &Session, ctx: &mut Ctx, cause: Cause) -> bool {
    if !matches!(of(ctx), Some(Fallback::Arm(_))) {
        return false;
    }
    let method = &session.req_header().method;
    let retry = ctx.route().and_then(|route| route.retry.as_ref());
    let may_twice = cause == Cause::ConnectFailure
        || retry.map_or_else(|| method.is_safe(), |retry| retry.may_twice(method));
    let whole = !session.as_ref().retry_buffer_truncated();
    let in_time = remaining(ctx.seen.deadline, Instant::now()).is_some();
    may_twice && whole && in_time && turn(ctx)
}

/// The answer of the configuration.
pub(in crate::proxy) fn reply(ctx: &mut Ctx) -> Option<Box<Reply>> {
    let Fallback::Reply(respond) = of(ctx)? else {
        return None;
    };
    let reply = respond.reply();
    ctx.progress.again.get_or_insert_default().fell = Some(Fell::Respond);
    Some(Box::new(reply))
}
