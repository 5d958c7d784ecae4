//! The end of a request: metrics, the access-log line, and the policies' last hook. Runs exactly once.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime};

use http::Version;
use pingora::prelude::Session;
use plugins::contract::plugin::Done;

use super::ctx::Ctx;
use super::forward::fallback::Fell;
use super::forward::hedge;
use super::{Shared, cache};
use crate::config::model::{AccessLogConfig, AccessLogPath, LogFields};
use crate::observe::access_log::line::Line;
use crate::upstream::retry::{Cause, Hindrance};

/// Records a request.
pub(super) fn record(
    shared: &Shared,
    worker: usize,
    session: &Session,
    complete: bool,
    ctx: &mut Ctx,
) {
    let now = Instant::now();
    hedge::settle(ctx);
    ctx.attempt_over(now);
    let total = now.saturating_duration_since(ctx.seen.started.unwrap_or(now));
    let hop = total.saturating_sub(ctx.progress.upstream_time);
    let status = status(session, ctx);
    match ctx.route() {
        None => shared.metrics.unrouted.count(status),
        Some(route) => {
            // What the gateway asks for itself is no client's request.
            if !cache::refresh::is_one(session) {
                if let (Some(state), Some(cached)) = (&ctx.progress.cache, &route.cached) {
                    cache::outcome::count(session, state, cached);
                }
                route.metrics.finished(status, total, hop);
            }
            if let Some(arm) = ctx.arm().filter(|_| ctx.progress.attempts > 0) {
                arm.seconds.observe(ctx.progress.upstream_time);
            }
            route.chain.on_done(
                &Done {
                    status: ctx.progress.status,
                    complete: complete && ctx.progress.status.is_some(),
                    trailers: ctx.progress.trailers,
                    total,
                },
                &ctx.memory,
            );
        }
    }
    let config = &ctx.snapshot.loaded.config.access_log;
    if wanted(config, status) {
        log(
            shared,
            worker,
            session,
            ctx,
            &Ended {
                status,
                total,
                hop,
                query: config.query,
            },
        );
    }
}

struct Ended {
    status: u16,
    total: Duration,
    hop: Duration,
    query: bool,
}

/// What was sent; 499 when the client went away before anything was.
fn status(session: &Session, ctx: &Ctx) -> u16 {
    let sent = session.response_written().map(|head| head.status.as_u16());
    sent.or(ctx.progress.status).unwrap_or(499)
}

fn wanted(config: &AccessLogConfig, status: u16) -> bool {
    config.path != AccessLogPath::Off
        && (config.sample >= 1.0 || status >= 400 || rand::random::<f64>() < config.sample)
}

fn log(shared: &Shared, worker: usize, session: &Session, ctx: &Ctx, ended: &Ended) {
    let head = session.req_header();
    let fields = &ctx.snapshot.loaded.config.access_log.fields;
    let progress = &ctx.progress;
    let again = progress.again.as_deref();
    let target = progress.target().map(|target| &*target.address);
    let cached = progress.cache.as_ref();
    let cached = cached.map(|state| cache::outcome::of(session, state));
    let refreshing = cache::refresh::is_one(session);
    let identity = ctx.seen.facts.identity();
    let consumer = identity.and_then(|identity| identity.consumer.as_ref());
    let line = Line {
        time: SystemTime::now(),
        request_id: ctx.seen.id.to_str().unwrap_or_default(),
        client: ctx.seen.client,
        listener: ctx.listener().map_or("", |listener| &*listener.name),
        method: head.method.as_str(),
        host: &ctx.seen.host,
        path: head.uri.path().as_bytes(),
        query: head.uri.query().filter(|_| ended.query).map(str::as_bytes),
        protocol: protocol(head.version),
        route: ctx.route().map(|route| &*route.name),
        auth: identity.map(|identity| &*identity.provider),
        consumer: consumer.map(|consumer| &*consumer.name),
        status: ended.status,
        grpc_status: progress.grpc_status,
        code: progress.code,
        shadowed: &progress.shadowed,
        upstream: ctx.arm().map(|arm| &*arm.upstream.config.name),
        target,
        attempts: progress.attempts,
        retried: again.and_then(|again| again.cause).map(Cause::name),
        hedge: progress.hedge.as_ref().and_then(|hedge| hedge.result()),
        fallback: again.and_then(|again| again.fell).map(Fell::name),
        not_retried: again.and_then(|again| again.hindrance).map(Hindrance::name),
        cache: cached.map(|done| {
            if refreshing {
                "refresh"
            } else {
                done.result.name()
            }
        }),
        cache_reason: cached.and_then(|done| done.reason),
        bytes_in: session.body_bytes_read() as u64,
        bytes_out: session.body_bytes_sent() as u64,
        total: ended.total,
        upstream_time: target.map(|_| progress.upstream_time),
        hop: ended.hop,
        values: values(session, ctx, fields),
    };
    shared.access_log.write(worker, &line, fields);
}

/// What the configuration wants of the request itself. A value that is missing or repeated is not in the line.
fn values<'a>(
    session: &'a Session,
    ctx: &'a Ctx,
    fields: &'a LogFields,
) -> Vec<(&'a [u8], Cow<'a, str>)> {
    if fields.values.is_empty() {
        return Vec::new();
    }
    let head = session.req_header();
    let identified = ctx.seen.identified(&ctx.snapshot, head);
    let view = identified.view(&head.method, head.uri.query(), &head.headers);
    let found = fields.values.iter().filter_map(|wanted| {
        let value = view.lookup(&wanted.value).ok()?;
        Some((&*wanted.key, Cow::Owned(value.into_owned())))
    });
    found.collect()
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}
