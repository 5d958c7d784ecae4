//! A read that waits too long for its answer goes to a second target as well; the first good answer is served.
//!
//! Pingora runs one attempt at a time, on one connection. So the connection that it gets for such a request is ours
//! ([`race`]), with one real connection below it or two, and what comes out of it is one answer. Everything else stays as it
//! is: the head that Pingora wrote is what both targets get, and the winner's bytes are what it reads. Upgrades have such a
//! connection for another reason, said at [`arrange`].

mod ask;
mod race;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pingora::connectors::l4::Connect;
use pingora::connectors::{ConnectorOptions, TransportConnector};
use pingora::prelude::{HttpPeer, Result, Session};
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::VirtualSocketStream;
use pingora::upstreams::peer::Scheme;
use plugins::contract::view::RequestBody;

use self::race::Race;
use crate::config::model::Protocol;
use crate::proxy::affinity;
use crate::proxy::ctx::Ctx;
use crate::upstream::retry::hedge::Reading;
use crate::upstream::retry::marked::is_marked;
use crate::upstream::{Attempt, Outcome, Pick, Target, Upstream, Wish};

/// How long Pingora keeps a connection of ours. The real one has gone to our own pool by then.
const IDLE: Duration = Duration::from_millis(1);

/// What a worker needs for such requests: a pool of its own, as Pingora's gives none of its connections away.
pub(in crate::proxy) struct Hedger {
    connector: OnceLock<TransportConnector>,
    idle_max: usize,
    number: AtomicU64,
}

impl Hedger {
    /// With so many idle connections at most.
    pub(in crate::proxy) fn new(idle_max: usize) -> Self {
        Self {
            connector: OnceLock::new(),
            idle_max,
            number: AtomicU64::new(1),
        }
    }

    fn connector(&self) -> &TransportConnector {
        self.connector
            .get_or_init(|| TransportConnector::new(Some(ConnectorOptions::new(self.idle_max))))
    }
}

/// A request that may be with two targets, as its two sides see it: the request's own, and the connection's.
pub(in crate::proxy) struct Hedge {
    /// None where no second target is asked.
    after: Option<Duration>,
    upstream: Arc<Upstream>,
    first: [Arc<Target>; 1],
    hash: Option<u64>,
    /// Its answer has been read to the end.
    answered: AtomicBool,
    course: Mutex<Course>,
}

/// How it went.
#[derive(Default)]
struct Course {
    second: Option<Arc<Target>>,
    winner: Option<Winner>,
    result: Option<&'static str>,
}

/// The second target's attempt, once it has won.
struct Winner {
    attempt: Attempt,
    picked: Instant,
    /// The first one has not been too slow only.
    first_broke: bool,
}

impl Hedge {
    /// Its answer has been read to the end, so its connection may serve others.
    pub(in crate::proxy) fn answered(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    /// Whose answer it was, where a second target was asked; its name in the access log.
    pub(in crate::proxy) fn result(&self) -> Option<&'static str> {
        self.course().result
    }

    /// Whom it went to.
    pub(super) fn targets(&self) -> impl Iterator<Item = Arc<Target>> {
        let second = self.course().second.clone();
        self.first.iter().cloned().chain(second)
    }

    fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Another target, if there is one and the budget allows it.
    fn second(&self) -> Option<Pick> {
        let wish = Wish {
            hash: self.hash,
            tried: &self.first,
            // Else a slow target of two would be the first one every time.
            aside: true,
            ..Wish::at(Instant::now())
        };
        let pick = self.upstream.pick(&wish).ok()?;
        let target = pick.attempt.target();
        let other = !self.first.iter().any(|first| Arc::ptr_eq(first, target));
        if !other || !self.upstream.budget.withdraw() {
            return None;
        }
        self.course().second = Some(target.clone());
        Some(pick)
    }

    fn won(&self, winner: Winner) {
        self.course().winner = Some(winner);
    }

    // The course stays whole whatever panicked while it was locked.
    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives an attempt a connection of ours where that has a use: a read that may be with two targets, and an upgrade.
///
/// Of an upgrade Pingora must hear the answer after it has handed on that there is no body. It takes the one that comes second
/// for the end of the tunnel (its issue 946), and chance decides where a target answers at once.
pub(super) fn arrange(hedger: &Arc<Hedger>, session: &Session, ctx: &mut Ctx, pick: &mut Pick) {
    let upgrade = ctx.seen.body == RequestBody::None && session.is_upgrade_req();
    let after = second_after(session, ctx);
    let Some(arm) = ctx.arm().filter(|arm| {
        after.is_some() || (upgrade && arm.upstream.config.protocol == Protocol::Http1)
    }) else {
        return;
    };
    let hedge = Arc::new(Hedge {
        after,
        upstream: arm.upstream.clone(),
        first: [pick.attempt.target().clone()],
        hash: affinity::wish(session, ctx, Instant::now()).hash,
        answered: AtomicBool::new(false),
        course: Mutex::default(),
    });
    disguise(&mut pick.peer, hedger, &hedge);
    ctx.progress.hedge = Some(hedge);
}

/// When a second target is asked, where the route's policy wants that: in a first attempt.
fn second_after(session: &Session, ctx: &Ctx) -> Option<Duration> {
    let retry = ctx.route()?.retry.as_ref()?;
    retry.hedge_after?;
    let arm = ctx.arm().filter(|_| ctx.progress.attempts == 0)?;
    let head = session.req_header();
    let reading = Reading {
        method: &head.method,
        body: ctx.seen.body != RequestBody::None,
        stream: session.is_upgrade_req(),
        marked: ctx.seen.trusted && is_marked(&head.headers),
    };
    retry.hedge(&reading, &arm.upstream.config)?.ok()
}

fn disguise(peer: &mut HttpPeer, hedger: &Arc<Hedger>, hedge: &Arc<Hedge>) {
    let way = Way {
        hedger: hedger.clone(),
        hedge: hedge.clone(),
        real: peer.clone(),
    };
    // TLS is spoken below.
    peer.scheme = Scheme::HTTP;
    peer.client_cert_key = None;
    // No other request may ever find this connection in Pingora's pool.
    peer.group_key = hedger.number.fetch_add(1, Ordering::Relaxed);
    peer.options.idle_timeout = Some(IDLE);
    peer.options.tcp_keepalive = None;
    peer.options.custom_l4 = Some(Arc::new(way));
}

/// The way to the first target.
struct Way {
    hedger: Arc<Hedger>,
    hedge: Arc<Hedge>,
    real: HttpPeer,
}

#[async_trait]
impl Connect for Way {
    async fn connect(&self, _: &SocketAddr) -> Result<Stream> {
        let connector = self.hedger.connector();
        let (stream, reused) = match self.hedge.after {
            Some(_) => connector.get_stream(&self.real).await?,
            // An upgrade keeps its connection, so it gets a new one.
            None => (connector.new_stream(&self.real).await?, false),
        };
        let (hedger, hedge) = (self.hedger.clone(), self.hedge.clone());
        let race = Race::new(hedger, hedge, self.real.clone(), stream, reused);
        Ok(VirtualSocketStream::new(Box::new(race)).into())
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").finish_non_exhaustive()
    }
}

/// Takes note of a race that is over: from here on the request's attempt is the winner's.
pub(in crate::proxy) fn settle(ctx: &mut Ctx) {
    let Some(hedge) = &ctx.progress.hedge else {
        return;
    };
    let mut course = hedge.course();
    if course.second.is_none() || course.result.is_some() {
        return;
    }
    let winner = course.winner.take();
    course.result = Some(if winner.is_some() { "won" } else { "lost" });
    drop(course);
    hedge.upstream.retries.hedged(winner.is_some());
    let now = Instant::now();
    ctx.progress.attempts += 1;
    let Some(winner) = winner else { return };
    if winner.first_broke {
        ctx.report(Outcome::Broken, now);
    }
    let progress = &mut ctx.progress;
    if let Some(picked) = progress.picked.replace(winner.picked) {
        // What the second took counts from its own pick.
        progress.upstream_time += winner.picked.saturating_duration_since(picked);
        if let Some(first) = &mut progress.attempt {
            first.overtaken(now.saturating_duration_since(picked));
        }
    }
    progress.attempt = Some(winner.attempt);
}
