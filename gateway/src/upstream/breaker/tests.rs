use plugins::contract::units::Share;
use proptest::prelude::*;

use super::*;

const OPEN_FOR: Duration = Duration::from_secs(5);

fn breaker(now: Instant) -> Arc<Breaker> {
    let config = BreakerConfig {
        failure_rate: Share::from_percent(50),
        requests_min: 4,
        window: Duration::from_secs(10),
        open_for: OPEN_FOR,
    };
    Arc::new(Breaker::new("orders".into(), config, Arc::default(), now))
}

fn attempt(breaker: &Arc<Breaker>, failed: bool, now: Instant) {
    breaker.admit(now).unwrap().spend(failed, now);
}

fn opened(now: Instant) -> Arc<Breaker> {
    let breaker = breaker(now);
    (0..4).for_each(|_| attempt(&breaker, true, now));
    breaker
}

#[test]
fn opens_at_the_rate_and_not_below_the_least_number() {
    let now = Instant::now();
    let breaker = breaker(now);
    for failed in [true, true, true] {
        attempt(&breaker, failed, now);
    }
    assert_eq!(breaker.state(now), State::Closed);
    attempt(&breaker, true, now);
    assert_eq!(breaker.state(now), State::Open);
    assert_eq!(breaker.admit(now).unwrap_err(), OPEN_FOR);
    assert_eq!(
        (
            breaker.metrics.opened.read(),
            breaker.metrics.refused.read()
        ),
        (1, 1)
    );
}

#[test]
fn stays_closed_below_the_rate() {
    let now = Instant::now();
    let breaker = breaker(now);
    for _ in 0..100 {
        for failed in [false, false, false, true] {
            attempt(&breaker, failed, now);
        }
    }
    assert_eq!(breaker.state(now), State::Closed);
}

#[test]
fn forgets_failures_that_are_long_past() {
    let start = Instant::now();
    let breaker = breaker(start);
    (0..3).for_each(|_| attempt(&breaker, true, start));
    attempt(&breaker, true, start + Duration::from_secs(11));
    assert_eq!(
        breaker.state(start + Duration::from_secs(11)),
        State::Closed
    );
}

#[test]
fn half_open_lets_a_few_through_and_closes_after_they_succeed() {
    let start = Instant::now();
    let breaker = opened(start);
    let now = start + OPEN_FOR;
    assert_eq!(breaker.state(now), State::HalfOpen);
    let mut trials: Vec<Permit> = (0..TRIALS).map(|_| breaker.admit(now).unwrap()).collect();
    assert_eq!(breaker.admit(now).unwrap_err(), TRIAL_WAIT);
    for trial in &mut trials {
        trial.spend(false, now);
    }
    assert_eq!(breaker.state(now), State::Closed);
    (0..3).for_each(|_| attempt(&breaker, true, now));
    assert_eq!(
        breaker.state(now),
        State::Closed,
        "it starts with an empty window"
    );
}

#[test]
fn a_failed_trial_opens_again_and_the_others_have_no_vote() {
    let start = Instant::now();
    let breaker = opened(start);
    let now = start + OPEN_FOR;
    let mut trials: Vec<Permit> = (0..TRIALS).map(|_| breaker.admit(now).unwrap()).collect();
    trials[0].spend(true, now);
    assert_eq!(breaker.admit(now).unwrap_err(), OPEN_FOR);
    drop(trials);
    let later = now + OPEN_FOR;
    let trials: Vec<_> = (0..TRIALS).map(|_| breaker.admit(later).unwrap()).collect();
    assert!(breaker.admit(later).is_err());
    drop(trials);
}

#[test]
fn a_trial_without_a_verdict_gives_its_place_back() {
    let start = Instant::now();
    let breaker = opened(start);
    let now = start + OPEN_FOR;
    for _ in 0..10 {
        drop(breaker.admit(now).unwrap());
    }
    assert_eq!(breaker.state(now), State::HalfOpen);
}

#[test]
fn an_attempt_from_before_the_opening_has_no_vote_afterwards() {
    let start = Instant::now();
    let breaker = breaker(start);
    let mut slow: Vec<Permit> = (0..20).map(|_| breaker.admit(start).unwrap()).collect();
    (0..4).for_each(|_| attempt(&breaker, true, start));
    let now = start + OPEN_FOR;
    (0..TRIALS).for_each(|_| attempt(&breaker, false, now));
    for permit in &mut slow {
        permit.spend(true, now);
    }
    assert_eq!(breaker.state(now), State::Closed);
}

#[test]
fn counts_of_many_threads_open_it_once() {
    let now = Instant::now();
    let breaker = breaker(now);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    if let Ok(mut permit) = breaker.admit(now) {
                        permit.spend(true, now);
                    }
                }
            });
        }
    });
    assert_eq!(breaker.metrics.opened.read(), 1);
}

/// The same rules with a list of everything that happened, one attempt at a time.
struct Naive {
    events: Vec<(u64, bool)>,
    open_until: Option<u64>,
    passed: u32,
}

impl Naive {
    fn admits(&self, millis: u64) -> bool {
        self.open_until.is_none_or(|until| millis >= until)
    }

    fn ends(&mut self, failed: bool, millis: u64) {
        if self.open_until.is_some() {
            self.passed += 1;
            if failed {
                self.open(millis);
            } else if self.passed == TRIALS {
                *self = Self {
                    events: Vec::new(),
                    open_until: None,
                    passed: 0,
                };
            }
            return;
        }
        self.events.push((millis / 1000, failed));
        let recent = self
            .events
            .iter()
            .filter(|(second, _)| second + 10 > millis / 1000);
        let all = recent.clone().count();
        let bad = recent.filter(|(_, failed)| *failed).count();
        if failed && all >= 4 && bad * 2 >= all {
            self.open(millis);
        }
    }

    fn open(&mut self, millis: u64) {
        self.open_until = Some(millis + 5_000);
        self.passed = 0;
    }
}

proptest! {
    #[test]
    fn agrees_with_a_naive_one(steps in prop::collection::vec((0u64..2_000, prop::bool::weighted(0.4)), 1..300)) {
        let origin = Instant::now();
        let breaker = breaker(origin);
        let mut naive = Naive { events: Vec::new(), open_until: None, passed: 0 };
        let mut millis = 0;
        for (pause, failed) in steps {
            millis += pause;
            let now = origin + Duration::from_millis(millis);
            let permit = breaker.admit(now);
            prop_assert_eq!(permit.is_ok(), naive.admits(millis));
            if let Ok(mut permit) = permit {
                permit.spend(failed, now);
                naive.ends(failed, millis);
            }
        }
    }
}
