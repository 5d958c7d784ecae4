//! A listener's closing, as the connections of one worker see it.
//!
//! Pingora reads the watch when a request starts; an idle connection must be woken. Its task enlists a waker once when it is
//! born, so that waiting for the next request costs one atomic load and no list or lock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use pingora::server::ShutdownWatch;
use tokio::sync::watch;

/// Open until the listener drains, then closed for good.
#[derive(Debug)]
pub(crate) struct Gate {
    /// The next answer on a connection is its last.
    draining: AtomicBool,
    /// Who has no request under way must go.
    closed: AtomicBool,
    sender: watch::Sender<bool>,
    seats: Mutex<Seats>,
}

#[derive(Debug, Default)]
struct Seats {
    wakers: Vec<Option<Waker>>,
    free: Vec<usize>,
}

impl Gate {
    pub(crate) fn open() -> Arc<Self> {
        let (sender, _) = watch::channel(false);
        Arc::new(Self {
            draining: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            sender,
            seats: Mutex::default(),
        })
    }

    /// Tells every connection behind this gate that its next answer is the last. An idle one may stay for now: a request may be
    /// on its way already, and a close would cross it.
    pub(crate) fn last_call(&self) {
        self.draining.store(true, Ordering::Release);
        self.sender.send_replace(true);
    }

    /// Tells every connection behind this gate to finish and go.
    pub(crate) fn close(&self) {
        self.last_call();
        self.closed.store(true, Ordering::Release);
        for waker in self.seats().wakers.iter().flatten() {
            waker.wake_by_ref();
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// The same news in the form that Pingora wants.
    pub(crate) fn watch(&self) -> ShutdownWatch {
        self.sender.subscribe()
    }

    /// Has this task woken when the gate closes, until the seat is dropped.
    pub(crate) fn enlist(self: &Arc<Self>, waker: Waker) -> Seat {
        let mut seats = self.seats();
        let number = seats.free.pop().unwrap_or(seats.wakers.len());
        match seats.wakers.get_mut(number) {
            Some(place) => *place = Some(waker),
            None => seats.wakers.push(Some(waker)),
        }
        drop(seats);
        Seat {
            gate: Arc::clone(self),
            number,
        }
    }

    // The lists stay whole whatever panicked while they were locked.
    fn seats(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place behind the gate.
#[derive(Debug)]
pub(crate) struct Seat {
    gate: Arc<Gate>,
    number: usize,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.gate.seats();
        if let Some(place) = seats.wakers.get_mut(self.number) {
            *place = None;
            seats.free.push(self.number);
        }
    }
}
