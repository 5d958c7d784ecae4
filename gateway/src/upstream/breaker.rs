//! The circuit breaker of an upstream: when too many of its attempts fail, it gets none for a while.
//!
//! ```text
//!            failure-rate of at least requests-min in window
//!   closed ────────────────────────────────────────────────▶ open ──open-for──▶ half-open ─┐
//!     ▲                                                       ▲                    │       │ a trial fails
//!     └────────────────── every trial succeeds ───────────────┼────────────────────┘       │
//!                                                             └────────────────────────────┘
//! ```
//!
//! Half-open lets at most `TRIALS` attempts through at once and refuses all others. An attempt that was admitted
//! before the last change of state has no vote. While it is closed, admitting costs two loads and hearing of an end one
//! update; only changes of state lock. The clock is an argument.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::window::{Counts, Window};
use crate::config::model::BreakerConfig;
use crate::observe::metrics::BreakerMetrics;

/// Attempts that half-open lets through, and successes that close it.
const TRIALS: u32 = 3;

/// What a refused client is told to wait while trials are under way.
const TRIAL_WAIT: Duration = Duration::from_secs(1);

/// The breaker of one upstream. It outlives a reload that does not change its definition.
#[derive(Debug)]
pub struct Breaker {
    upstream: Arc<str>,
    config: BreakerConfig,
    origin: Instant,
    /// 0 while it is closed; else when it becomes half-open, in nanoseconds since `origin`.
    refuses_until: AtomicU64,
    /// Grows with each change of state.
    generation: AtomicU32,
    metrics: Arc<BreakerMetrics>,
    window: Window,
    trial: Mutex<Trial>,
}

/// What half-open has seen.
#[derive(Debug, Default)]
struct Trial {
    running: u32,
    passed: u32,
}

/// What a breaker lets through now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Everything.
    Closed,
    /// A few attempts, to try.
    HalfOpen,
    /// Nothing.
    Open,
}

/// Leave for one attempt. Dropped without a word, it says nothing of the upstream.
#[derive(Debug)]
pub struct Permit {
    breaker: Arc<Breaker>,
    generation: u32,
    trial: bool,
    spent: bool,
}

impl Breaker {
    /// A closed one.
    pub fn new(
        upstream: Arc<str>,
        config: BreakerConfig,
        metrics: Arc<BreakerMetrics>,
        now: Instant,
    ) -> Self {
        Self {
            upstream,
            window: Window::new(config.window, now),
            config,
            origin: now,
            refuses_until: AtomicU64::new(0),
            generation: AtomicU32::new(0),
            metrics,
            trial: Mutex::default(),
        }
    }

    /// Whether it works by this definition.
    pub fn is(&self, config: &BreakerConfig) -> bool {
        self.config == *config
    }

    /// Leave for an attempt, or how long to wait for one.
    pub fn admit(self: &Arc<Self>, now: Instant) -> Result<Permit, Duration> {
        let generation = self.generation.load(Ordering::Acquire);
        match self.refuses_until.load(Ordering::Acquire) {
            0 => Ok(self.permit(generation, false)),
            until if self.nanos(now) < until => Err(self.refuse(until - self.nanos(now))),
            _ => self.admit_trial(now),
        }
    }

    fn admit_trial(self: &Arc<Self>, now: Instant) -> Result<Permit, Duration> {
        let mut trial = self.trial();
        let until = self.refuses_until.load(Ordering::Acquire);
        let generation = self.generation.load(Ordering::Acquire);
        if until == 0 {
            return Ok(self.permit(generation, false));
        }
        if self.nanos(now) < until {
            return Err(self.refuse(until - self.nanos(now)));
        }
        if trial.running + trial.passed >= TRIALS {
            self.metrics.refused.add_one();
            return Err(TRIAL_WAIT);
        }
        trial.running += 1;
        Ok(self.permit(generation, true))
    }

    fn refuse(&self, nanos: u64) -> Duration {
        self.metrics.refused.add_one();
        Duration::from_nanos(nanos)
    }

    fn permit(self: &Arc<Self>, generation: u32, trial: bool) -> Permit {
        Permit {
            breaker: self.clone(),
            generation,
            trial,
            spent: false,
        }
    }

    fn judge(&self, generation: u32, failed: bool, now: Instant) {
        if self.generation.load(Ordering::Acquire) != generation {
            return;
        }
        self.window.record(failed, now);
        let counts = if failed {
            self.window.read(now)
        } else {
            Counts::default()
        };
        if counts.total < u64::from(self.config.requests_min)
            || !counts.reaches(self.config.failure_rate.percent())
        {
            return;
        }
        let mut trial = self.trial();
        if self.generation.load(Ordering::Acquire) == generation {
            let Counts { total, failed } = counts;
            tracing::warn!(
                upstream = &*self.upstream,
                failed,
                total,
                "A breaker opened: too many requests failed"
            );
            self.open(&mut trial, now);
        }
    }

    fn judge_trial(&self, generation: u32, failed: bool, now: Instant) {
        let mut trial = self.trial();
        if self.generation.load(Ordering::Acquire) != generation {
            return;
        }
        trial.running = trial.running.saturating_sub(1);
        if failed {
            tracing::warn!(
                upstream = &*self.upstream,
                "A breaker opened again: a trial failed"
            );
            return self.open(&mut trial, now);
        }
        trial.passed += 1;
        if trial.passed >= TRIALS {
            tracing::info!(
                upstream = &*self.upstream,
                "A breaker closed: its trials succeeded"
            );
            self.window.clear();
            self.change(&mut trial, 0);
        }
    }

    fn open(&self, trial: &mut Trial, now: Instant) {
        self.metrics.opened.add_one();
        self.change(trial, self.nanos(now + self.config.open_for).max(1));
    }

    fn change(&self, trial: &mut Trial, refuses_until: u64) {
        *trial = Trial::default();
        // In this order, for `admit` reads them in the other one: who still sees the old state has no vote in the new one.
        self.refuses_until.store(refuses_until, Ordering::Release);
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// A trial ended without a verdict: another may take its place.
    fn give_back(&self, generation: u32) {
        let mut trial = self.trial();
        if self.generation.load(Ordering::Acquire) == generation {
            trial.running = trial.running.saturating_sub(1);
        }
    }

    /// What it lets through now.
    pub fn state(&self, now: Instant) -> State {
        match self.refuses_until.load(Ordering::Acquire) {
            0 => State::Closed,
            until if self.nanos(now) < until => State::Open,
            _ => State::HalfOpen,
        }
    }

    /// How often it opened and refused.
    pub fn metrics(&self) -> &BreakerMetrics {
        &self.metrics
    }

    fn nanos(&self, now: Instant) -> u64 {
        let since = now.saturating_duration_since(self.origin).as_nanos();
        u64::try_from(since).unwrap_or(u64::MAX)
    }

    fn trial(&self) -> MutexGuard<'_, Trial> {
        self.trial.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Says how the attempt went; only the first word counts.
    pub fn spend(&mut self, failed: bool, now: Instant) {
        if std::mem::replace(&mut self.spent, true) {
            return;
        }
        if self.trial {
            self.breaker.judge_trial(self.generation, failed, now);
        } else {
            self.breaker.judge(self.generation, failed, now);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.trial && !self.spent {
            self.breaker.give_back(self.generation);
        }
    }
}

#[cfg(test)]
mod tests;
