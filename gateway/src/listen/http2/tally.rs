//! How many streams of a connection came to nothing.
//!
//! Pingora ends a connection that resets streams before anybody has looked at them. Who waits until a request is on its way to
//! an upstream and resets it then, again and again, costs more, and is noticed here.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// So many may come to nothing whatever became of the others: whoever leaves a page with many pictures does that.
const GIVEN_UP_MAX: usize = 500;

/// The streams of one connection.
#[derive(Debug, Default)]
pub(super) struct Tally {
    answered: AtomicUsize,
    given_up: AtomicUsize,
    abused: Notify,
}

impl Tally {
    /// Notes the end of a stream.
    pub(super) fn note(&self, answered: bool) {
        if answered {
            self.answered.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let given_up = self.given_up.fetch_add(1, Ordering::Relaxed) + 1;
        if given_up > GIVEN_UP_MAX && given_up > self.answered.load(Ordering::Relaxed) {
            self.abused.notify_one();
        }
    }

    /// Returns once more streams came to nothing than may, and more than were answered.
    pub(super) async fn abused(&self) {
        self.abused.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn is_abused(tally: &Tally) -> bool {
        tokio::select! {
            biased;
            () = tally.abused() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn tells_an_abuser_from_who_leaves_a_page() {
        let tally = Tally::default();
        (0..GIVEN_UP_MAX).for_each(|_| tally.note(false));
        assert!(!is_abused(&tally).await);
        (0..=GIVEN_UP_MAX).for_each(|_| tally.note(true));
        tally.note(false);
        assert!(!is_abused(&tally).await, "as many were answered");
        tally.note(false);
        assert!(is_abused(&tally).await);
    }
}
