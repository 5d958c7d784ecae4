//! What picking a target costs: with every algorithm it should hardly depend on the number of targets.

#![expect(clippy::expect_used, reason = "a bench with a broken table must stop")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use divan::{AllocProfiler, Bencher, black_box};
use gateway::config::load_text;
use gateway::observe::metrics::Metrics;
use gateway::upstream::{Upstream, Wish};

/// Shows in the report what a pick allocates: nothing, but for the peer that Pingora wants boxed.
#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const SIZES: [u32; 3] = [3, 100, 1_000];
const ALGORITHMS: [&str; 5] = [
    "balance = \"round-robin\"",
    "balance = \"random\"",
    "balance = \"least-request\"",
    "balance = \"ewma\"",
    "balance = \"hash\"\nhash-on = \"client.ip\"",
];

fn upstream(keys: &str, size: u32) -> Upstream {
    let mut text =
        format!("[listener.a]\naddress = \"127.0.0.1:1\"\n[upstream.a]\n{keys}\ntargets = [");
    for n in 0..size {
        let (third, fourth) = (n / 250, n % 250 + 1);
        write!(text, "\"10.0.{third}.{fourth}:80\",").expect("a string takes all");
    }
    text += "]\n[route.a]\nmatch = \"/**\"\nupstream = \"a\"\n";
    let env = BTreeMap::<String, String>::new();
    let loaded = load_text("bench.toml", &text, &env).expect("the text above is right");
    let config = loaded.config.upstreams.first().expect("there is one");
    Upstream::compile(config, &Metrics::default(), None).expect("nothing is read")
}

/// All that a request pays: the choice, the counts, and Pingora's peer.
fn pick(bencher: Bencher<'_, '_>, keys: &str, size: u32) {
    let upstream = upstream(keys, size);
    let mut key = 0u64;
    let now = Instant::now();
    bencher.bench_local(|| {
        key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let wish = Wish {
            hash: Some(key),
            ..Wish::at(now)
        };
        drop(black_box(upstream.pick(black_box(&wish))));
    });
}

/// The choice and the counts alone.
fn choose(bencher: Bencher<'_, '_>, keys: &str, size: u32) {
    let upstream = upstream(keys, size);
    let mut key = 0u64;
    let now = Instant::now();
    bencher.bench_local(|| {
        key = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let wish = Wish {
            hash: Some(key),
            ..Wish::at(now)
        };
        drop(black_box(upstream.attempt(black_box(&wish))));
    });
}

macro_rules! benches {
    ($($name:ident: $algorithm:expr),* $(,)?) => {
        mod pick_with_peer {
            $(#[divan::bench(args = super::SIZES)]
            fn $name(bencher: divan::Bencher<'_, '_>, size: u32) {
                super::pick(bencher, super::ALGORITHMS[$algorithm], size);
            })*
        }
        mod choose_alone {
            $(#[divan::bench(args = super::SIZES)]
            fn $name(bencher: divan::Bencher<'_, '_>, size: u32) {
                super::choose(bencher, super::ALGORITHMS[$algorithm], size);
            })*
        }
    };
}

benches! { round_robin: 0, random: 1, least_request: 2, ewma: 3, hash: 4 }

fn main() {
    divan::main();
}
