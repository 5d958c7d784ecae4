use std::collections::BTreeMap;
use std::time::Duration;

use plugins::contract::value::Value;
use proptest::prelude::*;

use super::*;
use crate::config::model::{StickyCookie, UpstreamConfig};
use crate::upstream::tests::{compile, compile_after, config, target};
use crate::upstream::{Outcome, Pick, Upstream};

const ALL: [Balance; 5] = [
    Balance::RoundRobin,
    Balance::Random,
    Balance::LeastRequest,
    Balance::Ewma,
    Balance::Hash(Value::ClientIp),
];

fn table(balance: Balance, weights: &[u32]) -> UpstreamConfig {
    let address = |n: usize| format!("127.0.0.1:{}", n + 1);
    let targets = weights.iter().enumerate();
    let targets = targets.map(|(n, weight)| target(&address(n), *weight));
    UpstreamConfig {
        balance,
        ..config(targets.collect())
    }
}

fn even(balance: Balance, count: usize) -> UpstreamConfig {
    table(balance, &vec![1; count])
}

fn put_out(upstream: &Upstream, index: usize) {
    upstream.targets()[index]
        .standing
        .set_down(Some("test".into()), Instant::now());
}

fn let_back(upstream: &Upstream, index: usize) {
    upstream.targets()[index]
        .standing
        .set_down(None, Instant::now());
}

fn pick(upstream: &Upstream) -> Pick {
    upstream.pick(&Wish::at(Instant::now())).unwrap()
}

fn index_of(upstream: &Upstream, pick: &Pick) -> usize {
    let is = |target: &Arc<Target>| Arc::ptr_eq(target, pick.attempt.target());
    upstream.targets().iter().position(is).unwrap()
}

/// How often each target is picked when nothing stays in flight.
fn shares(upstream: &Upstream, picks: u32, now: Instant) -> Vec<f64> {
    let mut got = vec![0.0; upstream.targets().len()];
    for _ in 0..picks {
        let pick = upstream.pick(&Wish::at(now)).unwrap();
        got[index_of(upstream, &pick)] += 1.0 / f64::from(picks);
    }
    got
}

fn on(upstream: &Upstream, key: u64) -> usize {
    let wish = Wish {
        hash: Some(hash::mix(key)),
        ..Wish::at(Instant::now())
    };
    index_of(upstream, &upstream.pick(&wish).unwrap())
}

#[test]
fn shares_follow_the_weights() {
    for balance in ALL {
        let upstream = compile(&table(balance.clone(), &[6, 3, 1]));
        let got = shares(&upstream, 20_000, Instant::now());
        for (got, due) in got.iter().zip([0.6, 0.3, 0.1]) {
            assert!((got - due).abs() < 0.06, "{balance:?}: {got} for {due}");
        }
    }
}

#[test]
fn those_who_are_left_share_by_weight_and_nobody_gets_all() {
    for balance in [Balance::RoundRobin, Balance::Random, Balance::LeastRequest] {
        let upstream = compile(&table(balance.clone(), &[2, 5, 1, 1]));
        put_out(&upstream, 1);
        let got = shares(&upstream, 10_000, Instant::now());
        for (got, due) in got.iter().zip([0.5, 0.0, 0.25, 0.25]) {
            assert!((got - due).abs() < 0.04, "{balance:?}: {got} for {due}");
        }
    }
}

#[test]
fn the_one_of_many_that_is_left_is_found() {
    for balance in ALL {
        let upstream = compile(&even(balance, 300));
        (0..300)
            .filter(|n| *n != 217)
            .for_each(|n| put_out(&upstream, n));
        assert_eq!(index_of(&upstream, &pick(&upstream)), 217);
    }
}

#[test]
fn a_slow_answer_sends_requests_elsewhere() {
    let upstream = compile(&even(Balance::Ewma, 2));
    for _ in 0..50 {
        let mut pick = pick(&upstream);
        let slow = index_of(&upstream, &pick) == 0;
        let took = Duration::from_millis(if slow { 200 } else { 5 });
        let answered = Outcome::Answered(http::StatusCode::OK);
        pick.attempt.report(answered, took);
    }
    let got = shares(&upstream, 1_000, Instant::now());
    assert!(got[1] > 0.99, "{got:?}");
    // A minute later nobody remembers much.
    let later = Instant::now() + Duration::from_mins(2);
    assert!(
        upstream.targets()[0]
            .latency
            .time(clock::millis(later))
            .unwrap()
            < Duration::from_micros(10)
    );
}

#[test]
fn who_fails_at_once_does_not_look_quick() {
    let upstream = compile(&even(Balance::Ewma, 2));
    for _ in 0..50 {
        let mut pick = pick(&upstream);
        let (outcome, took) = match index_of(&upstream, &pick) {
            0 => (Outcome::ConnectFailed, 0),
            _ => (Outcome::Answered(http::StatusCode::OK), 20),
        };
        pick.attempt.report(outcome, Duration::from_millis(took));
    }
    let got = shares(&upstream, 1_000, Instant::now());
    assert!(got[1] > 0.99, "{got:?}");
}

#[test]
fn a_key_stays_and_only_the_keys_of_who_left_move() {
    let upstream = compile(&even(Balance::Hash(Value::ClientIp), 5));
    let before: Vec<usize> = (0..500).map(|key| on(&upstream, key)).collect();
    put_out(&upstream, 2);
    for (key, before) in (0..).zip(&before) {
        let after = on(&upstream, key);
        assert!(if *before == 2 {
            after != 2
        } else {
            after == *before
        });
    }
    let_back(&upstream, 2);
    let again: Vec<usize> = (0..500).map(|key| on(&upstream, key)).collect();
    assert_eq!(before, again);
}

#[test]
fn backups_serve_only_while_no_primary_can() {
    for balance in ALL {
        let mut config = even(balance, 3);
        config.targets[2].backup = true;
        let upstream = compile(&config);
        assert!(shares(&upstream, 200, Instant::now())[2] == 0.0);
        put_out(&upstream, 0);
        assert!(shares(&upstream, 200, Instant::now())[2] == 0.0);
        put_out(&upstream, 1);
        assert_eq!(index_of(&upstream, &pick(&upstream)), 2);
        let_back(&upstream, 0);
        assert_eq!(index_of(&upstream, &pick(&upstream)), 0);
    }
}

#[test]
fn a_second_attempt_goes_to_a_backup_before_it_goes_back() {
    let mut config = even(Balance::RoundRobin, 2);
    config.targets[1].backup = true;
    let upstream = compile(&config);
    let tried = [upstream.targets()[0].clone()];
    let wish = Wish {
        tried: &tried,
        ..Wish::at(Instant::now())
    };
    assert_eq!(index_of(&upstream, &upstream.pick(&wish).unwrap()), 1);
}

#[test]
fn nobody_in_good_standing_is_nobody_unless_there_is_a_threshold() {
    for balance in ALL {
        let mut config = even(balance, 3);
        let strict = compile(&config);
        config.panic_threshold = 0.5;
        let panicking = compile(&config);
        for index in 0..3 {
            put_out(&strict, index);
            put_out(&panicking, index);
        }
        assert_eq!(
            strict.pick(&Wish::at(Instant::now())).err(),
            Some(Unavailable::NoTarget)
        );
        let got = shares(&panicking, 300, Instant::now());
        assert!(got.iter().all(|share| *share > 0.1), "{got:?}");
    }
}

#[test]
fn below_the_threshold_all_are_used_again() {
    let mut config = even(Balance::RoundRobin, 4);
    config.panic_threshold = 0.5;
    let upstream = compile(&config);
    put_out(&upstream, 0);
    put_out(&upstream, 1);
    let half = shares(&upstream, 100, Instant::now());
    assert!(half[0] + half[1] == 0.0, "half is enough: {half:?}");
    put_out(&upstream, 2);
    // Later than a count of those in good standing is believed.
    let later = Instant::now() + Duration::from_secs(1);
    let got = shares(&upstream, 100, later);
    assert!(got.iter().all(|share| *share > 0.2), "{got:?}");
}

#[test]
fn a_new_target_starts_slowly() {
    for balance in [
        Balance::RoundRobin,
        Balance::Random,
        Balance::LeastRequest,
        Balance::Hash(Value::ClientIp),
    ] {
        let mut config = even(balance, 3);
        config.slow_start = Some(Duration::from_secs(100));
        let whole = config.targets.clone();
        config.targets.pop();
        let before = compile(&config);
        let start = shares(&before, 3_000, Instant::now());
        assert!(
            start.iter().all(|share| *share > 0.4),
            "at the start nobody is new"
        );
        config.targets = whole;
        let upstream = compile_after(&config, Some(&before));
        let now = Instant::now();
        let share = |seconds| shares(&upstream, 6_000, now + Duration::from_secs(seconds))[2];
        assert!((0.01..0.09).contains(&share(0)), "{:?}", config.balance);
        assert!((0.13..0.29).contains(&share(50)), "{:?}", config.balance);
        assert!((0.26..0.41).contains(&share(100)), "{:?}", config.balance);
    }
}

#[test]
fn the_only_target_serves_even_while_it_starts() {
    let mut config = even(Balance::RoundRobin, 2);
    config.slow_start = Some(Duration::from_secs(100));
    let last = config.targets.pop().unwrap();
    let before = compile(&config);
    config.targets = vec![last];
    let upstream = compile_after(&config, Some(&before));
    assert!((0..100).all(|_| upstream.pick(&Wish::at(Instant::now())).is_ok()));
}

fn sticky(count: usize) -> Upstream {
    compile(&UpstreamConfig {
        sticky_cookie: Some(StickyCookie {
            name: "lb".into(),
            key: None,
            max_age: None,
            span: 0..0,
        }),
        ..even(Balance::RoundRobin, count)
    })
}

#[test]
fn a_cookie_keeps_a_client_at_its_target() {
    let upstream = sticky(3);
    let first = pick(&upstream);
    let cookie = first.attempt.new_cookie().unwrap();
    assert!(!cookie.contains("127"), "{cookie}");
    let wish = Wish {
        sticky: cookie::read(&cookie),
        ..Wish::at(Instant::now())
    };
    for _ in 0..10 {
        let pick = upstream.pick(&wish).unwrap();
        assert_eq!(index_of(&upstream, &pick), index_of(&upstream, &first));
        assert_eq!(pick.attempt.new_cookie(), None);
    }
    put_out(&upstream, index_of(&upstream, &first));
    let second = upstream.pick(&wish).unwrap();
    assert_ne!(index_of(&upstream, &second), index_of(&upstream, &first));
    assert!(second.attempt.new_cookie().is_some_and(|new| new != cookie));
}

#[test]
fn a_cookie_of_somebody_unknown_is_replaced() {
    let wish = Wish {
        sticky: Some(7),
        ..Wish::at(Instant::now())
    };
    assert!(
        sticky(2)
            .pick(&wish)
            .unwrap()
            .attempt
            .new_cookie()
            .is_some()
    );
}

proptest! {
    #[test]
    fn who_is_left_out_is_never_picked_while_others_are_there(
        which in 0usize..5,
        out in prop::collection::vec(any::<bool>(), 2..12),
        tried in prop::collection::vec(any::<bool>(), 12),
        key in any::<u64>(),
    ) {
        let upstream = compile(&even(ALL[which].clone(), out.len()));
        (0..out.len()).filter(|n| out[*n]).for_each(|n| put_out(&upstream, n));
        let indices = || (0..out.len()).filter(|n| !out[*n]);
        let tried: Vec<_> = indices().filter(|n| tried[*n]).map(|n| upstream.targets()[n].clone()).collect();
        let wish = Wish { hash: Some(key), tried: &tried, ..Wish::at(Instant::now()) };
        for _ in 0..20 {
            match upstream.pick(&wish) {
                Err(_) => prop_assert!(indices().next().is_none()),
                Ok(pick) => {
                    let index = index_of(&upstream, &pick);
                    prop_assert!(!out[index]);
                    let again = tried.iter().any(|tried| Arc::ptr_eq(tried, pick.attempt.target()));
                    prop_assert!(!again || tried.len() == indices().count());
                }
            }
        }
    }

    #[test]
    fn the_busiest_is_never_picked_by_least_request(
        weights in prop::collection::vec(1u32..9, 2..8),
        busiest in 0usize..8,
    ) {
        let busiest = busiest % weights.len();
        let upstream = compile(&table(Balance::LeastRequest, &weights));
        let held: Vec<_> = (0..20)
            .map(|_| crate::upstream::Attempt::begin(upstream.targets()[busiest].clone(), false, None, None, None))
            .collect();
        for _ in 0..50 {
            prop_assert_ne!(index_of(&upstream, &pick(&upstream)), busiest);
        }
        drop(held);
    }

    #[test]
    fn load_stays_bounded(weights in prop::collection::vec(1u32..5, 2..8), key in any::<u64>(), same in any::<bool>()) {
        let upstream = compile(&table(Balance::Hash(Value::ClientIp), &weights));
        let whole: u32 = weights.iter().sum();
        let mut held = Vec::new();
        let mut now: BTreeMap<usize, u32> = BTreeMap::new();
        for turn in 0..100u32 {
            let key = if same { key } else { hash::mix(key ^ u64::from(turn)) };
            let wish = Wish { hash: Some(key), ..Wish::at(Instant::now()) };
            let pick = upstream.pick(&wish).unwrap();
            let index = index_of(&upstream, &pick);
            let count = now.entry(index).or_default();
            *count += 1;
            let due = f64::from(turn + 1) * f64::from(weights[index]) / f64::from(whole);
            prop_assert!(f64::from(*count) <= (BOUND * due).ceil(), "{count} for {due}");
            held.push(pick);
        }
    }
}
