//! Zones with a directory: what is kept outlives restarts and crashes, whole or not at all, and never longer than it may.

mod full;
mod heard;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, process, thread};

use harness::wait::{self, DEADLINE};
use harness::{Backend, Client, Config, Gate, Gateway, Response, Script};

use crate::fixture;

/// A directory that several gateways use one after the other.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::SeqCst);
        let path = env::temp_dir().join(format!("gateway-disk-{}-{number}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    /// A zone with so much memory and so much of this directory, and a route that keeps what its origin says.
    fn config(&self, memory: &str, size: &str, orders: &Backend) -> Config {
        fixture::config(&self.text(memory, size), orders)
    }

    fn text(&self, memory: &str, size: &str) -> String {
        let path = self.0.join("kept");
        format!(
            "[cache-zone.lasting]\nmemory = \"{memory}\"\n\
             disk = {{ path = \"{}\", size = \"{size}\" }}\n\
             [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\ncache = {{ zone = \"lasting\" }}\n",
            path.display()
        )
    }

    fn start(&self, memory: &str, orders: &Backend) -> Gateway {
        let gateway = Gateway::start(self.config(memory, "64MiB", orders));
        wait_loaded(&gateway);
        gateway
    }

    fn files(&self) -> Vec<PathBuf> {
        files_below(&self.0.join("kept"))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// The files of answers; those that come or go meanwhile may be missing.
fn files_below(root: &Path) -> Vec<PathBuf> {
    let list = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let shards = list(root).map(|found| found.path());
    let shards = shards.filter(|path| path.is_dir() && !path.ends_with("tmp"));
    let files = shards.flat_map(|shard| list(&shard).map(|found| found.path()).collect::<Vec<_>>());
    files.collect()
}

fn wait_loaded(gateway: &Gateway) {
    wait::until(DEADLINE, "the directory to be known", || {
        gateway.metric("gateway_cache_disk_loaded", &[]) == 1
    });
}

fn wait_entries(gateway: &Gateway, count: u64) {
    wait::until(DEADLINE, &format!("{count} answers on disk"), || {
        gateway.metric("gateway_cache_disk_entries", &["zone=\"lasting\""]) == count
    });
}

/// Ends it in order.
fn stop(mut gateway: Gateway) {
    gateway.signal("TERM");
    assert!(gateway.wait_exit(DEADLINE).success());
}

/// Ends it at once.
fn kill(mut gateway: Gateway) {
    gateway.signal("KILL");
    gateway.wait_exit(DEADLINE);
}

/// A name that all gateways share: it is part of what answers are found by.
const HOST: (&str, &str) = ("host", "shop.example");

fn fetch(gateway: &Gateway, path: &str) -> Response {
    gateway.request("GET", path, &[HOST], b"")
}

fn fetch_with(gateway: &Gateway, path: &str, field: (&str, &str)) -> Response {
    gateway.request("GET", path, &[HOST, field], b"")
}

#[track_caller]
fn assert_hit(answer: &Response) {
    let told = answer.header("cache-status").unwrap_or_default();
    assert!(told.starts_with("gateway; hit"), "{told}");
}

fn lasting(body: impl Into<Vec<u8>>) -> Script {
    Script::answer(200, body).header("cache-control", "max-age=3600")
}

#[test]
fn a_restart_answers_from_disk_without_asking_the_origin() {
    let (directory, orders) = (Directory::new(), Backend::start());
    let modified = ("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT");
    let plain = lasting("0123456789").header("etag", "\"one\"");
    orders.on("/plain", plain.header(modified.0, modified.1));
    let gateway = directory.start("1MiB", &orders);
    assert_eq!(fetch(&gateway, "/plain").status, 200);
    for language in ["de", "en"] {
        orders.once(lasting(language).header("vary", "accept-language"));
        let answer = fetch_with(&gateway, "/varies", ("accept-language", language));
        assert_eq!(answer.text(), language);
    }
    stop(gateway);
    let asked = orders.requests().len();
    let gateway = directory.start("1MiB", &orders);
    assert_eq!(gateway.metric("gateway_cache_disk_entries", &[]), 3);
    let part = fetch_with(&gateway, "/plain", ("range", "bytes=2-4"));
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    let head = gateway.request("HEAD", "/plain", &[HOST], b"");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("10"))
    );
    let known = fetch_with(&gateway, "/plain", ("if-none-match", "\"one\""));
    assert_eq!(known.status, 304);
    let whole = fetch(&gateway, "/plain");
    assert_hit(&whole);
    assert_eq!(
        (whole.text().as_str(), whole.header("etag")),
        ("0123456789", Some("\"one\""))
    );
    assert!(whole.header("age").is_some());
    for language in ["en", "de"] {
        let answer = fetch_with(&gateway, "/varies", ("accept-language", language));
        assert_hit(&answer);
        assert_eq!(answer.text(), language);
    }
    assert_eq!(orders.requests().len(), asked);
    assert_eq!(gateway.metric("gateway_cache_disk_hits_total", &[]), 3);
}

#[test]
fn what_an_origin_has_confirmed_stays_confirmed() {
    let (directory, orders) = (Directory::new(), Backend::start());
    let gateway = directory.start("1MiB", &orders);
    let first = Script::answer(200, "stored").header("cache-control", "max-age=0");
    orders.once(first.header("etag", "\"one\"").header("x-a", "1"));
    assert_eq!(fetch(&gateway, "/").text(), "stored");
    stop(gateway);
    let gateway = directory.start("1MiB", &orders);
    let again = Script::status(304).header("cache-control", "max-age=3600");
    orders.once(again.header("x-a", "a longer value than before"));
    assert_eq!(fetch(&gateway, "/").text(), "stored");
    assert_eq!(orders.last().header("if-none-match"), Some("\"one\""));
    stop(gateway);
    let gateway = directory.start("1MiB", &orders);
    let hit = fetch(&gateway, "/");
    assert_hit(&hit);
    assert_eq!(
        (hit.text().as_str(), hit.header("x-a")),
        ("stored", Some("a longer value than before"))
    );
    assert_eq!(orders.requests().len(), 2);
    assert_eq!(gateway.metric("gateway_cache_disk_failures_total", &[]), 0);
}

#[test]
fn a_stale_answer_from_disk_is_given_while_a_new_one_is_fetched() {
    let (directory, orders) = (Directory::new(), Backend::start());
    let gateway = directory.start("1MiB", &orders);
    let control = "max-age=0, stale-while-revalidate=3600";
    orders.always(Script::answer(200, "old").header("cache-control", control));
    assert_eq!(fetch(&gateway, "/").text(), "old");
    stop(gateway);
    let gateway = directory.start("1MiB", &orders);
    orders.always(lasting("new"));
    assert_eq!(fetch(&gateway, "/").text(), "old");
    orders.wait_requests(2);
    wait::until(DEADLINE, "the new answer", || {
        fetch(&gateway, "/").text() == "new"
    });
    assert_eq!(orders.requests().len(), 2);
    stop(gateway);
    let gateway = directory.start("1MiB", &orders);
    assert_eq!(fetch(&gateway, "/").text(), "new");
    assert_eq!(orders.requests().len(), 2);
}

/// Content that says by itself whether it is right.
fn content(number: usize) -> Vec<u8> {
    let word = format!("{number:08}");
    let length = [1_000, 60_000, 70_000, 300_000, 1_500_000][number % 5] + number;
    word.bytes().cycle().take(length).collect()
}

#[test]
fn a_kill_during_writes_leaves_whole_answers_or_none() {
    const PATHS: usize = 40;
    let (directory, orders) = (Directory::new(), Backend::start());
    for number in 0..PATHS {
        orders.on(&format!("/{number}"), lasting(content(number)));
    }
    let mut hits = 0;
    for round in 0..6 {
        let gateway = directory.start("4MiB", &orders);
        let done = AtomicUsize::new(0);
        thread::scope(|scope| {
            for first in 0..4 {
                let (gateway, done) = (&gateway, &done);
                scope.spawn(move || {
                    for number in (first..PATHS).step_by(4) {
                        let path = format!("/{number}");
                        let client = Client::try_connect(gateway.addr());
                        let answer = client
                            .and_then(|mut client| client.try_request("GET", &path, &[HOST], b""));
                        let Ok(answer) = answer else {
                            // Killed under our hands.
                            assert!(done.load(Ordering::SeqCst) >= 6 * (round + 1));
                            return;
                        };
                        assert!(answer.body == content(number), "{path} in round {round}");
                        if done.fetch_add(1, Ordering::SeqCst) + 1 == 6 * (round + 1) {
                            gateway.signal("KILL");
                        }
                    }
                });
            }
        });
        kill(gateway);
    }
    let gateway = directory.start("4MiB", &orders);
    for number in 0..PATHS {
        let answer = fetch(&gateway, &format!("/{number}"));
        assert!(answer.body == content(number), "/{number} in the end");
        hits += usize::from(
            answer
                .header("cache-status")
                .is_some_and(|told| told.contains("; hit")),
        );
    }
    assert!(hits >= 10, "only {hits} answers outlived the kills");
}

#[test]
fn a_purge_is_not_undone_by_a_restart() {
    let (directory, orders) = (Directory::new(), Backend::start());
    let gateway = directory.start("1MiB", &orders);
    for path in ["/hard", "/soft", "/changed", "/kept"] {
        orders.on(
            path,
            lasting(path)
                .header("surrogate-key", path)
                .header("etag", "\"a\""),
        );
        assert_eq!(fetch(&gateway, path).status, 200);
    }
    wait_entries(&gateway, 4);
    let purge = |asked: &str| {
        let answer = gateway.admin_post(&format!("/purge?{asked}"));
        assert_eq!(
            (answer.status, &answer.json()["purged"]),
            (200, &1.into()),
            "{asked}"
        );
    };
    purge("tag=/hard");
    purge("url=http://shop.example/soft&soft=true");
    assert_eq!(
        gateway.request("POST", "/changed", &[HOST], b"").status,
        200
    );
    wait_entries(&gateway, 2);
    kill(gateway);
    let gateway = directory.start("1MiB", &orders);
    let told = |path: &str| {
        fetch(&gateway, path)
            .header("cache-status")
            .unwrap_or_default()
            .to_owned()
    };
    assert!(told("/hard").contains("fwd=uri-miss"));
    assert!(told("/changed").contains("fwd=uri-miss"));
    assert!(told("/soft").contains("fwd=stale"));
    assert!(told("/kept").contains("; hit"));
}

#[test]
fn answers_larger_than_memory_are_streamed_to_disk_and_from_it() {
    let (directory, orders) = (Directory::new(), Backend::start());
    let gateway = directory.start("1MiB", &orders);
    let large: Vec<u8> = (0..5_000_000_u32)
        .map(|number| (number % 251).to_le_bytes()[0])
        .collect();
    orders.on("/sized", lasting(large.clone()));
    let gate = Gate::new();
    let chunks: Vec<_> = large.chunks(700_000).map(<[u8]>::to_vec).collect();
    let count = chunks.len();
    let trickle = Script::trickle(&gate, chunks).header("cache-control", "max-age=3600");
    orders.on("/trickles", trickle);
    assert!(fetch(&gateway, "/sized").body == large);
    wait_entries(&gateway, 1);
    thread::scope(|scope| {
        let first = scope.spawn(|| fetch(&gateway, "/trickles"));
        for _ in 0..count - 2 {
            gate.step();
        }
        wait::until(DEADLINE, "most of it to come", || gate.waiting() == 1);
        // Who comes later reads what has left memory already.
        let second = scope.spawn(|| fetch(&gateway, "/trickles"));
        gate.open();
        assert!(first.join().unwrap().body == large);
        assert!(second.join().unwrap().body == large);
    });
    wait_entries(&gateway, 2);
    assert!(gateway.metric("gateway_cache_bytes", &["zone=\"lasting\""]) < 1 << 20);
    for path in ["/sized", "/trickles"] {
        let hit = fetch(&gateway, path);
        assert_hit(&hit);
        assert!(hit.body == large);
        let part = fetch_with(&gateway, path, ("range", "bytes=3999999-4100000"));
        assert_eq!(part.status, 206);
        assert!(part.body == large[3_999_999..=4_100_000]);
    }
    assert_eq!(gateway.metric("gateway_cache_disk_failures_total", &[]), 0);
}

#[test]
fn a_directory_holds_no_more_than_it_may() {
    let (directory, orders) = (Directory::new(), Backend::start());
    let gateway = Gateway::start(directory.config("8MiB", "1MiB", &orders));
    wait_loaded(&gateway);
    orders.always(lasting(vec![1; 50_000]));
    for number in 0..40 {
        assert_eq!(fetch(&gateway, &format!("/{number}")).status, 200);
    }
    wait::until(DEADLINE, "evictions", || {
        gateway.metric("gateway_cache_disk_evictions_total", &[]) >= 20
    });
    assert!(gateway.metric("gateway_cache_disk_bytes", &[]) <= 1 << 20);
    orders.always(lasting(vec![2; 2_000_000]));
    // More than all of it: it is answered, and not kept there.
    assert_eq!(fetch(&gateway, "/large").body.len(), 2_000_000);
    assert!(gateway.metric("gateway_cache_disk_bytes", &[]) <= 1 << 20);
    stop(gateway);
    let bytes: u64 = directory
        .files()
        .iter()
        .map(|file| fs::metadata(file).unwrap().len())
        .sum();
    assert!(bytes <= 1 << 20, "{bytes}");
}

#[test]
fn a_broken_file_is_a_miss_and_goes() {
    let (directory, orders) = (Directory::new(), Backend::start());
    orders.always(lasting("right"));
    let gateway = directory.start("1MiB", &orders);
    for path in ["/a", "/b"] {
        assert_eq!(fetch(&gateway, path).text(), "right");
    }
    stop(gateway);
    for file in directory.files() {
        let mut bytes = fs::read(&file).unwrap();
        let at = bytes
            .windows(5)
            .position(|window| window == b"right")
            .unwrap();
        bytes[at..at + 5].copy_from_slice(b"wrong");
        fs::write(&file, bytes).unwrap();
    }
    let gateway = directory.start("1MiB", &orders);
    for path in ["/a", "/b"] {
        assert_eq!(fetch(&gateway, path).text(), "right");
    }
    assert_eq!(orders.requests().len(), 4);
    let torn = gateway.metric("gateway_cache_disk_failures_total", &["kind=\"torn\""]);
    assert_eq!(torn, 2);
}

#[test]
fn two_gateways_with_one_directory_use_it_one_after_the_other() {
    let (directory, orders) = (Directory::new(), Backend::start());
    orders.always(lasting("x"));
    let first = directory.start("1MiB", &orders);
    let second = Gateway::start(directory.config("1MiB", "64MiB", &orders));
    second.wait_log("another process uses it");
    assert_eq!(fetch(&first, "/a").status, 200);
    assert_eq!(fetch(&second, "/b").status, 200);
    assert_hit(&fetch(&second, "/b"));
    assert_eq!(second.metric("gateway_cache_disk_entries", &[]), 0);
    stop(first);
    wait_loaded(&second);
    assert_hit(&fetch(&second, "/a"));
    assert_eq!(orders.requests().len(), 2);
}

#[test]
fn a_successor_takes_the_directory_over() {
    let (directory, orders) = (Directory::new(), Backend::start());
    orders.always(lasting("x"));
    let control = "[server]\ncontrol-socket = \"@dir@/control.sock\"\nworkers = 1\n";
    let text = format!("{}{control}", directory.text("1MiB", "64MiB"));
    let mut gateway = Gateway::start(fixture::config(&text, &orders));
    wait_loaded(&gateway);
    assert_eq!(fetch(&gateway, "/").status, 200);
    wait_entries(&gateway, 1);
    let successor = gateway.successor(&[]);
    successor.wait_log("Started");
    let former = gateway.succeed(successor);
    former.wait_log("Stopping");
    wait_loaded(&gateway);
    assert_hit(&fetch(&gateway, "/"));
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn a_reload_keeps_what_is_on_disk() {
    let (directory, orders) = (Directory::new(), Backend::start());
    orders.always(lasting("x"));
    let config = directory.config("1MiB", "64MiB", &orders);
    let mut gateway = Gateway::start(config.clone());
    wait_loaded(&gateway);
    assert_eq!(fetch(&gateway, "/").status, 200);
    wait_entries(&gateway, 1);
    let none = "[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n";
    gateway.rewrite_and_wait(fixture::config(none, &orders));
    assert_eq!(fetch(&gateway, "/").header("cache-status"), None);
    assert_eq!(
        gateway.metric("gateway_cache_entries", &["zone=\"lasting\""]),
        0
    );
    assert_eq!(directory.files().len(), 1);
    gateway.rewrite_and_wait(config);
    wait_loaded(&gateway);
    let asked = orders.requests().len();
    assert_hit(&fetch(&gateway, "/"));
    assert_eq!(orders.requests().len(), asked);
}

#[test]
fn a_directory_that_cannot_be_used_is_refused() {
    let (directory, orders) = (Directory::new(), Backend::start());
    fs::write(directory.0.join("kept"), "a file").unwrap();
    let exit = Gateway::try_start(directory.config("1MiB", "64MiB", &orders));
    assert_eq!(exit.code, Some(1));
    assert!(
        exit.stderr.contains("cannot use the directory"),
        "{}",
        exit.stderr
    );
    fs::remove_file(directory.0.join("kept")).unwrap();
    let mut gateway = directory.start("1MiB", &orders);
    let before = gateway.config_hash();
    let missing = directory
        .text("1MiB", "64MiB")
        .replace("/kept\"", "/no/such\"");
    gateway.rewrite_and_wait(fixture::config(&missing, &orders));
    assert_eq!(gateway.config_hash(), before);
    assert!(gateway.reload().text().contains("cannot use the directory"));
}

#[test]
fn a_directory_removed_under_our_hands_is_made_again() {
    let (directory, orders) = (Directory::new(), Backend::start());
    orders.always(lasting("x"));
    let gateway = directory.start("1MiB", &orders);
    assert_eq!(fetch(&gateway, "/a").status, 200);
    wait_entries(&gateway, 1);
    fs::remove_dir_all(directory.0.join("kept")).unwrap();
    assert_hit(&fetch(&gateway, "/a"));
    assert_eq!(fetch(&gateway, "/b").status, 200);
    wait_entries(&gateway, 2);
    stop(gateway);
    assert_eq!(directory.files().len(), 1);
    let gateway = directory.start("1MiB", &orders);
    assert_hit(&fetch(&gateway, "/b"));
}
