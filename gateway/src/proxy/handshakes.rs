//! TLS handshakes as operators see them: counted by result, and the failed ones logged with their reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::listen::{ConnFacts, Endpoint, HandshakeFailure};

/// Lines a second; who floods us with handshakes must not flood the log.
const LINES_MAX: u64 = 10;

/// Handshakes by listener and result.
pub struct Handshakes {
    counts: Mutex<BTreeMap<(Arc<str>, &'static str), u64>>,
    began: Instant,
    /// The last second in which a line was written, and how many.
    second: AtomicU64,
    lines: AtomicU64,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self {
            counts: Mutex::default(),
            began: Instant::now(),
            second: AtomicU64::new(0),
            lines: AtomicU64::new(0),
        }
    }
}

impl Handshakes {
    /// Counts a handshake, and logs what went wrong with it.
    pub(super) fn note(&self, conn: &ConnFacts, failure: Option<&HandshakeFailure>) {
        let result = failure.map_or("ok", |failure| failure.kind.label());
        let listener = &conn.listener.name;
        *self.counts().entry((listener.clone(), result)).or_default() += 1;
        if let Some(failure) = failure {
            let client = match conn.client {
                Endpoint::Ip(address) => address.to_string(),
                Endpoint::Unix => "unix".to_owned(),
            };
            let detail = &*failure.detail;
            if failure.matters() && self.may_say() {
                tracing::info!(
                    listener = &**listener,
                    client,
                    reason = result,
                    detail,
                    "TLS handshake failed"
                );
            } else {
                tracing::debug!(
                    listener = &**listener,
                    client,
                    reason = result,
                    detail,
                    "TLS handshake failed"
                );
            }
        }
    }

    /// Listener, result and count.
    pub fn read(&self) -> Vec<(Arc<str>, &'static str, u64)> {
        let counts = self.counts();
        let count = |((listener, result), count): (&(Arc<str>, &'static str), &u64)| {
            (listener.clone(), *result, *count)
        };
        counts.iter().map(count).collect()
    }

    /// Roughly: two threads may both think that a second has just begun.
    fn may_say(&self) -> bool {
        let now = self.began.elapsed().as_secs();
        if self.second.swap(now, Ordering::Relaxed) != now {
            self.lines.store(0, Ordering::Relaxed);
        }
        self.lines.fetch_add(1, Ordering::Relaxed) < LINES_MAX
    }

    // Counters stay good whatever panicked while they were locked.
    fn counts(&self) -> MutexGuard<'_, BTreeMap<(Arc<str>, &'static str), u64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
