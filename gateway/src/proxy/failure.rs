//! The only map from a failure of the machine to an answer. (A refusal by a policy is no failure.)

use std::time::{Duration, Instant};

use pingora::prelude::{Error, Session};
use pingora::proxy::FailToProxy;
use pingora::{ErrorSource, ErrorType};
use plugins::contract::flow::{Refusal, Reply};

use super::ctx::Ctx;
use super::forward::fallback;
use super::reply;

/// The request's own deadline is over.
pub(super) const DEADLINE: ErrorType = ErrorType::Custom("deadline");
/// The upstream has no target with a known address.
pub(super) const NO_TARGET: ErrorType = ErrorType::Custom("no-target");
/// The upstream has as many requests as `connections-max` lets it have.
pub(super) const FULL: ErrorType = ErrorType::Custom("full");
/// The target does not speak the protocol that the upstream is meant to speak.
pub(super) const OTHER_PROTOCOL: ErrorType = ErrorType::Custom("other-protocol");
const BREAKER: &str = "breaker-open";

/// The breaker of the upstream refuses for so long: the client is told whole seconds.
pub(super) fn breaker_open(wait: Duration) -> ErrorType {
    let seconds = wait.as_nanos().div_ceil(1_000_000_000).max(1);
    ErrorType::CustomCode(BREAKER, u16::try_from(seconds).unwrap_or(u16::MAX))
}

/// A policy refused while the body was on its way; the answer waits in the context.
pub(super) const REFUSED: ErrorType = ErrorType::Custom("refused");

const fn failure(status: u16, code: &'static str, title: &'static str) -> Refusal {
    Refusal {
        status,
        code,
        title,
    }
}

/// The connection's listener is in no snapshot: it was removed while the request arrived.
pub(super) static LISTENER_GONE: Refusal =
    failure(503, "listener.gone", "This address is being closed.");
static TIMEOUT: Refusal = failure(
    504,
    "request.timeout",
    "The request took longer than its route allows.",
);
static NOBODY: Refusal = failure(
    503,
    "upstream.no-target",
    "No target of the upstream is available.",
);
static OVERLOADED: Refusal = failure(
    503,
    "upstream.full",
    "The upstream has as many requests as it can take.",
);
static BREAKER_OPEN: Refusal = failure(
    503,
    "upstream.breaker-open",
    "The upstream failed too many requests and gets none for a while.",
);
static CONNECT_TIMEOUT: Refusal = failure(
    504,
    "upstream.connect-timeout",
    "The upstream did not accept the connection in time.",
);
static UNREACHABLE: Refusal = failure(
    502,
    "upstream.unreachable",
    "The upstream cannot be reached.",
);
static TLS: Refusal = failure(
    502,
    "upstream.tls",
    "No secure connection to the upstream came about.",
);
static UPSTREAM_TIMEOUT: Refusal = failure(
    504,
    "upstream.timeout",
    "The upstream did not answer in time.",
);
static BROKEN: Refusal = failure(
    502,
    "upstream.closed",
    "The upstream closed the connection before it answered.",
);
static BAD_RESPONSE: Refusal = failure(
    502,
    "upstream.bad-response",
    "The upstream's answer is malformed.",
);
static STREAM_IDLE: Refusal = failure(504, "stream.idle", "The stream was silent for too long.");
static STREAM_MAX: Refusal = failure(
    504,
    "stream.too-long",
    "The stream lasted longer than its route allows.",
);
static CLIENT_SLOW: Refusal = failure(408, "client.timeout", "The request did not arrive in time.");
static CLIENT_BAD: Refusal = failure(400, "client.bad-request", "The request is malformed.");
static INTERNAL: Refusal = failure(500, "gateway.internal", "The gateway failed.");

/// The code that the access log has for a client that went away.
const CLIENT_GONE: &str = "client.gone";

/// Every failure that can be answered, for documents and tests.
pub fn all() -> impl Iterator<Item = &'static Refusal> {
    let ours = [
        &LISTENER_GONE,
        &TIMEOUT,
        &NOBODY,
        &OVERLOADED,
        &BREAKER_OPEN,
        &CONNECT_TIMEOUT,
        &UNREACHABLE,
        &TLS,
        &UPSTREAM_TIMEOUT,
        &BROKEN,
        &BAD_RESPONSE,
        &STREAM_IDLE,
        &STREAM_MAX,
        &CLIENT_SLOW,
        &CLIENT_BAD,
        &INTERNAL,
    ];
    ours.into_iter().chain(crate::overload::REFUSALS)
}

/// What a failure is to the client; `None` when there is nobody left to tell.
fn judge(error: &Error, past_deadline: bool) -> Option<&'static Refusal> {
    use ErrorType as Kind;
    let kind = error.etype();
    match (error.esource(), kind) {
        (_, kind) if *kind == DEADLINE => Some(&TIMEOUT),
        (_, kind) if *kind == NO_TARGET => Some(&NOBODY),
        (_, kind) if *kind == FULL => Some(&OVERLOADED),
        (_, Kind::CustomCode(BREAKER, _)) => Some(&BREAKER_OPEN),
        // `Conn` ends a request that is over time by failing the read that Pingora keeps open on the client.
        (ErrorSource::Downstream, Kind::ReadError)
        | (ErrorSource::Upstream | ErrorSource::Unset, _)
            if past_deadline =>
        {
            Some(&TIMEOUT)
        }
        // The same for a body that comes too slowly.
        (ErrorSource::Downstream, Kind::ReadError) if is_slow_body(error) => Some(&CLIENT_SLOW),
        // The same, before the route's own deadline: the upstream was silent for too long.
        (ErrorSource::Downstream, Kind::ReadError) if is_over_time(error) => {
            Some(&UPSTREAM_TIMEOUT)
        }
        (ErrorSource::Downstream, Kind::ReadTimedout) => Some(&CLIENT_SLOW),
        (ErrorSource::Downstream, kind) if is_malformed(kind, error) => Some(&CLIENT_BAD),
        (ErrorSource::Downstream, _) => None,
        (_, Kind::TLSHandshakeFailure | Kind::InvalidCert) => Some(&TLS),
        (ErrorSource::Upstream, _) if is_tls(error) => Some(&TLS),
        (_, Kind::ConnectTimedout | Kind::TLSHandshakeTimedout) => Some(&CONNECT_TIMEOUT),
        (
            _,
            Kind::ConnectRefused
            | Kind::ConnectNoRoute
            | Kind::ConnectError
            | Kind::SocketError
            | Kind::BindError
            | Kind::HandshakeError
            | Kind::ConnectProxyFailure,
        ) => Some(&UNREACHABLE),
        (ErrorSource::Upstream, Kind::ReadTimedout | Kind::WriteTimedout) => {
            Some(&UPSTREAM_TIMEOUT)
        }
        (ErrorSource::Upstream, Kind::ConnectionClosed | Kind::ReadError | Kind::WriteError) => {
            Some(&BROKEN)
        }
        (_, kind) if *kind == OTHER_PROTOCOL => Some(&BAD_RESPONSE),
        (ErrorSource::Upstream, _) => Some(&BAD_RESPONSE),
        (ErrorSource::Internal | ErrorSource::Unset, _) => Some(&INTERNAL),
    }
}

/// The same of a stream, where other limits hold once its head is there.
fn judge_stream(error: &Error, past_deadline: bool) -> Option<&'static Refusal> {
    let refusal = judge(error, past_deadline)?;
    if std::ptr::eq(refusal, &raw const TIMEOUT) {
        Some(&STREAM_MAX)
    } else if std::ptr::eq(refusal, &raw const UPSTREAM_TIMEOUT) {
        Some(&STREAM_IDLE)
    } else {
        Some(refusal)
    }
}

/// Whether our own connection ended a wait: for the request as a whole, or for an upstream that was silent.
pub(super) fn is_over_time(error: &Error) -> bool {
    io_kind(error) == Some(std::io::ErrorKind::TimedOut) && !is_slow_body(error)
}

fn is_slow_body(error: &Error) -> bool {
    io_error(error).is_some_and(crate::listen::is_slow_body)
}

/// Whether the other end's TLS refused us after the handshake was over for us, as it does over our certificate.
fn is_tls(error: &Error) -> bool {
    let Some(cause) = error.cause.as_deref() else {
        return false;
    };
    if let Some(error) = cause.downcast_ref::<std::io::Error>() {
        let inner = error.get_ref();
        return inner
            .and_then(<dyn std::error::Error + Send + Sync>::downcast_ref::<rustls::Error>)
            .is_some();
    }
    // The h2 crate keeps no more than the words.
    cause
        .downcast_ref::<h2::Error>()
        .and_then(h2::Error::get_io)
        .is_some_and(|error| error.to_string().contains("fatal alert"))
}

/// What the system, or our own connection in its place, said.
fn io_error(error: &Error) -> Option<&std::io::Error> {
    error.cause.as_deref()?.downcast_ref()
}

fn io_kind(error: &Error) -> Option<std::io::ErrorKind> {
    io_error(error).map(std::io::Error::kind)
}

/// Whether the client's bytes are wrong: Pingora says so, or our own connection, which follows chunked bodies and stops at a
/// malformed one.
fn is_malformed(kind: &ErrorType, error: &Error) -> bool {
    use ErrorType as Kind;
    matches!(
        kind,
        Kind::InvalidHTTPHeader
            | Kind::H1Error
            | Kind::InvalidH2
            | Kind::Custom("InvalidChunk" | "InvalidTrailerEnd")
    ) || (*kind == Kind::ReadError && io_kind(error) == Some(std::io::ErrorKind::InvalidData))
}

/// Answers a failed request, unless its answer has begun or its client is gone.
pub(super) async fn answer(session: &mut Session, error: &Error, ctx: &mut Ctx) -> FailToProxy {
    let past_deadline = super::request::remaining(ctx.seen.deadline, Instant::now()).is_none();
    let refusal = if ctx.seen.streams {
        judge_stream(error, past_deadline)
    } else {
        judge(error, past_deadline)
    };
    let begun = session.response_written().is_some_and(|head| {
        let switching = head.status == http::StatusCode::SWITCHING_PROTOCOLS;
        !head.status.is_informational() || switching
    });
    let reply = ctx.progress.reply.take().or_else(|| {
        let refusal = refusal?;
        let instead = Some(refusal).filter(|refusal| !begun && is_upstreams(refusal));
        instead
            .and_then(|_| fallback::reply(ctx))
            .or_else(|| Some(Box::new(reply_to(refusal, error))))
    });
    log(error, refusal, ctx);
    if begun {
        let said = reply.and_then(|reply| reply.refusal).or(refusal);
        ctx.progress.code = Some(said.map_or(CLIENT_GONE, |refusal| refusal.code));
        if let Some(refusal) = said {
            reply::break_off(session, ctx, refusal).await;
        }
        return nothing_more(0);
    }
    let Some(reply) = reply else {
        ctx.progress.code = Some(CLIENT_GONE);
        ctx.progress.status = Some(499);
        return nothing_more(0);
    };
    // Pingora goes on with this connection only after failures before a target was picked.
    session.set_keepalive(None);
    if reply::send(session, ctx, &reply).await.is_err() {
        ctx.progress.code = Some(CLIENT_GONE);
        return nothing_more(0);
    }
    if reply.refusal.is_none() {
        // A fallback's answer: the log says what it stands for.
        ctx.progress.code = refusal.map(|refusal| refusal.code);
    }
    nothing_more(reply.status.as_u16())
}

/// Whether an upstream failed, and neither the client nor we.
fn is_upstreams(refusal: &Refusal) -> bool {
    refusal.code.starts_with("upstream.") || std::ptr::eq(refusal, &raw const TIMEOUT)
}

fn reply_to(refusal: &'static Refusal, error: &Error) -> Reply {
    let reply = Reply::refusal(refusal);
    if refusal.status == 503 {
        return reply.header(
            http::header::RETRY_AFTER,
            http::HeaderValue::from(retry_after(error)),
        );
    }
    reply
}

/// In seconds.
fn retry_after(error: &Error) -> u16 {
    if let ErrorType::CustomCode(BREAKER, seconds) = error.etype() {
        return *seconds;
    }
    1
}

/// Whether nobody was asked. Why targets are out and breakers open is logged once, when it happens.
fn is_unasked(refusal: Option<&'static Refusal>) -> bool {
    [&BREAKER_OPEN, &NOBODY]
        .into_iter()
        .any(|unasked| refusal.is_some_and(|refusal| std::ptr::eq(refusal, unasked)))
}

fn nothing_more(error_code: u16) -> FailToProxy {
    FailToProxy {
        error_code,
        can_reuse_downstream: false,
    }
}

/// One line for operators: `debug` for what a client did, `warn` for what an upstream did (once a second for each target), `error` for our own.
fn log(error: &Error, refusal: Option<&'static Refusal>, ctx: &Ctx) {
    let route = ctx.route().map_or("", |route| &*route.name);
    let target = ctx.progress.target().map_or("", |target| &*target.address);
    let (id, code) = (
        ctx.seen.id.to_str().unwrap_or_default(),
        refusal.map_or(CLIENT_GONE, |refusal| refusal.code),
    );
    // A stream that was silent or old enough is nobody's failure.
    let clients =
        *error.esource() == ErrorSource::Downstream && (ctx.seen.streams || !is_over_time(error));
    if *error.etype() == REFUSED || clients || refusal.is_none() || is_unasked(refusal) {
        tracing::debug!(%error, route, target, id, code, "A request failed");
    } else if std::ptr::eq(refusal.unwrap_or(&INTERNAL), &raw const INTERNAL) {
        tracing::error!(%error, route, target, id, code, "The gateway failed a request");
    } else if ctx.progress.target().is_none_or(|target| target.may_warn()) {
        tracing::warn!(%error, route, target, id, code, "An upstream failed a request");
    } else {
        tracing::debug!(%error, route, target, id, code, "An upstream failed one more request");
    }
}

#[cfg(test)]
mod tests;
