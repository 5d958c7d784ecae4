//! Names and handles of all metrics.
//!
//! Handles are resolved at reload and kept in the snapshot: a request only adds. They outlive reloads by name, so a
//! counter never falls. Label values come from the configuration or from closed lists, never from a request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use plugins::contract::flow::Refusal;
use plugins::contract::services::{Count, Family, Meter};

use super::cache::CacheMetrics;
use super::histogram::{HOP, Histogram, REQUEST};
use super::status::StatusCounters;
use crate::upstream::retry::Hindrance;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// Adds some.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Its value.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Metrics of one route.
#[derive(Debug)]
pub struct RouteMetrics {
    pub(super) requests: StatusCounters,
    pub(super) seconds: Histogram,
    pub(super) hop: Histogram,
    /// In the order of `plugins::chain::refusals`.
    pub(super) refusals: Vec<RefusalCounters>,
}

/// How often one kind of refusal was made.
#[derive(Debug)]
pub struct RefusalCounters {
    pub(super) refusal: &'static Refusal,
    pub(super) enforced: Counter,
    pub(super) shadowed: Counter,
}

/// How an attempt at a target ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptResult {
    /// A response head arrived.
    Answered,
    /// No connection could be made.
    ConnectFailed,
    /// The connection broke or spoke wrongly before the head arrived.
    Broken,
    /// It took too long.
    TimedOut,
}

impl AttemptResult {
    pub(super) const ALL: [(Self, &'static str); 4] = [
        (Self::Answered, "answered"),
        (Self::ConnectFailed, "connect-failed"),
        (Self::Broken, "broken"),
        (Self::TimedOut, "timed-out"),
    ];
}

/// Metrics of one target.
#[derive(Debug, Default)]
pub struct TargetMetrics {
    attempts: [Counter; 4],
    pub(super) checks_passed: Counter,
    pub(super) checks_failed: Counter,
    /// How often it was ejected.
    pub ejections: Counter,
}

/// Metrics of the breaker of one upstream.
#[derive(Debug, Default)]
pub struct BreakerMetrics {
    /// How often it opened.
    pub opened: Counter,
    /// How many attempts it refused.
    pub refused: Counter,
}

/// What became of a copy for a mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MirrorResult {
    /// It was answered, whatever the answer.
    Sent,
    /// It was not.
    Failed,
    /// Dropped: too many were under way.
    Busy,
    /// Dropped: its body is larger than what is kept.
    TooLarge,
}

impl MirrorResult {
    pub(super) const ALL: [(Self, &'static str); 4] = [
        (Self::Sent, "sent"),
        (Self::Failed, "failed"),
        (Self::Busy, "busy"),
        (Self::TooLarge, "too-large"),
    ];
}

/// Copies of one route's requests.
#[derive(Debug, Default)]
pub struct MirrorMetrics([Counter; 4]);

impl MirrorMetrics {
    /// Counts a copy.
    pub fn count(&self, result: MirrorResult) {
        if let Some((counter, _)) = self.read_pairs().find(|(_, (of, _))| *of == result) {
            counter.add_one();
        }
    }

    pub(super) fn read_pairs(
        &self,
    ) -> impl Iterator<Item = (&Counter, (MirrorResult, &'static str))> {
        self.0.iter().zip(MirrorResult::ALL)
    }
}

/// What became of failed attempts that a retry policy covers: repeated, or why not.
#[derive(Debug, Default)]
pub struct RetryMetrics {
    pub(super) made: Counter,
    pub(super) hedges_won: Counter,
    pub(super) hedges_lost: Counter,
    /// In the order of [`Hindrance::ALL`].
    pub(super) hindered: [Counter; Hindrance::ALL.len()],
}

/// Handles by name, or by two names.
type Handles<K, T> = Mutex<BTreeMap<K, Arc<T>>>;
type Two = (Arc<str>, Arc<str>);
/// The name of a family and the values of its labels.
type Counted = (&'static str, Vec<Box<str>>);

/// Everything that `/metrics` shows of the data path.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(super) routes: Handles<Arc<str>, RouteMetrics>,
    pub(super) upstream_seconds: Handles<Two, Histogram>,
    pub(super) targets: Handles<Two, TargetMetrics>,
    pub(super) retries: Handles<Arc<str>, RetryMetrics>,
    pub(super) breakers: Handles<Arc<str>, BreakerMetrics>,
    pub(super) mirrors: Handles<Arc<str>, MirrorMetrics>,
    /// What plugins count, by family and label values.
    pub(super) counted: Mutex<BTreeMap<Counted, (&'static Family, Count)>>,
    pub(super) caches: Handles<Two, CacheMetrics>,
    /// Requests that no route took, by status.
    pub unrouted: StatusCounters,
    /// Reloads that were applied.
    pub reloads_applied: Counter,
    /// Reloads that were refused; the old configuration kept serving.
    pub reloads_refused: Counter,
    /// Names that were looked up.
    pub lookups_found: Counter,
    /// Names that could not be looked up; the last good addresses stay.
    pub lookups_failed: Counter,
    /// Access-log lines that found the buffer full, or could not be written.
    pub access_log_dropped: Counter,
}

impl RouteMetrics {
    fn new() -> Self {
        let counters = |refusal| RefusalCounters {
            refusal,
            enforced: Counter::default(),
            shadowed: Counter::default(),
        };
        Self {
            requests: StatusCounters::default(),
            seconds: Histogram::new(REQUEST),
            hop: Histogram::new(HOP),
            refusals: plugins::chain::refusals().map(counters).collect(),
        }
    }

    /// Counts a finished request.
    pub fn finished(&self, status: u16, total: std::time::Duration, hop: std::time::Duration) {
        self.requests.count(status);
        self.seconds.observe(total);
        self.hop.observe(hop);
    }

    /// Counts a refusal of a plugin, or what would have been one.
    pub fn refused(&self, refusal: &'static Refusal, shadowed: bool) {
        if let Some(found) = self
            .refusals
            .iter()
            .find(|counters| std::ptr::eq(counters.refusal, refusal))
        {
            if shadowed {
                &found.shadowed
            } else {
                &found.enforced
            }
            .add_one();
        }
    }
}

impl TargetMetrics {
    /// Counts an attempt.
    pub fn attempted(&self, result: AttemptResult) {
        if let Some((counter, _)) = self.read_pairs().find(|(_, (of, _))| *of == result) {
            counter.add_one();
        }
    }

    /// Counts a check.
    pub fn checked(&self, passed: bool) {
        if passed {
            self.checks_passed.add_one();
        } else {
            self.checks_failed.add_one();
        }
    }

    pub(super) fn read_pairs(
        &self,
    ) -> impl Iterator<Item = (&Counter, (AttemptResult, &'static str))> {
        self.attempts.iter().zip(AttemptResult::ALL)
    }
}

impl RetryMetrics {
    /// Counts a failed attempt that is repeated.
    pub fn made(&self) {
        self.made.add_one();
    }

    /// Counts a request that went to a second target as well: whether that one's answer was served.
    pub fn hedged(&self, won: bool) {
        if won {
            self.hedges_won.add_one();
        } else {
            self.hedges_lost.add_one();
        }
    }

    /// Counts one that is not.
    pub fn hindered(&self, hindrance: Hindrance) {
        let mut all = Hindrance::ALL.iter().zip(&self.hindered);
        if let Some((_, counter)) = all.find(|(of, _)| **of == hindrance) {
            counter.add_one();
        }
    }
}

impl Metrics {
    /// The handle for the copies of a route's requests.
    pub fn mirror(&self, route: &Arc<str>) -> Arc<MirrorMetrics> {
        lock(&self.mirrors)
            .entry(route.clone())
            .or_default()
            .clone()
    }

    /// The handle for what the cache does for a route.
    pub fn cache(&self, route: &Arc<str>, zone: &Arc<str>) -> Arc<CacheMetrics> {
        lock(&self.caches)
            .entry((route.clone(), zone.clone()))
            .or_default()
            .clone()
    }

    /// The handle for the repetitions at an upstream.
    pub fn retries(&self, upstream: &Arc<str>) -> Arc<RetryMetrics> {
        lock(&self.retries)
            .entry(upstream.clone())
            .or_default()
            .clone()
    }

    /// The handle of a route, the same across reloads.
    pub fn route(&self, name: &Arc<str>) -> Arc<RouteMetrics> {
        lock(&self.routes)
            .entry(name.clone())
            .or_insert_with(|| Arc::new(RouteMetrics::new()))
            .clone()
    }

    /// The handle for the time that a route spends with an upstream.
    pub fn upstream_seconds(&self, route: &Arc<str>, upstream: &Arc<str>) -> Arc<Histogram> {
        let key = (route.clone(), upstream.clone());
        lock(&self.upstream_seconds)
            .entry(key)
            .or_insert_with(|| Arc::new(Histogram::new(REQUEST)))
            .clone()
    }

    /// The handle of a target.
    pub fn target(&self, upstream: &Arc<str>, target: &Arc<str>) -> Arc<TargetMetrics> {
        lock(&self.targets)
            .entry((upstream.clone(), target.clone()))
            .or_default()
            .clone()
    }

    /// The handle of an upstream's breaker.
    pub fn breaker(&self, upstream: &Arc<str>) -> Arc<BreakerMetrics> {
        lock(&self.breakers)
            .entry(upstream.clone())
            .or_default()
            .clone()
    }

    /// Forgets handles that no snapshot holds any more, so that renamed routes do not pile up.
    pub fn forget_unused(&self) {
        lock(&self.routes).retain(|_, handle| Arc::strong_count(handle) > 1);
        lock(&self.upstream_seconds).retain(|_, handle| Arc::strong_count(handle) > 1);
        lock(&self.breakers).retain(|_, handle| Arc::strong_count(handle) > 1);
        lock(&self.targets).retain(|_, handle| Arc::strong_count(handle) > 1);
        lock(&self.mirrors).retain(|_, handle| Arc::strong_count(handle) > 1);
        lock(&self.caches).retain(|_, handle| Arc::strong_count(handle) > 1);
        lock(&self.retries).retain(|_, handle| Arc::strong_count(handle) > 1);
        lock(&self.counted).retain(|_, (_, count)| count.is_used());
    }
}

impl Meter for Metrics {
    fn counter(&self, family: &'static Family, values: &[&str]) -> Count {
        let values = values.iter().map(|value| Box::from(*value)).collect();
        let mut counted = lock(&self.counted);
        let entry = counted.entry((family.name, values));
        let (_, count) = entry.or_insert_with(|| (family, Count::default()));
        count.clone()
    }
}

/// Locks; a panic elsewhere while it was held leaves plain counters, which stay good.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_outlives_a_reload_and_not_its_last_user() {
        let metrics = Metrics::default();
        let name: Arc<str> = "orders".into();
        let first = metrics.route(&name);
        metrics.forget_unused();
        assert!(Arc::ptr_eq(&first, &metrics.route(&name)));
        drop(first);
        metrics.forget_unused();
        assert!(lock(&metrics.routes).is_empty());
    }
}
