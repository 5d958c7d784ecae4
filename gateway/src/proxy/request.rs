//! Who asks and for what (`identify`), and whether the route's policies let it pass (`admit`).

use std::net::IpAddr;
use std::time::Instant;

use pingora::http::RequestHeader;
use pingora::prelude::Session;
use plugins::auth::Auth;
use plugins::chain::{Observer, Step};
use plugins::contract::flow::{Flow, Refusal, Reply};
use plugins::contract::plugin::Plugin;
use plugins::contract::view::RequestView;

use super::ctx::{Ctx, Progress, Seen};
use super::shed::Behind;
use super::{cache, client_addr, dialect, failure, http2_head, lower, reception, request_id, shed};
use crate::decide::{self, Admission, Incoming, REQUEST_ID, Routed, refusals};
use crate::listen::tls::TlsFacts;
use crate::listen::{self, Endpoint};
use crate::observe::metrics::RouteMetrics;
use crate::overload::Level;
use crate::routing::trace::Silent;
use crate::runtime::{Listener, Snapshot};

/// Finds listener, client, id and route; drops what Pingora remembers of the case of names. An answer that is known already is kept for `request_filter`.
pub(super) fn identify(session: &mut Session, ctx: &mut Ctx, level: Level) {
    let started = listen::head_began(session).unwrap_or_else(Instant::now);
    ctx.seen.started = Some(started);
    lower::request(session.req_header_mut());
    // HTTP/2 may end a request with its head.
    let may_go_on =
        session.req_header().version == http::Version::HTTP_2 && !session.is_body_empty();
    let Ctx {
        snapshot,
        seen,
        progress,
        ..
    } = ctx;
    for name in &snapshot.identity_headers {
        // Before anything reads them: only the gateway says who asks.
        session.req_header_mut().remove_header(name);
    }
    let Some(facts) = cache::refresh::connection(session) else {
        return answer(progress, &failure::LISTENER_GONE);
    };
    seen.listener = snapshot.listener(&facts.listener);
    let Some(listener) = seen
        .listener
        .and_then(|index| snapshot.listeners.get(index))
    else {
        return answer(progress, &failure::LISTENER_GONE);
    };
    seen.secure = facts.tls.is_some();
    let tls = facts.tls.as_deref();
    seen.certificate = tls.and_then(|tls| tls.client.clone());
    seen.peer = address(facts.client);
    let head = session.req_header();
    seen.host = decide::host::of(&head.uri, &head.headers)
        .into_owned()
        .into_boxed_str();
    seen.dialect = dialect::of(head);
    identify_client(seen, listener, head);
    if let Some(refusal) = seen
        .listener
        .and_then(|index| refused_http2(snapshot, index, head))
    {
        return answer(progress, refusal);
    }
    if listener.secure && tls.is_none_or(|tls| is_misdirected(tls, listener, &seen.host)) {
        return answer(progress, &refusals::MISDIRECTED);
    }
    seen.body = decide::body_of(&head.headers, may_go_on);
    progress.level = level;
    if !level.is_calm()
        && let Some((reply, is_last)) =
            shed::early(snapshot, level, facts.open_before, &mut progress.shadowed)
    {
        progress.reply = Some(reply);
        if is_last {
            session.set_keepalive(None);
        }
        return;
    }
    find_route(snapshot, listener, head, seen, progress);
    limit(ctx, session.req_header(), started);
    listen::set_deadline(session, ctx.seen.deadline);
}

fn find_route(
    snapshot: &Snapshot,
    listener: &Listener,
    head: &RequestHeader,
    seen: &mut Seen,
    progress: &mut Progress,
) {
    let incoming = Incoming {
        method: &head.method,
        host: &seen.host,
        path: head.uri.path(),
        query: head.uri.query(),
        headers: &head.headers,
        secure: seen.secure,
    };
    let captures = &mut seen.captures;
    match decide::route(snapshot, listener, &incoming, captures, &mut Silent) {
        Err(reply) => progress.reply = Some(reply),
        Ok(Routed { route, path }) => {
            seen.path = (*path != *head.uri.path()).then(|| path.into_owned().into_boxed_str());
            seen.route = Some(route);
        }
    }
}

/// Whether the certificate of the connection does not cover the host, or the client has not shown the one that the listener
/// asks for by now.
fn is_misdirected(tls: &TlsFacts, listener: &Listener, host: &str) -> bool {
    let uncovered = !host.is_empty() && !tls.covers(host);
    uncovered || (listener.requires_client && tls.client.is_none())
}

/// Sets the request's deadline: the route's, or the client's where that is earlier.
fn limit(ctx: &mut Ctx, head: &RequestHeader, started: Instant) {
    let Some(route) = ctx.route() else {
        ctx.seen.deadline = None;
        return;
    };
    let timeout = route.timeout;
    match decide::deadline::asked(route, &head.method, &head.headers) {
        Ok(asked) => ctx.seen.asked = asked,
        Err(reply) => ctx.progress.reply = Some(reply),
    }
    let limit = ctx.seen.asked.map_or(timeout, |asked| asked.min(timeout));
    ctx.seen.deadline = Some(started + limit);
}

fn refused_http2(
    snapshot: &Snapshot,
    listener: usize,
    head: &RequestHeader,
) -> Option<&'static Refusal> {
    if head.version != http::Version::HTTP_2 {
        return None;
    }
    let listener = snapshot.loaded.config.listeners.get(listener)?;
    http2_head::check(head, listener)
        .err()
        .map(reception::refusal_of)
}

fn identify_client(seen: &mut Seen, listener: &Listener, head: &RequestHeader) {
    let client = client_addr::resolve(
        seen.peer,
        &head.headers,
        &listener.trusted_proxies,
        listener.trusts,
    );
    seen.client = client.address;
    seen.trusted = client.trusted;
    if client.trusted {
        seen.secure = client_addr::secure(&head.headers).unwrap_or(seen.secure);
    }
    let mut sent = head.headers.get_all(&REQUEST_ID).iter();
    let only = sent.next().filter(|_| sent.next().is_none());
    seen.id = only
        .filter(|_| client.trusted)
        .and_then(request_id::accept)
        .unwrap_or_else(request_id::make);
}

fn address(endpoint: Endpoint) -> Option<IpAddr> {
    match endpoint {
        Endpoint::Ip(address) => Some(address.ip().to_canonical()),
        Endpoint::Unix => None,
    }
}

fn answer(progress: &mut Progress, refusal: &'static Refusal) {
    progress.reply = Some(Box::new(Reply::refusal(refusal)));
}

/// Asks the policies and the action; the answer, unless the request is to be forwarded.
pub(super) async fn admit(session: &mut Session, ctx: &mut Ctx) -> Option<Box<Reply>> {
    let Ctx {
        snapshot,
        seen,
        memory,
        progress,
    } = ctx;
    if let Some(reply) = progress.reply.take() {
        return Some(reply);
    }
    let route = seen.route.and_then(|index| snapshot.routes.get(index));
    let Some(route) = route else {
        return Some(Box::new(Reply::refusal(&failure::LISTENER_GONE)));
    };
    let behind = shed::behind(snapshot, progress.level);
    if let Some(arm) = decide::undisputed(route) {
        if let Some(behind) = &behind
            && let Flow::Reply(reply) = behind.judge(&seen.facts, &mut progress.shadowed)
        {
            return Some(reply);
        }
        progress.arm = Some(arm);
        return None;
    }
    let head = session.req_header();
    let identified = seen.identified(snapshot, head);
    let view = identified.view(&head.method, head.uri.query(), &head.headers);
    let mut count = Count {
        metrics: &route.metrics,
        shadowed: &mut progress.shadowed,
        behind,
    };
    match decide::admit(route, &view, memory, &mut count).await {
        Admission::Reply(reply) => Some(reply),
        Admission::Forward(arm) => {
            progress.arm = Some(arm);
            None
        }
    }
}

/// Counts refusals and remembers the shadowed ones for the access log.
pub(super) struct Count<'a> {
    pub(super) metrics: &'a RouteMetrics,
    pub(super) shadowed: &'a mut Vec<&'static str>,
    /// Who is turned away once it is known who asks.
    pub(super) behind: Option<Behind<'a>>,
}

impl Observer for Count<'_> {
    fn verdict(&mut self, step: &Step<'_>, flow: &Flow) {
        let Flow::Reply(reply) = flow else { return };
        let Some(refusal) = reply.refusal else { return };
        self.metrics.refused(refusal, step.shadowed);
        if step.shadowed {
            self.shadowed.push(refusal.code);
        }
    }

    fn passed(&mut self, plugin: &'static str, request: &RequestView<'_>) -> Flow {
        match &self.behind {
            Some(behind) if plugin == Auth::NAME => behind.judge(request.facts, self.shadowed),
            Some(_) | None => Flow::Continue,
        }
    }
}

/// What is left of a request's time; `None` when it is over.
pub(super) fn remaining(deadline: Option<Instant>, now: Instant) -> Option<std::time::Duration> {
    match deadline {
        None => Some(std::time::Duration::MAX),
        Some(deadline) => deadline
            .checked_duration_since(now)
            .filter(|left| !left.is_zero()),
    }
}
