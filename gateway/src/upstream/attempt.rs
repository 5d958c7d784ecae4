//! One attempt at a target: counted as in flight from the pick to its end, whatever ends it.
//!
//! The count falls when the attempt is over or dropped, so an abort, an error or a panic cannot leak it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use pingora::upstreams::peer::HttpPeer;

use super::balance::cookie;
use super::refusals::Chosen;
use super::watch::Watched;
use super::{Target, clock};
use crate::observe::metrics::AttemptResult;

/// Where an attempt goes.
pub struct Pick {
    /// For Pingora.
    pub peer: Box<HttpPeer>,
    /// To be kept as long as the attempt lasts.
    pub attempt: Attempt,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// A response head arrived, with this status.
    Answered(StatusCode),
    /// No connection could be made.
    ConnectFailed,
    /// The connection broke or spoke wrongly before the head arrived.
    Broken,
    /// It took too long.
    TimedOut,
}

/// A running attempt at a target. One request has one at a time; a retry replaces it.
pub struct Attempt {
    target: Arc<Target>,
    running: bool,
    /// Whether it counts among all requests of the upstream, too.
    counted: bool,
    /// When it was picked, where balancing wants to know how long it takes.
    measured: Option<Instant>,
    /// What the client's sticky cookie should say and does not.
    new_tag: Option<u64>,
    /// Which address it goes to, where its name or service has several.
    address: Option<Chosen>,
    /// Until it is said how it ended.
    watched: Option<Watched>,
}

/// A number of things that are there now.
#[derive(Debug, Default)]
pub struct InFlight(AtomicU32);

/// What an answer counts at least that never came.
const PENALTY: Duration = Duration::from_secs(1);

impl Attempt {
    /// Begins one; with `counted`, the caller has counted it at the upstream.
    pub(super) fn begin(
        target: Arc<Target>,
        counted: bool,
        measured: Option<Instant>,
        new_tag: Option<u64>,
        watched: Option<Watched>,
    ) -> Self {
        target.in_flight.enter();
        Self {
            target,
            running: true,
            counted,
            measured,
            new_tag,
            address: None,
            watched,
        }
    }

    pub(super) fn goes_to(&mut self, address: Option<Chosen>) {
        self.address = address;
    }

    /// Nobody could connect there. Whether the target's name or service has other addresses that may do better.
    pub fn address_refused(&self) -> bool {
        self.address.as_ref().is_some_and(Chosen::refused)
    }

    /// Where it goes.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Says how it ended and how long that took since the pick: metrics, balancing and health hear it here. Not
    /// called when the client ended it, which says nothing of the target.
    pub fn report(&mut self, outcome: Outcome, elapsed: Duration) {
        self.target.metrics.attempted(outcome.result());
        if let Some(picked) = self.measured {
            let took = match outcome {
                Outcome::Answered(_) => elapsed,
                // Whoever fails at once must not look quick.
                Outcome::ConnectFailed | Outcome::Broken | Outcome::TimedOut => {
                    elapsed.max(PENALTY)
                }
            };
            let now = clock::millis(picked + elapsed);
            self.target.latency.observe(took, now);
        }
        if let Some(watched) = self.watched.take() {
            watched.hear(&self.target, outcome, elapsed);
        }
    }

    /// Another target was quicker, and it was given up after so long: no failure, but what balancing knows of its speed.
    pub fn overtaken(&mut self, elapsed: Duration) {
        if let Some(picked) = self.measured {
            let now = clock::millis(picked + elapsed);
            self.target.latency.observe(elapsed, now);
        }
        self.end();
    }

    /// The value for the client's sticky cookie, where it has to be set.
    pub fn new_cookie(&self) -> Option<String> {
        self.new_tag.map(cookie::write)
    }

    /// How it ends is no matter for ejection and breaker.
    pub fn unwatch(&mut self) {
        self.watched = None;
    }

    /// The attempt is over: the target is free for another.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.running) {
            self.target.in_flight.leave();
            if self.counted {
                self.target.upstream.leave();
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.end();
    }
}

impl Outcome {
    fn result(self) -> AttemptResult {
        match self {
            Self::Answered(_) => AttemptResult::Answered,
            Self::ConnectFailed => AttemptResult::ConnectFailed,
            Self::Broken => AttemptResult::Broken,
            Self::TimedOut => AttemptResult::TimedOut,
        }
    }
}

impl InFlight {
    /// How many there are.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    /// One more, but not more than so many; whether there was room.
    pub(super) fn enter_below(&self, most: u32) -> bool {
        let room = self.0.fetch_add(1, Ordering::Relaxed) < most;
        if !room {
            self.leave();
        }
        room
    }

    fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
