use plugins::contract::units::Share;
use proptest::prelude::*;

use super::*;
use crate::observe::metrics::TargetMetrics;

const FIRST: Duration = Duration::from_secs(30);

fn config() -> OutlierConfig {
    OutlierConfig {
        consecutive_failures: 3,
        failure_rate: None,
        ejection_time: FIRST,
        ejected_max: Share::from_percent(50),
    }
}

fn outlier(targets: usize, config: OutlierConfig) -> Outlier {
    let target = |number| {
        let address = format!("127.0.0.1:{number}").into();
        Arc::new(Target::new(
            address,
            Arc::new(TargetMetrics::default()),
            Arc::default(),
            None,
        ))
    };
    Outlier::new("orders".into(), config, (1..=targets).map(target).collect())
}

fn fail(outlier: &Outlier, member: usize, times: u32, now: Instant) {
    for _ in 0..times {
        outlier.heard(&outlier.members.load()[member], true, now);
    }
}

fn is_out(outlier: &Outlier, member: usize) -> bool {
    outlier.members.load()[member].standing.is_ejected()
}

#[test]
fn ejects_after_failures_in_a_row_and_lets_back_in_time() {
    let now = Instant::now();
    let outlier = outlier(2, config());
    fail(&outlier, 0, 2, now);
    outlier.heard(&outlier.members.load()[0], false, now);
    fail(&outlier, 0, 2, now);
    assert!(!is_out(&outlier, 0), "a success starts the row anew");
    fail(&outlier, 0, 1, now);
    assert!(is_out(&outlier, 0));
    let target = &outlier.members.load()[0];
    let early = now + FIRST.mul_f64(0.99);
    assert_eq!(let_back("orders", target, early), Some(now + FIRST));
    assert_eq!(let_back("orders", target, now + FIRST), None);
    assert!(!is_out(&outlier, 0));
    assert_eq!(target.metrics.ejections.read(), 1);
    fail(&outlier, 0, 2, now + FIRST);
    assert!(!is_out(&outlier, 0), "what was before counts no more");
}

#[test]
fn no_more_than_the_share_is_out_and_never_the_only_one() {
    let now = Instant::now();
    for (targets, most) in [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)] {
        let outlier = outlier(targets, config());
        (0..targets).for_each(|member| fail(&outlier, member, 10, now));
        let out = (0..targets)
            .filter(|member| is_out(&outlier, *member))
            .count();
        assert_eq!(out, most, "of {targets}");
    }
    let all = OutlierConfig {
        ejected_max: Share::from_percent(100),
        ..config()
    };
    let outlier = outlier(1, all);
    fail(&outlier, 0, 3, now);
    assert!(is_out(&outlier, 0));
}

#[test]
fn time_grows_with_each_ejection_and_shrinks_in_good_standing() {
    let mut now = Instant::now();
    let outlier = outlier(2, config());
    for times in (1..=12).map(|times: u32| times.min(10)) {
        fail(&outlier, 0, 3, now);
        let back = let_back("orders", &outlier.members.load()[0], now).unwrap();
        assert_eq!(back - now, FIRST * times);
        now = back;
        let_back("orders", &outlier.members.load()[0], now);
    }
    now += FIRST * 4;
    fail(&outlier, 0, 3, now);
    let back = let_back("orders", &outlier.members.load()[0], now).unwrap();
    assert_eq!(back - now, FIRST * 7, "ten, less four, and this one");
}

#[test]
fn the_rate_needs_a_number_of_attempts() {
    let now = Instant::now();
    let by_rate = OutlierConfig {
        consecutive_failures: 1000,
        failure_rate: Some(Share::from_percent(30)),
        ..config()
    };
    let outlier = outlier(2, by_rate);
    for _ in 0..6 {
        fail(&outlier, 0, 1, now);
        (0..2).for_each(|_| outlier.heard(&outlier.members.load()[0], false, now));
    }
    fail(&outlier, 0, 1, now);
    assert!(!is_out(&outlier, 0), "19 attempts");
    outlier.heard(&outlier.members.load()[0], false, now);
    assert!(!is_out(&outlier, 0), "a success ejects nobody");
    fail(&outlier, 0, 1, now);
    assert!(is_out(&outlier, 0));
}

#[test]
fn forgetting_lets_everybody_back() {
    let now = Instant::now();
    let outlier = outlier(2, config());
    fail(&outlier, 0, 3, now);
    forget(&outlier.members.load()[0], now);
    assert!(!is_out(&outlier, 0));
}

#[test]
fn many_threads_do_not_exceed_the_share() {
    let now = Instant::now();
    let outlier = outlier(8, config());
    std::thread::scope(|scope| {
        for member in 0..8 {
            let outlier = &outlier;
            scope.spawn(move || fail(outlier, member, 100, now));
        }
    });
    assert_eq!((0..8).filter(|member| is_out(&outlier, *member)).count(), 4);
}

proptest! {
    /// One target of two, by failures in a row alone, against a model in plain numbers.
    #[test]
    fn agrees_with_a_naive_one(steps in prop::collection::vec((0u64..20, prop::bool::weighted(0.6)), 1..200)) {
        let origin = Instant::now();
        let outlier = outlier(2, config());
        let target = outlier.members.load()[0].clone();
        let (mut second, mut row, mut times, mut until, mut back) = (0u64, 0, 0u64, None::<u64>, 0u64);
        for (pause, failed) in steps {
            second += pause;
            let now = origin + Duration::from_secs(second);
            let_back("orders", &target, now);
            if until.is_some_and(|until| second >= until) {
                (until, row) = (None, 0);
            }
            prop_assert_eq!(target.standing.is_ejected(), until.is_some());
            outlier.heard(&target, failed, now);
            if until.is_some() {
                continue;
            }
            row = if failed { row + 1 } else { 0 };
            if row >= 3 {
                let good = if times == 0 { 0 } else { (second - back) / 30 };
                times = (times.saturating_sub(good) + 1).min(10);
                back = second + 30 * times;
                until = Some(back);
            }
            prop_assert_eq!(target.standing.is_ejected(), until.is_some());
        }
    }
}
