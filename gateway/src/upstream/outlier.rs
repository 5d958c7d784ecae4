//! Outlier ejection: a target whose attempts fail gets none for a while, however well its checks go.
//!
//! The n-th ejection in short order lasts n times the first, up to ten; each span of good standing as long as a first
//! ejection takes one back. No more than the configured share of an upstream's targets is out at once: when all fail,
//! the fault is hardly theirs. Hearing of an end costs an atomic update or two; only an ejection locks. The clock is an
//! argument.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::Target;
use super::window::Window;
use crate::config::model::OutlierConfig;

/// What `failure-rate` looks back on.
const WINDOW: Duration = Duration::from_secs(10);

/// Attempts in the window below which a rate says nothing.
const ATTEMPTS_MIN: u64 = 20;

/// How many times longer than the first the longest ejection is.
const TIMES_MAX: u32 = 10;

const IN_A_ROW: &str = "too many failures in a row";
const TOO_MANY: &str = "too large a share of failures";

/// Ejects targets of one upstream.
pub(super) struct Outlier {
    upstream: Arc<str>,
    config: OutlierConfig,
    members: ArcSwap<Vec<Arc<Target>>>,
    /// One ejection at a time: two at once could exceed the share.
    ejecting: Mutex<()>,
    /// Wakes whoever lets targets back.
    wake: OnceLock<Arc<Notify>>,
}

/// What is remembered of a target. It outlives a reload.
#[derive(Debug)]
pub(super) struct Record {
    in_a_row: AtomicU32,
    window: Window,
    ejection: Mutex<Ejection>,
}

#[derive(Debug, Default)]
struct Ejection {
    /// Of a target that is out.
    until: Option<Instant>,
    /// How often it was ejected in short order.
    times: u32,
    /// When it came back last, and how much good standing takes one of the times back.
    back: Option<(Instant, Duration)>,
}

impl Outlier {
    /// For the targets of an upstream.
    pub(super) fn new(
        upstream: Arc<str>,
        config: OutlierConfig,
        members: Vec<Arc<Target>>,
    ) -> Self {
        Self {
            upstream,
            config,
            members: ArcSwap::from_pointee(members),
            ejecting: Mutex::default(),
            wake: OnceLock::new(),
        }
    }

    /// From now on these are the upstream's targets.
    pub(super) fn follow(&self, members: Vec<Arc<Target>>) {
        self.members.store(Arc::new(members));
    }

    /// Says who lets targets back.
    pub(super) fn wakes(&self, wake: &Arc<Notify>) {
        // It is told once; a second time it is told the same.
        self.wake.get_or_init(|| wake.clone());
    }

    /// An attempt at one of the targets ended.
    pub(super) fn heard(&self, target: &Target, failed: bool, now: Instant) {
        let record = &target.standing.record;
        if target.standing.is_ejected() {
            return;
        }
        if let Some(why) = record.heard(failed, &self.config, now) {
            self.eject(target, why, now);
        }
    }

    fn eject(&self, target: &Target, why: &'static str, now: Instant) {
        let _alone = self.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let members = self.members.load();
        let out = members
            .iter()
            .filter(|member| member.standing.is_ejected())
            .count();
        if target.standing.is_ejected() || out >= self.room(members.len()) {
            return;
        }
        let (times, time) = target
            .standing
            .record
            .ejected(self.config.ejection_time, now);
        target.standing.set_ejected(Some(why), times, now);
        target.metrics.ejections.add_one();
        let (upstream, target, seconds) = (&*self.upstream, &*target.address, time.as_secs_f64());
        tracing::warn!(upstream, target, why, seconds, "A target is ejected");
        if let Some(wake) = self.wake.get() {
            wake.notify_one();
        }
    }

    /// How many may be out at once: the share rounded down, but one where another is left.
    fn room(&self, all: usize) -> usize {
        let share = all * usize::from(self.config.ejected_max.percent()) / 100;
        share.max(usize::from(all > 1))
    }
}

impl Record {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            in_a_row: AtomicU32::new(0),
            window: Window::new(WINDOW, now),
            ejection: Mutex::default(),
        }
    }

    /// Counts an attempt; says why the target should go.
    fn heard(&self, failed: bool, config: &OutlierConfig, now: Instant) -> Option<&'static str> {
        let in_a_row = if failed {
            self.in_a_row
                .fetch_add(1, Ordering::Relaxed)
                .saturating_add(1)
        } else {
            // Most attempts succeed after others: no write then.
            if self.in_a_row.load(Ordering::Relaxed) != 0 {
                self.in_a_row.store(0, Ordering::Relaxed);
            }
            0
        };
        if config.failure_rate.is_some() {
            self.window.record(failed, now);
        }
        if in_a_row >= config.consecutive_failures {
            return Some(IN_A_ROW);
        }
        let rate = config.failure_rate.filter(|_| failed)?.percent();
        let counts = self.window.read(now);
        (counts.total >= ATTEMPTS_MIN && counts.reaches(rate)).then_some(TOO_MANY)
    }

    /// Notes an ejection: the how-manieth in short order, and its time.
    fn ejected(&self, first: Duration, now: Instant) -> (u32, Duration) {
        let mut ejection = self.ejection();
        if let Some((back, each)) = ejection.back.take() {
            let good = now.saturating_duration_since(back).as_nanos() / each.as_nanos().max(1);
            ejection.times = ejection
                .times
                .saturating_sub(u32::try_from(good).unwrap_or(u32::MAX));
        }
        ejection.times = (ejection.times + 1).min(TIMES_MAX);
        let time = first * ejection.times;
        ejection.until = Some(now + time);
        ejection.back = Some((now + time, first));
        (ejection.times, time)
    }

    fn ejection(&self) -> MutexGuard<'_, Ejection> {
        self.ejection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a target back whose time is over; says when that will be, while it is not.
pub(super) fn let_back(upstream: &str, target: &Target, now: Instant) -> Option<Instant> {
    if !target.standing.is_ejected() {
        return None;
    }
    let mut ejection = target.standing.record.ejection();
    let until = ejection.until?;
    if now < until {
        return Some(until);
    }
    ejection.until = None;
    let times = ejection.times;
    drop(ejection);
    pardon(target, times, now);
    let target = &*target.address;
    tracing::info!(upstream, target, "An ejected target is back");
    None
}

/// Forgets everything: ejection is no longer configured, or works by other rules.
pub(super) fn forget(target: &Target, now: Instant) {
    *target.standing.record.ejection() = Ejection::default();
    pardon(target, 0, now);
}

/// What it did before counts no more.
fn pardon(target: &Target, times: u32, now: Instant) {
    let record = &target.standing.record;
    record.in_a_row.store(0, Ordering::Relaxed);
    record.window.clear();
    target.standing.set_ejected(None, times, now);
}

#[cfg(test)]
mod tests;
