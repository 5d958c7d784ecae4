//! Many keys and many threads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use crate::limit::bucket::{Bucket, BucketRule};
use crate::limit::key::{Key, KeyBuilder};
use crate::limit::sliding::{Sliding, SlidingRule};
use crate::limit::table::{Count, KEYS_MAX, Table};

fn key(number: u64) -> Key {
    let mut builder = KeyBuilder::default();
    builder.text(&number.to_string());
    builder.finish()
}

fn bucket(rate: &str, burst: u64) -> BucketRule {
    BucketRule::new(rate.parse().unwrap(), burst).unwrap()
}

proptest! {
    /// As long as the cap is not reached, a table is a map: nobody is joined, lost or forgotten too early.
    #[test]
    fn a_table_is_a_map(steps in prop::collection::vec((0_u64..400, 0_u64..300_000), 1..1_000)) {
        let table: Table<Bucket> = Table::new(bucket("60/min", 3));
        let mut map: HashMap<u64, Bucket> = HashMap::new();
        let mut now = 0;
        for (number, pause) in steps {
            now += pause / 100;
            let right = map.entry(number).or_default().take(table.rule(), now, 1);
            prop_assert_eq!(table.take(&key(number), now, 1), right);
        }
        prop_assert!(table.len() <= map.len());
    }
}

#[test]
fn beyond_the_cap_newcomers_are_still_counted() {
    let table: Table<Bucket> = Table::with_limits(bucket("1/h", 2), 640, 0);
    for number in 0..20_000 {
        let first = table.take(&key(number), number, 1);
        let second = table.take(&key(number), number, 1);
        let third = table.take(&key(number), number, 1);
        assert_eq!(
            (first.remaining, second.remaining, third.admitted),
            (1, 0, false)
        );
    }
    assert!(table.len() <= 640, "{}", table.len());
}

#[test]
fn who_is_idle_goes_first() {
    let table: Table<Bucket> = Table::with_limits(bucket("1/s", 100), 64 * 16, 0);
    // One key owes 100 s, the others one second each.
    table.take(&key(0), 0, 100);
    for number in 1..30_000 {
        table.take(&key(number), number * 100, 1);
    }
    assert!(
        !table.take(&key(0), 10_000_000, 100).admitted,
        "still known after 30,000 others"
    );
}

#[test]
fn ten_million_keys_need_no_more_memory_than_a_million() {
    // A hundredth of both: what holds is the bound, whatever the numbers.
    let cap = KEYS_MAX / 100;
    let table: Table<Bucket> = Table::with_limits(bucket("100/min", 100), cap, 0);
    for number in 0..100_000 {
        table.take(&key(number), 0, 1);
    }
    // 64 bytes a key, a quarter more places than keys, and for each shard at most two more.
    assert!(
        table.bytes() <= (cap + 64) * 80 + 64 * 128,
        "{}",
        table.bytes()
    );
    assert!(table.len() <= cap + 64);
}

#[test]
fn logs_stay_within_their_budget() {
    let rule = SlidingRule::new("1000/h".parse().unwrap()).unwrap();
    let heap = 64 * (16 << 10);
    let table: Table<Sliding> = Table::with_limits(rule, KEYS_MAX, heap);
    for now in 0..200_000 {
        table.take(&key(now % 2_000), now, 1);
    }
    let places = table.len() * 2 * 128 + 64 * 1024;
    assert!(table.bytes() <= heap + places, "{}", table.bytes());
}

#[test]
fn idle_keys_make_room_before_a_table_grows() {
    let table: Table<Bucket> = Table::new(bucket("1000/s", 1_000));
    for number in 0..50_000 {
        table.take(&key(number), number * 1_000, 1);
    }
    assert!(table.len() < 64 * 16, "{}", table.len());
}

#[test]
fn threads_never_get_more_than_burst_and_rate() {
    let rule = bucket("1000/s", 50);
    let table: Table<Bucket> = Table::new(rule);
    let clock = AtomicU64::new(0);
    let admitted = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let now = clock.fetch_add(7, Ordering::Relaxed);
                    let verdict = table.take(&key(1), now, 1);
                    admitted.fetch_add(u64::from(verdict.admitted), Ordering::Relaxed);
                }
            });
        }
    });
    let elapsed = clock.load(Ordering::Relaxed);
    let most = 50 + elapsed / 1_000;
    let admitted = admitted.load(Ordering::Relaxed);
    assert!(admitted <= most, "{admitted} of {most}");
    assert!(
        admitted >= most - 1,
        "{admitted} of {most}: somebody was refused for nothing"
    );
}
