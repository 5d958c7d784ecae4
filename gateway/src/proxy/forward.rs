//! From a request that may pass to a target: pick, prepare head and body, account for every attempt.

pub(super) mod again;
pub(super) mod fallback;
pub(super) mod hedge;

use bytes::Bytes;
use pingora::ErrorType;
use pingora::http::RequestHeader;
use pingora::prelude::{Error, HttpPeer, Result, Session};
use plugins::contract::flow::{Flow, Reply};
use plugins::contract::plugin::BodyChunk;
use plugins::contract::view::RequestBody;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::hedge::Hedger;
use super::ctx::Ctx;
use super::request::{Count, remaining};
use super::{affinity, cookie, failure, grpc, headers, lower, mirror, silence};
use crate::config::model::Protocol;
use crate::decide;
use crate::upstream::{Pick, Unavailable, Wish};

/// Chooses the target of the next attempt.
pub(super) async fn pick(
    session: &mut Session,
    ctx: &mut Ctx,
    hedger: &Arc<Hedger>,
) -> Result<Box<HttpPeer>> {
    if let Some(pause) = again::pause(ctx) {
        // In a box of its own: most requests never pause, and would carry the timer along.
        Box::pin(tokio::time::sleep(pause)).await;
    }
    let now = Instant::now();
    let left = remaining(ctx.seen.deadline, now).ok_or_else(|| failed(failure::DEADLINE))?;
    let mut pick = match target(session, ctx, now) {
        Err(_) if fallback::turn(ctx) => target(session, ctx, now)?,
        picked => picked?,
    };
    let retry = ctx.route().and_then(|route| route.retry.as_ref());
    within(
        &mut pick.peer,
        left,
        retry.and_then(|retry| retry.per_try_timeout),
    );
    silence::take_over(session, &mut pick.peer, &mut ctx.seen);
    if ctx.seen.body == RequestBody::None {
        silence::begins(session, &ctx.seen, now);
    }
    hedge::arrange(hedger, session, ctx, &mut pick);
    ctx.progress.attempts += 1;
    ctx.progress.attempt = Some(pick.attempt);
    ctx.progress.picked = Some(now);
    Ok(pick.peer)
}

fn target(session: &Session, ctx: &Ctx, now: Instant) -> Result<Pick> {
    let (route, arm) = (ctx.route(), ctx.arm());
    let arm = arm.ok_or_else(|| failed(failure::NO_TARGET))?;
    let retry = route.and_then(|route| route.retry.as_ref());
    if let Some(retry) = retry.filter(|_| ctx.progress.attempts == 0) {
        retry.begun(&arm.upstream.budget);
    }
    let wish = Wish {
        tried: again::tried(ctx),
        ..affinity::wish(session, ctx, now)
    };
    arm.upstream
        .pick(&wish)
        .map_err(|unavailable| match unavailable {
            Unavailable::NoTarget => failed(failure::NO_TARGET),
            Unavailable::Full => failed(failure::FULL),
            Unavailable::BreakerOpen(wait) => failed(failure::breaker_open(wait)),
        })
}

/// No single wait may outlast the request's own deadline, and none until the answer's head the time of one try.
fn within(peer: &mut HttpPeer, left: Duration, per_try: Option<Duration>) {
    let options = &mut peer.options;
    let one_try = per_try.map_or(left, |per_try| per_try.min(left));
    for (timeout, most) in [
        (&mut options.connection_timeout, one_try),
        (&mut options.total_connection_timeout, one_try),
        (&mut options.read_timeout, one_try),
        (&mut options.write_timeout, left),
    ] {
        *timeout = Some(timeout.map_or(most, |timeout| timeout.min(most)));
    }
}

/// The head has come in time: from here on the upstream may be as silent as its own timeout allows.
pub(super) fn answer_begins(ctx: &mut Ctx) {
    let retry = ctx.route().and_then(|route| route.retry.as_ref());
    let limited = retry.is_some_and(|retry| retry.per_try_timeout.is_some());
    if limited && ctx.seen.silence.is_some() {
        ctx.seen.silence = ctx.arm().map(|arm| arm.upstream.config.read_timeout);
    }
}

fn failed(kind: ErrorType) -> Box<Error> {
    Error::new_in(kind)
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
    let mut copy = progress.mirror.take();
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
    let arm = route.action.forward().zip(progress.arm);
    let Some(arm) = arm.and_then(|(forward, arm)| forward.arms.get(arm)) else {
        return Err(failed(failure::NO_TARGET));
    };
    let upstream = &arm.upstream.config;
    if upstream.protocol == Protocol::H2 && head.version != http::Version::HTTP_2 {
        // Over TLS, Pingora falls back to HTTP/1.1 where the target knows no ALPN.
        let reason = "the target did not agree on HTTP/2";
        return Err(Error::explain(failure::OTHER_PROTOCOL, reason));
    }
    if original.version == http::Version::HTTP_2 {
        cookie::join_crumbs(head)?;
        // Pingora passes no `100 Continue` on to streams. Upstreams must not wait for a body that waits for them.
        head.remove_header(&http::header::EXPECT);
    }
    mirror::begin(session, head, route, &hop, memory, &mut copy);
    if let Err(error) = headers::prepare(head, &hop, route, upstream, seen.path.is_some()) {
        progress.reply = Some(crate::decide::refusals::value(error));
        return Err(failed(failure::REFUSED));
    }
    progress.mirror = copy;
    if let Some(again) = &progress.again {
        again.mark(head)?;
    }
    progress.bridge = grpc::prepare(head, original, seen.dialect)?;
    if seen.asked.is_some() || route.deadline_from.is_some() {
        let left = remaining(seen.deadline, Instant::now()).unwrap_or_default();
        lower::change(head, |parts| {
            decide::deadline::hand_on(route, &mut parts.headers, left);
        });
    }
    route.chain.on_upstream_request(&view, head, memory);
    Ok(())
}

/// Shows a piece of the request's body to the policies.
pub(super) fn body(
    session: &mut Session,
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
            return Err(Error::new_down(failure::DEADLINE));
        }
        // A tunnel's client sends for as long as it likes; the upstream's silence counts from its last word.
        if end || progress.status.is_some() {
            silence::begins(session, seen, now);
        } else {
            silence::ends(session, seen);
        }
    }
    if let Some(bridge) = &mut progress.bridge
        && let Err(refusal) = bridge.request(bytes, end)
    {
        progress.reply = Some(Box::new(Reply::refusal(refusal)));
        // Blamed on the client: Pingora takes any other error here for an upstream of HTTP/2's, and waits for its answer.
        return Err(Error::new_down(failure::REFUSED));
    }
    let mut chunk = BodyChunk { bytes, end };
    let mut count = Count {
        metrics: &route.metrics,
        shadowed: &mut progress.shadowed,
        behind: None,
    };
    match route.chain.on_request_body(&mut chunk, memory, &mut count) {
        Flow::Continue => Ok(()),
        Flow::Reply(reply) => {
            progress.reply = Some(reply);
            Err(Error::new_down(failure::REFUSED))
        }
    }
}
