//! How many connections are open, and how many may be.
//!
//! One count for the whole server and one for each listener; a `Ticket` is a connection's place in both and, where it has an
//! address that counts, in its crowd.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::crowd::Place;
use super::refusal::TurnedAway;

/// The connections of the whole server.
#[derive(Debug)]
pub(crate) struct Census {
    open: AtomicUsize,
    max: AtomicUsize,
    emptied: Notify,
}

impl Census {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        let (open, max) = (AtomicUsize::new(0), AtomicUsize::new(max));
        Arc::new(Self {
            open,
            max,
            emptied: Notify::new(),
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    pub(crate) fn set_max(&self, max: usize) {
        self.max.store(max, Ordering::Relaxed);
    }

    /// A place for one more connection, unless the server or the listener is full.
    pub(crate) fn admit(
        self: &Arc<Self>,
        listener: &Arc<AtomicUsize>,
        max: usize,
    ) -> Result<Ticket, TurnedAway> {
        let before = self.open.fetch_add(1, Ordering::AcqRel);
        if before >= self.max.load(Ordering::Relaxed) {
            self.leave();
            return Err(TurnedAway::ServerFull);
        }
        if listener.fetch_add(1, Ordering::AcqRel) >= max {
            listener.fetch_sub(1, Ordering::AcqRel);
            self.leave();
            return Err(TurnedAway::ListenerFull);
        }
        Ok(Ticket {
            server: Arc::clone(self),
            listener: Arc::clone(listener),
            before,
            place: None,
        })
    }

    /// Ends as soon as no connection is open.
    pub(crate) async fn empty(&self) {
        loop {
            // Registered before the count is read, so that the last leaver is not missed.
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn leave(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.emptied.notify_waiters();
        }
    }
}

/// One open connection.
#[derive(Debug)]
pub(crate) struct Ticket {
    server: Arc<Census>,
    listener: Arc<AtomicUsize>,
    before: usize,
    place: Option<Place>,
}

impl Ticket {
    /// How many connections the server had before it.
    pub(crate) fn before(&self) -> usize {
        self.before
    }

    /// Holds a place among the connections of one address too.
    pub(crate) fn hold(&mut self, place: Place) {
        self.place = Some(place);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.listener.fetch_sub(1, Ordering::AcqRel);
        self.server.leave();
    }
}
