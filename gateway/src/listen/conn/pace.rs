//! How slowly a request's body may arrive.
//!
//! Pingora's timeout ends one long silence; a client that sends a byte before each end of it would hold its request open for
//! ever. So the time that we wait for a body has a limit that grows with every byte that came. Only our waiting counts: a body
//! that we do not take because the upstream is slow is not the client's fault. The watch begins with the body's first byte;
//! a client may wait for `100 Continue` before it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What a body is allowed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allowance {
    /// Time for any body.
    pub(crate) base: Duration,
    /// Bytes that earn one more second; 0 earns nothing for nothing and is not configurable.
    pub(crate) rate: u64,
}

/// The body of the current request.
#[derive(Debug, Default)]
pub(in crate::listen) struct Pace {
    allowance: Allowance,
    received: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
    forgiven: AtomicBool,
}

impl Pace {
    /// A new message begins.
    pub(in crate::listen) fn begin(&mut self, allowance: Allowance) {
        *self = Self {
            allowance,
            ..Self::default()
        };
    }

    /// So many bytes of the body came.
    pub(in crate::listen) fn took(&mut self, count: usize) {
        self.received += count as u64;
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
    }

    /// This body has no pace to keep: it is one side of a conversation.
    pub(in crate::listen) fn forgive(&self) {
        self.forgiven.store(true, Ordering::Relaxed);
    }

    /// How much came.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Nothing is there: when waiting must end; `None` before the first byte.
    pub(in crate::listen) fn waits(&mut self) -> Option<Instant> {
        if self.received == 0 || *self.forgiven.get_mut() {
            return None;
        }
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        since.checked_add(self.limit().saturating_sub(self.waited))
    }

    fn limit(&self) -> Duration {
        let millis = self.received.saturating_mul(1000) / self.allowance.rate.max(1);
        self.allowance
            .base
            .saturating_add(Duration::from_millis(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_earn_time_and_waiting_spends_it() {
        let mut pace = Pace::default();
        let base = Duration::from_secs(5);
        pace.begin(Allowance { base, rate: 1000 });
        assert_eq!(pace.waits(), None, "nothing has come yet");
        pace.took(3000);
        assert_eq!(pace.limit(), Duration::from_secs(8));
        let until = pace.waits().unwrap();
        assert_eq!(pace.waits(), Some(until), "one wait, however often asked");
        pace.waited = Duration::from_secs(7);
        let since = pace.waiting_since.unwrap();
        assert_eq!(pace.waits(), Some(since + Duration::from_secs(1)));
        pace.took(1);
        assert!(pace.waited >= Duration::from_secs(7) && pace.waiting_since.is_none());
        pace.begin(Allowance { base, rate: 1000 });
        assert_eq!((pace.waits(), pace.waited), (None, Duration::ZERO));
        pace.took(1);
        pace.forgive();
        assert_eq!(pace.waits(), None);
    }
}
