//! One target as balancing, health, logs and metrics know it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::attempt::InFlight;
use super::balance::ewma::Latency;
use super::standing::Standing;
use crate::observe::metrics::TargetMetrics;

/// The share of its weight with which a target starts: enough to be measured.
const LEAST_GROWN: f64 = 0.1;

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
    /// Attempts that are under way at its whole upstream, where they are counted.
    pub(super) upstream: Arc<InFlight>,
    /// How long its answers take, where balancing asks for it.
    pub latency: Latency,
    /// When it came to an upstream that was serving already.
    added: Option<Instant>,
    /// The second, since 1970, of the last warning about it.
    warned: AtomicU64,
}

impl Target {
    pub(super) fn new(
        address: Arc<str>,
        metrics: Arc<TargetMetrics>,
        upstream: Arc<InFlight>,
        added: Option<Instant>,
    ) -> Self {
        Self {
            address,
            metrics,
            standing: Standing::default(),
            in_flight: InFlight::default(),
            upstream,
            latency: Latency::default(),
            added,
            warned: AtomicU64::new(0),
        }
    }

    /// The share of its weight that it has at this moment, while it starts slowly, new or back in good
    /// standing: from a tenth to the whole.
    pub(super) fn grown(&self, slow_start: Duration, now: Instant) -> f64 {
        let added = self.added.map(|added| now.saturating_duration_since(added));
        let good = self.standing.good_for(now);
        match added.into_iter().chain(good).min() {
            Some(age) if age < slow_start => {
                (age.as_secs_f64() / slow_start.as_secs_f64()).max(LEAST_GROWN)
            }
            Some(_) | None => 1.0,
        }
    }

    /// Whether nobody was warned about it in this second: a target that is down must not fill the log.
    pub fn may_warn(&self) -> bool {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let second = since.unwrap_or_default().as_secs();
        self.warned.swap(second, Ordering::Relaxed) != second
    }
}
