//! The deadline of the current request: a read that waits beyond it fails, whatever Pingora was waiting for meanwhile.
//!
//! Pingora has timeouts for single waits only. It reads from the client all the time it works on a request (to notice
//! that the client is gone), so this is where a request as a whole can be ended.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::time::{Sleep, sleep_until};

/// A deadline that can be set through a shared reference, and the timer that watches it.
#[derive(Debug)]
pub(in crate::listen) struct Deadline {
    /// All deadlines count from here.
    base: Instant,
    /// Nanoseconds after `base`; 0 is none.
    at: AtomicU64,
    /// Rings at this deadline or at an earlier one. A deadline that moves back, as it does with every request, costs
    /// nothing: the timer finds out when it rings.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    pub(in crate::listen) fn new() -> Self {
        Self {
            base: Instant::now(),
            at: AtomicU64::new(0),
            timer: None,
        }
    }

    pub(in crate::listen) fn set(&self, deadline: Option<Instant>) {
        let after =
            deadline.map(|deadline| deadline.saturating_duration_since(self.base).as_nanos());
        // 584 years after the connection was made.
        let after = after.map_or(0, |nanos| u64::try_from(nanos).unwrap_or(u64::MAX).max(1));
        self.at.store(after, Ordering::Relaxed);
    }

    fn get(&self) -> Option<Instant> {
        match self.at.load(Ordering::Relaxed) {
            0 => None,
            nanos => self.base.checked_add(Duration::from_nanos(nanos)),
        }
    }

    /// Ready with an error once the deadline is over, or the time that a slow body has; to be asked whenever a read waits.
    pub(in crate::listen) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        body: Option<Instant>,
    ) -> Poll<io::Error> {
        let request = self.get();
        let Some(deadline) = request.into_iter().chain(body).min() else {
            return Poll::Pending;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline.into())));
        if timer.deadline() > deadline.into() {
            timer.as_mut().reset(deadline.into());
        }
        while timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(over(request == Some(deadline)));
            }
            timer.as_mut().reset(deadline.into());
        }
        Poll::Pending
    }
}

fn over(request: bool) -> io::Error {
    let kind = io::ErrorKind::TimedOut;
    if request {
        io::Error::new(kind, "the request's deadline is over")
    } else {
        io::Error::new(kind, SlowBody)
    }
}

/// A request's body arrives more slowly than its listener allows.
#[derive(Debug, thiserror::Error)]
#[error("the body arrives too slowly")]
struct SlowBody;

/// Whether a read from a client failed because its body came too slowly.
pub fn is_slow_body(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<SlowBody>)
}
