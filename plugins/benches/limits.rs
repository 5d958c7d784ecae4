//! What counting costs: time and allocations for each decision (the goal is below 150 ns and none for a known key), and
//! memory for many keys.
//!
//! The figures of memory are printed first and are held to the bound that `table` states; the times follow.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench with a broken table must stop, and its report goes to the terminal"
)]

use std::time::Instant;

use divan::{AllocProfiler, Bencher, black_box};
use plugins::limit::bucket::{Bucket, BucketRule};
use plugins::limit::key::{Key, KeyBuilder};
use plugins::limit::sliding::{Sliding, SlidingRule};
use plugins::limit::table::{Count, HEAP_MAX, KEYS_MAX, Table};

/// Shows in the report what a decision allocates.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// Bytes that a full table of buckets needs for each of its keys: a place has 64, and a fifth of them is free.
const BYTES_A_KEY: usize = 80;
/// What the 64 shards may have beyond.
const BYTES_BESIDE: usize = 64 << 10;

fn key(number: usize) -> Key {
    let mut builder = KeyBuilder::default();
    builder.text("keys/0:/").text(&number.to_string());
    builder.finish()
}

fn bucket(rate: &str, burst: u64) -> BucketRule {
    let rate = rate.parse().expect("a rate");
    BucketRule::new(rate, burst).expect("a rule")
}

fn sliding(rate: &str) -> SlidingRule {
    SlidingRule::new(rate.parse().expect("a rate")).expect("a rule")
}

/// One decision after the other about so many known keys, a millisecond apart.
fn decisions<C: Count<Now = u64>>(bencher: Bencher<'_, '_>, rule: C::Rule, keys: usize) {
    let table: Table<C> = Table::new(rule);
    let known: Vec<Key> = (0..keys).map(key).collect();
    let mut now = 0;
    // Until every log has grown to its length.
    for _ in 0..3_000_000 / keys.max(1_000) {
        for key in &known {
            now += 1_000;
            table.take(key, now, 1);
        }
    }
    // In an order that no cache foresees; but the key itself is at hand, as it is for a request that has just made it.
    let mut known = known;
    shuffle(&mut known);
    let mut next = known.iter().cycle();
    bencher.bench_local(|| {
        now += 1_000;
        next.next()
            .map(|key| table.take(black_box(key), black_box(now), 1))
    });
}

/// Sattolo's way: one cycle through all of them.
fn shuffle<T>(keys: &mut [T]) {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for last in (1..keys.len()).rev() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let other = usize::try_from(random).unwrap_or(0) % last;
        keys.swap(other, last);
    }
}

/// Keys: one, those that fit a cache of the processor, and as many as a table holds.
const KEYS: [usize; 3] = [1, 1_000, 900_000];

#[divan::bench(args = KEYS, sample_size = 10_000)]
fn bucket_known_key(bencher: Bencher<'_, '_>, keys: usize) {
    // Nobody is idle again before the next turn, and nobody is refused.
    decisions::<Bucket>(bencher, bucket("1/h", 2_500_000), keys);
}

#[divan::bench(args = KEYS, sample_size = 10_000)]
fn bucket_refused_key(bencher: Bencher<'_, '_>, keys: usize) {
    decisions::<Bucket>(bencher, bucket("1/day", 1), keys);
}

#[divan::bench(args = KEYS, sample_size = 10_000)]
fn sliding_known_key(bencher: Bencher<'_, '_>, keys: usize) {
    decisions::<Sliding>(bencher, sliding("100/s"), keys);
}

/// What the memory costs that a decision among a million keys cannot do without: one line of a full table, somewhere,
/// each found by the one before.
#[divan::bench(sample_size = 10_000)]
fn memory_alone(bencher: Bencher<'_, '_>) {
    let places = KEYS_MAX / 4 * 5;
    let mut order: Vec<usize> = (0..places).collect();
    shuffle(&mut order);
    let mut table = vec![[0_usize; 8]; places];
    for (from, to) in order.iter().zip(order.iter().cycle().skip(1)) {
        if let Some(place) = table.get_mut(*from) {
            *place = [*to; 8];
        }
    }
    let mut at = 0;
    bencher.bench_local(|| {
        at = table.get(black_box(at)).map_or(0, |place| place[0]);
        at
    });
}

/// A key that nobody has seen, in a full table of which nobody is idle: somebody has to go.
#[divan::bench]
fn bucket_newcomer_beyond_the_cap(bencher: Bencher<'_, '_>) {
    let table: Table<Bucket> = Table::new(bucket("1/day", 2));
    let mut number = 0;
    while number < KEYS_MAX + KEYS_MAX / 4 {
        table.take(&key(number), 0, 1);
        number += 1;
    }
    bencher.bench_local(|| {
        number += 1;
        table.take(&key(black_box(number)), 0, 1)
    });
}

/// What the key itself costs, which every decision pays as well.
#[divan::bench(sample_size = 10_000)]
fn making_a_key(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| {
        let mut builder = KeyBuilder::default();
        builder.text(black_box("keys/0:/an-identity-of-usual-length"));
        builder.finish()
    });
}

fn told<C: Count>(what: &str, table: &Table<C>, began: Instant) {
    let (keys, bytes) = (table.len(), table.bytes());
    let each = bytes / keys.max(1);
    let took = began.elapsed();
    println!("{what}: {keys} keys, {bytes} bytes, {each} a key, in {took:.1?}");
}

/// The bound of memory, whatever comes.
fn memory() {
    let bound = KEYS_MAX * BYTES_A_KEY + BYTES_BESIDE;
    let began = Instant::now();
    let table: Table<Bucket> = Table::new(bucket("100/min", 100));
    for number in 0..1_000_000 {
        table.take(&key(number), 0, 1);
    }
    told("1,000,000 keys, buckets", &table, began);
    assert!(table.bytes() <= bound, "more than {bound}");
    for number in 1_000_000..10_000_000 {
        table.take(&key(number), 0, 1);
    }
    told("10,000,000 keys, buckets", &table, began);
    assert!(table.bytes() <= bound, "more than {bound}");

    let began = Instant::now();
    let table: Table<Bucket> = Table::new(bucket("1000/s", 1_000));
    for number in 0..10_000_000_usize {
        // Each is idle again after a millisecond.
        table.take(&key(number), number as u64 * 1_000, 1);
    }
    told("10,000,000 keys, each soon idle", &table, began);
    assert!(table.len() < 64 * 16, "idle keys stay");

    let began = Instant::now();
    let table: Table<Sliding> = Table::new(sliding("100/h"));
    for number in 0..10_000_000 {
        table.take(&key(number % 2_000_000), 0, 1);
    }
    told("2,000,000 keys, logs of up to 5", &table, began);
    for number in 0..10_000_000 {
        table.take(&key(number % 500_000), 0, 1);
    }
    told("500,000 of them, logs of up to 25", &table, began);
    let places = (KEYS_MAX + 64) * 5 / 4 * 128 + BYTES_BESIDE;
    assert!(
        table.bytes() <= HEAP_MAX + places,
        "logs beyond their budget"
    );
}

fn main() {
    // `--list`, and a filter: only the times are asked for.
    if std::env::args()
        .skip(1)
        .all(|argument| argument == "--bench")
    {
        memory();
    }
    divan::main();
}
