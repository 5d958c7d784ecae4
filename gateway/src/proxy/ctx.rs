//! What the gateway remembers of one request.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use pingora::http::RequestHeader;
use plugins::chain::Memory;
use plugins::contract::facts::Facts;
use plugins::contract::flow::Reply;
use plugins::contract::view::{ClientCertificate, RequestBody};

use super::cache::State;
use super::dialect::Dialect;
use super::forward::again::Again;
use super::forward::hedge::Hedge;
use super::grpc_web::Bridge;
use super::mirror::Copy;
use crate::decide::Identified;
use crate::overload::Level;
use crate::routing::Captures;
use crate::runtime::action::Arm;
use crate::runtime::route::Route;
use crate::runtime::{Listener, Snapshot};
use crate::upstream::{Attempt, Outcome, Target};

/// One request.
pub struct Ctx {
    /// The snapshot it started with; a reload does not change it.
    pub(super) snapshot: Arc<Snapshot>,
    /// What it is.
    pub(super) seen: Seen,
    /// What the policies remember of it.
    pub(super) memory: Memory,
    /// How far it got.
    pub(super) progress: Progress,
}

/// What a request is, found once before any policy is asked.
pub(super) struct Seen {
    /// When its first byte arrived, or was seen first.
    pub(super) started: Option<Instant>,
    pub(super) listener: Option<usize>,
    pub(super) route: Option<usize>,
    pub(super) client: Option<IpAddr>,
    /// The address of the connection's other end.
    pub(super) peer: Option<IpAddr>,
    /// Whether that end is a trusted proxy.
    pub(super) trusted: bool,
    pub(super) secure: bool,
    /// Who the client has proven to be by TLS.
    pub(super) certificate: Option<Arc<ClientCertificate>>,
    pub(super) id: HeaderValue,
    /// Host in lower case, without port.
    pub(super) host: Box<str>,
    /// The path in normal form, where it is not as received.
    pub(super) path: Option<Box<str>>,
    pub(super) captures: Captures,
    /// What the policies find out.
    pub(super) facts: Facts,
    pub(super) body: RequestBody,
    /// What the client speaks.
    pub(super) dialect: Dialect,
    pub(super) deadline: Option<Instant>,
    /// How long the client wants to wait.
    pub(super) asked: Option<Duration>,
    /// How long its upstream may be silent, where the client's side watches.
    pub(super) silence: Option<Duration>,
    /// Whether its answer is a stream: a tunnel, server-sent events, gRPC.
    pub(super) streams: bool,
}

/// How far a request got.
#[derive(Default)]
pub(super) struct Progress {
    /// How much its worker had to do when it began.
    pub(super) level: Level,
    /// The answer that was decided before it could be sent.
    pub(super) reply: Option<Box<Reply>>,
    /// What the current attempt has to translate.
    pub(super) bridge: Option<Box<Bridge>>,
    pub(super) arm: Option<usize>,
    /// The current attempt, or the last one. It counts at its target until it is over.
    pub(super) attempt: Option<Attempt>,
    pub(super) attempts: u32,
    /// What failed attempts leave behind; most requests have none.
    pub(super) again: Option<Box<Again>>,
    /// The first attempt, where it may be with two targets.
    pub(super) hedge: Option<Arc<Hedge>>,
    /// The copy for the route's mirror.
    pub(super) mirror: Option<Box<Copy>>,
    /// What the cache was asked, on routes that keep answers.
    pub(super) cache: Option<Box<State>>,
    /// When the current attempt was begun.
    pub(super) picked: Option<Instant>,
    /// From picking to the last byte, of all attempts together.
    pub(super) upstream_time: Duration,
    /// Refusal or failure that was answered.
    pub(super) code: Option<&'static str>,
    pub(super) status: Option<u16>,
    /// What a call was told by us instead of a status of HTTP.
    pub(super) grpc_status: Option<u16>,
    /// Informational heads of the upstream.
    pub(super) interim: u8,
    /// Whether the answer ended with trailers.
    pub(super) trailers: bool,
    pub(super) shadowed: Vec<&'static str>,
}

impl Ctx {
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            snapshot,
            seen: Seen::new(),
            memory: Memory::default(),
            progress: Progress::default(),
        }
    }

    pub(super) fn listener(&self) -> Option<&Listener> {
        self.snapshot.listeners.get(self.seen.listener?)
    }

    pub(super) fn route(&self) -> Option<&Route> {
        self.snapshot.routes.get(self.seen.route?)
    }

    pub(super) fn arm(&self) -> Option<&Arm> {
        self.route()?.action.forward()?.arms.get(self.progress.arm?)
    }

    /// Says how the current attempt went; not when the client ended it.
    pub(super) fn report(&mut self, outcome: Outcome, now: Instant) {
        if let (Some(attempt), Some(picked)) = (&mut self.progress.attempt, self.progress.picked) {
            let over = self.seen.deadline.is_some_and(|deadline| deadline <= now);
            if outcome == Outcome::TimedOut && over && self.seen.asked.is_some() {
                // A time that the client chose: whoever is in a hurry must not shut a target out for everybody.
                attempt.unwatch();
            }
            attempt.report(outcome, now.saturating_duration_since(picked));
        }
    }

    /// Ends the current attempt: its time, and its place at the target.
    pub(super) fn attempt_over(&mut self, now: Instant) {
        if let Some(picked) = self.progress.picked.take() {
            self.progress.upstream_time += now.saturating_duration_since(picked);
        }
        if let Some(attempt) = &mut self.progress.attempt {
            attempt.end();
        }
    }
}

impl Progress {
    /// Where the current attempt goes, or the last one went.
    pub(super) fn target(&self) -> Option<&Arc<Target>> {
        self.attempt.as_ref().map(Attempt::target)
    }
}

impl Seen {
    fn new() -> Self {
        Self {
            started: None,
            listener: None,
            route: None,
            client: None,
            peer: None,
            trusted: false,
            secure: false,
            certificate: None,
            id: HeaderValue::from_static(""),
            host: Box::default(),
            path: None,
            captures: Captures::default(),
            facts: Facts::default(),
            body: RequestBody::None,
            dialect: Dialect::Plain,
            deadline: None,
            asked: None,
            silence: None,
            streams: false,
        }
    }

    /// What the policies may see, beside the head.
    pub(super) fn identified<'a>(
        &'a self,
        snapshot: &'a Snapshot,
        head: &'a RequestHeader,
    ) -> Identified<'a> {
        let listener = self
            .listener
            .and_then(|index| snapshot.listeners.get(index));
        let route = self.route.and_then(|index| snapshot.routes.get(index));
        Identified {
            listener: listener.map_or("", |listener| &*listener.name),
            route: route.map_or("", |route| &*route.name),
            client: self.client,
            secure: self.secure,
            certificate: self.certificate.as_deref(),
            body: self.body,
            deadline: self.deadline,
            host: &self.host,
            path: self.path.as_deref().unwrap_or(head.uri.path()),
            captures: &self.captures,
            facts: &self.facts,
        }
    }
}

// It is moved into Pingora's future: what grows it costs every request.
const _: () = assert!(size_of::<Ctx>() <= 1024);
