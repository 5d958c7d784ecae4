//! One attempt at a target: counted as in flight from the pick to its end, whatever ends it.
//!
//! The count falls when the attempt is over or dropped, so an abort, an error or a panic cannot leak it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http::StatusCode;
use pingora::upstreams::peer::HttpPeer;

use super::Target;
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
}

/// A number of things that are there now.
#[derive(Debug, Default)]
pub struct InFlight(AtomicU32);

impl Attempt {
    pub(super) fn begin(target: Arc<Target>) -> Self {
        target.in_flight.enter();
        Self {
            target,
            running: true,
        }
    }

    /// Where it goes.
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// Says how it ended and how long that took since the pick: metrics, balancing and health hear it here. Not
    /// called when the client ended it, which says nothing of the target.
    pub fn report(&self, outcome: Outcome, _elapsed: Duration) {
        self.target.metrics.attempted(outcome.result());
    }

    /// The attempt is over: the target is free for another.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.running) {
            self.target.in_flight.leave();
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
