//! One target as balancing, health, logs and metrics know it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::attempt::InFlight;
use super::standing::Standing;
use crate::observe::metrics::TargetMetrics;

/// One target. It lives on while a request, a check or a snapshot holds it.
pub struct Target {
    /// `host:port` as written.
    pub address: Arc<str>,
    /// Its counters.
    pub metrics: Arc<TargetMetrics>,
    /// Whether it may be picked.
    pub standing: Standing,
    /// Attempts that are under way.
    pub in_flight: InFlight,
    /// The second, since 1970, of the last warning about it.
    warned: AtomicU64,
}

impl Target {
    pub(super) fn new(address: Arc<str>, metrics: Arc<TargetMetrics>) -> Self {
        Self {
            address,
            metrics,
            standing: Standing::default(),
            in_flight: InFlight::default(),
            warned: AtomicU64::new(0),
        }
    }

    /// Whether nobody was warned about it in this second: a target that is down must not fill the log.
    pub fn may_warn(&self) -> bool {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let second = since.unwrap_or_default().as_secs();
        self.warned.swap(second, Ordering::Relaxed) != second
    }
}
