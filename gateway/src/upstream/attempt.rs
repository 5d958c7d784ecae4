//! One attempt at a target: counted as in flight from the pick to its end, whatever ends it.
//!
//! The count falls when the attempt is over or dropped, so an abort, an error or a panic cannot leak it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use pingora::upstreams::peer::HttpPeer;

use super::balance::cookie;
use super::endpoint::Chosen;
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
    /// Its place among all requests of the upstream, where these are counted.
    place: Option<Place>,
    /// When it was picked, where balancing wants to know how long it takes.
    measured: Option<Instant>,
    /// What the client's sticky cookie should say and does not.
    new_tag: Option<u64>,
    /// Which address it goes to, where the target has several.
    address: Option<Chosen>,
}

/// A number of things that are there now.
#[derive(Debug, Default)]
pub struct InFlight(AtomicU32);

/// One of a number of things, until it is dropped.
pub(super) struct Place(Arc<InFlight>);

/// What an answer counts at least that never came.
const PENALTY: Duration = Duration::from_secs(1);

impl Attempt {
    pub(super) fn begin(
        target: Arc<Target>,
        place: Option<Place>,
        measured: Option<Instant>,
        new_tag: Option<u64>,
    ) -> Self {
        target.in_flight.enter();
        Self {
            target,
            running: true,
            place,
            measured,
            new_tag,
            address: None,
        }
    }

    pub(super) fn goes_to(&mut self, address: Option<Chosen>) {
        self.address = address;
    }

    /// Nobody could connect there. Whether the target's name has other addresses that may do better.
    pub fn address_refused(&self) -> bool {
        self.address.as_ref().is_some_and(Chosen::refused)
    }

    /// Where it goes.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Says how it ended and how long that took since the pick: metrics, balancing and health hear it here. Not
    /// called when the client ended it, which says nothing of the target.
    pub fn report(&self, outcome: Outcome, elapsed: Duration) {
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
    }

    /// The value for the client's sticky cookie, where it has to be set.
    pub fn new_cookie(&self) -> Option<String> {
        self.new_tag.map(cookie::write)
    }

    /// The attempt is over: the target is free for another.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.running) {
            self.target.in_flight.leave();
            self.place = None;
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

    fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Place {
    /// A place among at most so many; `None` when all are taken.
    pub(super) fn take(of: &Arc<InFlight>, most: u32) -> Option<Self> {
        let before = of.0.fetch_add(1, Ordering::Relaxed);
        let place = Self(of.clone());
        (before < most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.leave();
    }
}
