//! What a million consumers cost: the time to load them, the memory that they take, a look-up by key.

#![expect(clippy::expect_used, reason = "a bench with a broken file must stop")]
#![expect(clippy::print_stdout, reason = "what was measured is told")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use std::{env, fs, process};

use aws_lc_rs::digest::{SHA256, digest};
use divan::{Bencher, black_box};
use gateway::config::load_text;
use plugins::contract::consumers::{ConsumerConfig, Directory, KeyDigest};
use plugins::contract::identity::Consumer;

/// The daemon's own: memory is what this allocator takes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [usize; 3] = [1_000, 100_000, 1_000_000];
const MILLION: usize = 1_000_000;

fn key(index: usize) -> KeyDigest {
    let digest = digest(&SHA256, format!("key-{index}").as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// A file of consumers, gone with this value.
struct File(PathBuf);

impl File {
    fn of(consumers: usize) -> Self {
        let mut text = String::new();
        for index in 0..consumers {
            let mut hex = String::with_capacity(64);
            for byte in key(index) {
                write!(hex, "{byte:02x}").expect("a string takes all");
            }
            writeln!(
                text,
                "[consumer.c{index}]\nplan = \"free\"\ngroups = [\"staff\"]\napi-keys = [\"sha256:{hex}\"]\n"
            )
            .expect("a string takes all");
        }
        let path = env::temp_dir().join(format!("consumers-{consumers}-{}.toml", process::id()));
        fs::write(&path, text).expect("the directory for temporary files takes it");
        Self(path)
    }

    /// All that a load of a configuration does: read, parse, validate, make the directory.
    fn load(&self) -> Arc<Directory> {
        let text = format!(
            "consumers = \"file:{}\"\n[listener.a]\naddress = \"127.0.0.1:1\"\n[auth.keys]\napi-key = {{}}\n\
             [route.a]\nmatch = \"/**\"\nauth = \"keys\"\nrespond = {{ status = 204 }}\n",
            self.0.display()
        );
        let env = BTreeMap::<String, String>::new();
        let loaded = load_text("bench.toml", &text, &env).expect("the text above is right");
        loaded.config.consumers
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // What cannot be removed is left to the system.
        drop(fs::remove_file(&self.0));
    }
}

fn consumer(index: usize) -> ConsumerConfig {
    ConsumerConfig {
        consumer: Consumer {
            name: format!("c{index}").into(),
            plan: Some("free".into()),
            groups: vec!["staff".into()],
            ..Consumer::default()
        },
        api_keys: vec![key(index)],
        ..ConsumerConfig::default()
    }
}

fn directory(consumers: usize) -> Directory {
    let mut directory = Directory::with_capacity(consumers);
    for index in 0..consumers {
        directory.add(consumer(index)).expect("no two are alike");
    }
    directory
}

/// The directory alone, of consumers that were read: what is left of a load is reading.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn make_the_directory(bencher: Bencher<'_, '_>, size: usize) {
    let read = || (0..size).map(consumer).collect::<Vec<_>>();
    bencher.with_inputs(read).bench_local_values(|read| {
        let mut directory = Directory::with_capacity(read.len());
        read.into_iter()
            .all(|consumer| directory.add(consumer).is_ok())
            .then_some(directory)
    });
}

/// A whole load, with a file that is in the system's cache.
#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn load(bencher: Bencher<'_, '_>, size: usize) {
    let file = File::of(size);
    bencher.bench_local(|| file.load());
}

/// A key's SHA-256 is known; keys in an order that no cache can foresee.
#[divan::bench(args = SIZES)]
fn look_up_by_key(bencher: Bencher<'_, '_>, size: usize) {
    let directory = directory(size);
    let keys: Vec<KeyDigest> = (0..size).map(key).collect();
    let mut next = 0;
    bencher.bench_local(|| {
        next = (next + 7_919) % size;
        let key = keys.get(next).expect("smaller than size");
        black_box(directory.by_api_key(key)).is_some()
    });
}

/// Resident memory of this process: now, and at most so far.
fn resident() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_ascii_whitespace().nth(1));
        number.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    (kib("VmRSS") / 1024, kib("VmHWM") / 1024)
}

/// In a fresh process, where nothing else has used memory yet.
fn tell_of_a_million() {
    let file = File::of(MILLION);
    let bytes = fs::metadata(&file.0).map_or(0, |file| file.len());
    let ((before, _), start) = (resident(), Instant::now());
    let directory = file.load();
    let time = start.elapsed();
    let (after, most) = resident();
    println!(
        "{} consumers, a file of {} MiB: loaded in {time:.2?}; {} MiB more than before, at most {most} MiB",
        directory.len(),
        bytes >> 20,
        after.saturating_sub(before)
    );
}

fn main() {
    if env::args().any(|argument| argument == "--bench") {
        tell_of_a_million();
    }
    divan::main();
}
