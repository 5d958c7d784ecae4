//! When keys are fetched: when they are no longer fresh, after a failure with growing patience, and at once where a token
//! names a key that nobody knows, though not more often than every ten seconds however many such tokens come.
//!
//! Moments are durations since the clock's beginning: this decides, it does not wait.

use std::time::Duration;

/// The first wait after a failure; each further one is twice as long.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const PATIENCE_MAX: Duration = Duration::from_mins(1);
/// Between two fetches that tokens ask for.
const ASKED_EVERY: Duration = Duration::from_secs(10);

/// What is due when.
#[derive(Debug)]
pub struct Schedule {
    due: Duration,
    failures: u32,
    asked: Option<Duration>,
    is_under_way: bool,
}

impl Schedule {
    /// The first fetch is due at once.
    pub fn new(now: Duration) -> Self {
        Self {
            due: now,
            failures: 0,
            asked: None,
            is_under_way: false,
        }
    }

    /// How long nothing is due.
    pub fn wait(&self, now: Duration) -> Duration {
        self.due.saturating_sub(now)
    }

    /// A fetch begins.
    pub fn start(&mut self) {
        self.is_under_way = true;
    }

    /// It brought keys that are fresh for a time.
    pub fn succeed(&mut self, now: Duration, fresh: Duration) {
        self.is_under_way = false;
        self.failures = 0;
        self.due = now.saturating_add(fresh);
    }

    /// It brought nothing.
    pub fn fail(&mut self, now: Duration) {
        self.is_under_way = false;
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let patience = PATIENCE.saturating_mul(factor).min(PATIENCE_MAX);
        self.failures = self.failures.saturating_add(1);
        self.due = now.saturating_add(patience);
    }

    /// A token names an unknown key: whether a fetch is under way, or is due now because of this.
    pub fn ask(&mut self, now: Duration) -> bool {
        if self.is_under_way || self.due <= now {
            return true;
        }
        if self.asked.is_some_and(|asked| now < asked + ASKED_EVERY) {
            return false;
        }
        self.asked = Some(now);
        self.due = now;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn fetches_when_keys_are_no_longer_fresh() {
        let mut schedule = Schedule::new(s(5));
        assert_eq!(schedule.wait(s(5)), s(0));
        schedule.start();
        schedule.succeed(s(6), s(600));
        assert_eq!(schedule.wait(s(6)), s(600));
        assert_eq!(schedule.wait(s(700)), s(0));
    }

    #[test]
    fn grows_patient_with_failures_and_forgets_them() {
        let mut schedule = Schedule::new(s(0));
        let mut waits = Vec::new();
        for _ in 0..9 {
            schedule.fail(s(100));
            waits.push(schedule.wait(s(100)).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        for _ in 0..100 {
            schedule.fail(s(100));
        }
        assert_eq!(schedule.wait(s(100)), s(60));
        schedule.succeed(s(100), s(600));
        schedule.fail(s(700));
        assert_eq!(schedule.wait(s(700)), s(1));
    }

    #[test]
    fn a_storm_of_unknown_keys_is_one_fetch_in_ten_seconds() {
        let mut schedule = Schedule::new(s(0));
        schedule.start();
        schedule.succeed(s(0), s(600));
        assert!(
            schedule.ask(s(1)),
            "keys may change right after they were fetched"
        );
        assert_eq!(schedule.wait(s(1)), s(0));
        assert!(schedule.ask(s(2)), "it is due");
        schedule.start();
        assert!(schedule.ask(s(3)), "it is under way");
        schedule.succeed(s(3), s(600));
        assert!(!(4..11).any(|now| schedule.ask(s(now))));
        assert_eq!(schedule.wait(s(10)), s(593));
        assert!(schedule.ask(s(11)));
        schedule.start();
        schedule.fail(s(11));
        assert!(
            !schedule.ask(s(11)),
            "patience holds for those who ask, too"
        );
    }
}
