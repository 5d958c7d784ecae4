//! The counts against simulators that know nothing of debts and logs, and the table against a plain map.

pub(crate) mod clock;
mod many;

use proptest::prelude::*;

use super::bucket::{Bucket, BucketRule};
use super::rate::Rate;
use super::sliding::{Sliding, SlidingRule};
use super::table::Count;

/// Pauses and costs of requests in the order of their arrival; most come in a burst, some after a long silence.
fn arrivals() -> impl Strategy<Value = Vec<(u64, u64)>> {
    let pause = prop_oneof![
        4 => 0_u64..3,
        4 => 0_u64..2_000_000,
        1 => 0_u64..200_000_000,
    ];
    prop::collection::vec(
        (pause, prop_oneof![8 => Just(1_u64), 2 => 0_u64..9]),
        1..120,
    )
}

fn rates() -> impl Strategy<Value = Rate> {
    let period = prop_oneof![Just("s"), Just("min"), Just("h"), Just("day")];
    let count = prop_oneof![1_u64..20, 1_u64..2_000, Just(86_400_u64)];
    (count, period).prop_map(|(count, period)| format!("{count}/{period}").parse().unwrap())
}

/// Moments at which requests arrive.
fn moments(arrivals: &[(u64, u64)]) -> impl Iterator<Item = (u64, u64)> {
    let mut now = 1_000_000;
    arrivals.iter().map(move |(pause, cost)| {
        now += pause;
        (now, *cost)
    })
}

/// The definition: since every earlier admission, cost is at most burst and what the rate gives in that time.
fn conforms(rate: Rate, burst: u64, admitted: &[(u64, u64)], now: u64, cost: u64) -> bool {
    let period = u128::from(rate.period().micros().unwrap());
    let fits = |since: u64, cost: u64| {
        let refill = u128::from(now - since) * u128::from(rate.count());
        u128::from(cost) * period <= u128::from(burst) * period + refill
    };
    let mut sum = cost;
    let mut all = fits(now, cost);
    for (at, cost) in admitted.iter().rev() {
        sum += cost;
        all &= fits(*at, sum);
    }
    all
}

proptest! {
    #[test]
    fn a_bucket_is_its_definition(rate in rates(), burst in 1_u64..40, arrivals in arrivals()) {
        let rule = BucketRule::new(rate, burst).unwrap();
        let mut bucket = Bucket::default();
        let mut admitted = Vec::new();
        for (now, cost) in moments(&arrivals) {
            let right = conforms(rate, burst, &admitted, now, cost);
            let before = bucket;
            let verdict = bucket.take(&rule, now, cost);
            prop_assert_eq!(verdict.admitted, right, "at {} of {:?}", now, admitted);
            prop_assert!(verdict.remaining <= burst);
            if right {
                admitted.push((now, cost));
                prop_assert_eq!(verdict.retry_after, Some(0));
            } else if let Some(wait) = verdict.retry_after {
                prop_assert!(before.clone().take(&rule, now + wait, cost).admitted, "too short a wait");
                prop_assert!(!before.clone().take(&rule, now + wait - 1, cost).admitted, "too long a wait");
            } else {
                prop_assert!(cost > burst);
            }
            let mut later = bucket;
            prop_assert!(later.take(&rule, now + verdict.reset, burst).admitted, "reset is too early");
            prop_assert!(bucket.idle_at(&rule) >= now || verdict.reset == 0);
        }
    }

    #[test]
    fn a_sliding_window_is_its_definition(rate in rates(), arrivals in arrivals()) {
        let Some(rule) = SlidingRule::new(rate) else { return Ok(()) };
        let mut sliding = Sliding::default();
        let mut admitted: Vec<(u64, u64)> = Vec::new();
        for (now, cost) in moments(&arrivals) {
            let window = admitted.iter().filter(|(at, _)| at + rule.window > now);
            let used: u64 = window.map(|(_, cost)| cost).sum();
            let before = sliding.clone();
            let verdict = sliding.take(&rule, now, cost);
            prop_assert_eq!(verdict.admitted, used + cost <= rule.count);
            if verdict.admitted {
                admitted.push((now, cost));
                prop_assert_eq!(verdict.remaining, rule.count - used - cost);
            } else if let Some(wait) = verdict.retry_after {
                prop_assert!(before.clone().take(&rule, now + wait, cost).admitted, "too short a wait");
                prop_assert!(!before.clone().take(&rule, now + wait - 1, cost).admitted, "too long a wait");
            }
        }
    }
}

#[test]
fn a_burst_passes_and_then_the_rate() {
    let rule = BucketRule::new("60/min".parse().unwrap(), 10).unwrap();
    let mut bucket = Bucket::default();
    let mut take = |now: u64| bucket.take(&rule, now, 1);
    for left in (0..10).rev() {
        assert_eq!(take(5).remaining, left);
    }
    let refused = take(5);
    assert_eq!(
        (refused.admitted, refused.retry_after),
        (false, Some(1_000_000))
    );
    assert!(take(1_000_005).admitted);
    assert!(!take(1_000_005).admitted);
}

#[test]
fn bounds_bursts() {
    let rate: Rate = "7/day".parse().unwrap();
    let most = BucketRule::burst_max(rate);
    assert!(BucketRule::new(rate, most).is_some());
    assert!(BucketRule::new(rate, most + 1).is_none());
    assert!(BucketRule::new(rate, u64::MAX).is_none());
    assert!(BucketRule::new(rate, 0).is_none());
    assert!(BucketRule::new("1/month".parse().unwrap(), 1).is_none());
    // What divides period and count is taken out first, so that round numbers may be large.
    assert!(BucketRule::new("1000000000/s".parse().unwrap(), 1_000_000_000).is_some());
    assert!(BucketRule::new("1000000/day".parse().unwrap(), 1_000_000).is_some());
}

#[test]
fn a_huge_cost_and_a_clock_at_its_end_are_no_trouble() {
    let rule = BucketRule::new("5/s".parse().unwrap(), 5).unwrap();
    let mut bucket = Bucket::default();
    assert_eq!(bucket.take(&rule, 0, u64::MAX).retry_after, None);
    assert!(bucket.take(&rule, u64::MAX >> 1, 5).admitted);
    let back = bucket.take(&rule, 3, 1);
    assert_eq!(
        (back.admitted, back.retry_after),
        (false, Some(200_000)),
        "time does not go back"
    );
    let rule = SlidingRule::new("5/s".parse().unwrap()).unwrap();
    let mut sliding = Sliding::default();
    assert_eq!(sliding.take(&rule, 0, u64::MAX).retry_after, None);
    assert!(sliding.take(&rule, u64::MAX >> 1, 5).admitted);
    assert!(!sliding.take(&rule, 3, 1).admitted);
}

#[test]
fn a_sliding_window_has_a_highest_count() {
    assert!(SlidingRule::new("10000/day".parse().unwrap()).is_some());
    assert!(SlidingRule::new("10001/day".parse().unwrap()).is_none());
}
