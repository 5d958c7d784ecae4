//! Several gateways that tell each other by a Redis what to forget.

use harness::{Backend, Gateway, Redis, Script, cli, wait};

use super::{assert_cache, saying};
use crate::fixture::config;

/// Where they tell each other.
const LOG: &str = "gateway:cache:1:joint";

fn gateway(redis: &Redis, orders: &Backend) -> Gateway {
    let text = format!(
        "[store.shared.redis]\nurl = \"redis://{}\"\ntimeout = \"5s\"\n\
         [cache-zone.joint]\nstore = \"shared\"\n{}",
        redis.addr(),
        super::routes("{ ttl = \"60s\", zone = \"joint\", stale-if-error = \"1h\" }"),
    );
    Gateway::start(config(&text, orders))
}

/// What both store under one name.
fn fill(gateways: [&Gateway; 2], paths: &[&str]) {
    for gateway in gateways {
        for path in paths {
            ask(gateway, path);
        }
    }
}

fn ask(gateway: &Gateway, path: &str) -> String {
    let answer = gateway.request("GET", path, &[("host", "a.example")], b"");
    assert_eq!(answer.status, 200);
    answer.header("cache-status").unwrap_or_default().to_owned()
}

fn notices(gateway: &Gateway, result: &str) -> u64 {
    let result = format!("result=\"{result}\"");
    gateway.metric("gateway_cache_notices_total", &["zone=\"joint\"", &result])
}

fn until(gateway: &Gateway, result: &str, count: u64) {
    wait::until(wait::DEADLINE, "a notice", || {
        notices(gateway, result) >= count
    });
}

fn purged(gateway: &Gateway) -> u64 {
    gateway.metric("gateway_cache_purged_total", &["zone=\"joint\""])
}

/// Waits until a gateway has purged so many answers.
fn until_purged(gateway: &Gateway, count: u64) {
    wait::until(wait::DEADLINE, "the purge", || purged(gateway) >= count);
    assert_eq!(purged(gateway), count);
}

/// Waits until a gateway has its place in the log: what it stores from now on is stored for good.
fn until_following(gateway: &Gateway, teller: &Gateway) {
    let heard = notices(gateway, "applied");
    wait::until(wait::DEADLINE, "the gateway follows", || {
        teller.admin_post("/purge?tag=nobody").status == 200 && notices(gateway, "applied") > heard
    });
}

#[test]
fn what_is_purged_on_one_is_forgotten_on_the_other() {
    let (redis, orders) = (Redis::start(), Backend::start());
    let (one, two) = (gateway(&redis, &orders), gateway(&redis, &orders));
    until_following(&two, &one);
    until_following(&one, &two);
    orders.always(saying("max-age=60", "x").header("surrogate-key", "tagged"));
    for (asked, gone) in [
        ("url=http://a.example/a", &["/a"][..]),
        ("prefix=http://a.example/b", &["/b", "/b/c"]),
        ("tag=tagged", &["/a", "/b", "/b/c"]),
    ] {
        let all = ["/a", "/b", "/b/c"];
        fill([&one, &two], &all);
        let before = purged(&two);
        let answer = one.admin_post(&format!("/purge?{asked}"));
        assert_eq!(
            (answer.status, answer.json()["purged"].as_u64()),
            (200, Some(gone.len() as u64))
        );
        until_purged(&two, before + gone.len() as u64);
        for path in all {
            let told = ask(&two, path);
            let expected = if gone.contains(&path) {
                "gateway; fwd=uri-miss"
            } else {
                "gateway; hit"
            };
            assert!(told.starts_with(expected), "{asked} {path}: {told}");
        }
    }
    assert_eq!(notices(&one, "missed") + notices(&two, "missed"), 0);
    fill([&one, &two], &["/soft"]);
    let before = purged(&one);
    two.admin_post("/purge?url=http://a.example/soft&soft=true");
    until_purged(&one, before + 1);
    orders.always(Script::status(503));
    let stale = one.request("GET", "/soft", &[("host", "a.example")], b"");
    assert_cache(&stale, "hit; fwd=stale");
}

#[test]
fn who_does_not_reach_the_store_says_so_and_hears_of_it_later() {
    let (mut redis, orders) = (Redis::start(), Backend::start());
    let (one, two) = (gateway(&redis, &orders), gateway(&redis, &orders));
    until_following(&two, &one);
    until_following(&one, &two);
    fill([&one, &two], &["/a"]);
    redis.kill();
    let answer = one.admin_post("/purge?url=http://a.example/a");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (503, "admin.purge-untold")
    );
    let admin = format!("http://{}", one.admin_addr());
    let exit = cli(&["purge", "--admin", &admin, "--tag", "t"]);
    assert_eq!(exit.code, Some(1));
    assert!(
        ask(&one, "/a").starts_with("gateway; fwd=uri-miss"),
        "purged here"
    );
    assert!(
        ask(&two, "/a").starts_with("gateway; hit"),
        "nobody could tell"
    );
    assert!(notices(&one, "untold") >= 2);
    // It comes back and has forgotten the log: whoever kept answers trusts none of them.
    redis.restart();
    until(&two, "missed", 1);
    let told = ask(&two, "/a");
    assert!(told.starts_with("gateway; fwd=stale"), "{told}");
    until_following(&two, &one);
    fill([&one, &two], &["/b"]);
    let before = purged(&two);
    assert_eq!(one.admin_post("/purge?url=http://a.example/b").status, 200);
    until_purged(&two, before + 1);
    assert!(ask(&two, "/b").starts_with("gateway; fwd=uri-miss"));
}

#[test]
fn what_was_told_while_nobody_could_listen_is_heard_afterwards() {
    let lasting = ["--appendonly", "yes", "--appendfsync", "always"];
    let (mut redis, orders) = (Redis::with(&lasting), Backend::start());
    let (one, two) = (gateway(&redis, &orders), gateway(&redis, &orders));
    until_following(&two, &one);
    fill([&one, &two], &["/a", "/b"]);
    redis.kill();
    redis.restart();
    let notice = "{\"from\":\"elsewhere\",\"soft\":false,\"url\":\"http://a.example/a\"}";
    wait::until(wait::DEADLINE, "the store has read its file", || {
        redis
            .command(&["XADD", LOG, "*", "n", notice])
            .starts_with('$')
    });
    until_purged(&two, 1);
    assert!(ask(&two, "/a").starts_with("gateway; fwd=uri-miss"));
    assert!(ask(&two, "/b").starts_with("gateway; hit"));
    assert_eq!(notices(&two, "missed"), 0);
}

#[test]
fn what_is_no_notice_is_counted_and_left_alone() {
    let (redis, orders) = (Redis::start(), Backend::start());
    let (one, two) = (gateway(&redis, &orders), gateway(&redis, &orders));
    until_following(&two, &one);
    fill([&one, &two], &["/a"]);
    let before = notices(&two, "malformed");
    for wrong in [
        &["n", "no json"][..],
        &["n", "{\"from\":\"x\",\"soft\":false,\"everything\":true}"],
        &["other", "{\"from\":\"x\",\"soft\":false,\"tag\":\"y\"}"],
        &["n", "{}", "m", "{}"],
    ] {
        let add = ["XADD", LOG, "*"];
        redis.command(&[&add[..], wrong].concat());
    }
    until(&two, "malformed", before + 4);
    assert!(ask(&two, "/a").starts_with("gateway; hit"));
    let before = purged(&two);
    one.admin_post("/purge?url=http://a.example/a");
    until_purged(&two, before + 1);
    assert!(ask(&two, "/a").starts_with("gateway; fwd=uri-miss"));
}

fn changed(gateway: &Gateway) -> u64 {
    gateway.metric("gateway_cache_changed_total", &["zone=\"joint\""])
}

fn post(gateway: &Gateway, path: &str) {
    let answer = gateway.request("POST", path, &[("host", "a.example")], b"");
    assert!(answer.status < 400);
}

#[test]
fn what_a_request_changes_at_one_is_forgotten_by_the_other() {
    let (redis, orders) = (Redis::start(), Backend::start());
    let (one, two) = (gateway(&redis, &orders), gateway(&redis, &orders));
    until_following(&two, &one);
    until_following(&one, &two);
    let all = ["/a?x=1", "/a?x=2", "/b", "/c"];
    fill([&one, &two], &all);
    let moved = Script::status(201).header("location", "http://a.example/b");
    orders.once(moved);
    post(&one, "/a?x=1");
    wait::until(wait::DEADLINE, "the change", || changed(&two) >= 2);
    assert_eq!(changed(&two), 2);
    for (path, expected) in [
        ("/a?x=1", "gateway; fwd=uri-miss"),
        ("/a?x=2", "gateway; hit"),
        ("/b", "gateway; fwd=uri-miss"),
        ("/c", "gateway; hit"),
    ] {
        let told = ask(&two, path);
        assert!(told.starts_with(expected), "{path}: {told}");
    }
    // What fails changes nothing, there and here.
    orders.once(Script::status(500));
    let failed = one.request("DELETE", "/c", &[("host", "a.example")], b"");
    assert_eq!(failed.status, 500);
    fill([&one, &two], &["/d"]);
    post(&one, "/d");
    wait::until(wait::DEADLINE, "the next change", || changed(&two) >= 3);
    assert!(ask(&two, "/c").starts_with("gateway; hit"));
    assert_eq!((purged(&one), purged(&two)), (0, 0));
}

#[test]
fn changes_wait_for_a_store_that_is_away_and_cost_no_request_a_wait() {
    let lasting = ["--appendonly", "yes", "--appendfsync", "always"];
    let (mut redis, orders) = (Redis::with(&lasting), Backend::start());
    let (one, two) = (gateway(&redis, &orders), gateway(&redis, &orders));
    until_following(&two, &one);
    until_following(&one, &two);
    fill([&one, &two], &["/0", "/1", "/2", "/kept"]);
    // It accepts and answers nothing: whoever waited for it would wait for five seconds each time.
    redis.stall();
    let mut client = one.client();
    for n in 0..300 {
        let path = format!("/{n}");
        let answer = client.request("POST", &path, &[("host", "a.example")], b"");
        assert_eq!(answer.status, 200);
    }
    assert!(
        ask(&two, "/1").starts_with("gateway; hit"),
        "nobody could tell"
    );
    let before = notices(&one, "told");
    redis.go_on();
    wait::until(wait::DEADLINE, "the changes", || changed(&two) >= 3);
    for path in ["/0", "/1", "/2"] {
        assert!(
            ask(&two, path).starts_with("gateway; fwd=uri-miss"),
            "{path}"
        );
    }
    assert!(ask(&two, "/kept").starts_with("gateway; hit"));
    let notices_for_all = notices(&one, "told") - before;
    assert!(notices_for_all <= 10, "{notices_for_all} for 300 changes");
    assert_eq!(notices(&one, "dropped"), 0);
    // Only so many wait.
    redis.kill();
    for n in 0..4_200 {
        let path = format!("/many/{n}");
        let answer = client.request("DELETE", &path, &[("host", "a.example")], b"");
        assert_eq!(answer.status, 200);
    }
    let dropped = notices(&one, "dropped");
    assert!((1..=104).contains(&dropped), "{dropped}");
}
