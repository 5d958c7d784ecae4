//! Counting in a Redis that several gateways share, and what happens while it does not answer.

mod broken;
mod kinds;
mod refusals;

use std::net::SocketAddr;
use std::thread;

use harness::{Backend, Config, Gateway, Redis, Response, wait};

use crate::fixture::{assert_refused, config};

/// `[store.shared]` at this address, and a limit in it; `keys` are further keys of the limit, `redis` of the store.
/// The time is long: a busy machine is not taken for a silent store.
fn counting(addr: SocketAddr, redis: &str, limit: &str, orders: &Backend) -> Config {
    let text = format!(
        r#"
        [store.shared.redis]
        url = "redis://{addr}"
        timeout = "5s"
        {redis}
        [rate-limit.tenants]
        key = "header.x-tenant"
        store = "shared"
        {limit}
        [route.all]
        match = "/**"
        upstream = "orders"
        rate-limit = "tenants"
        "#
    );
    config(&text, orders)
}

fn by_tenant(gateway: &Gateway, tenant: &str) -> Response {
    gateway.request("GET", "/", &[("x-tenant", tenant)], b"")
}

/// How many of so many requests pass.
fn passed(gateway: &Gateway, tenant: &str, requests: usize) -> usize {
    let mut client = gateway.client();
    let ask = |_| client.try_request("GET", "/", &[("x-tenant", tenant)], b"");
    let answers = (0..requests).map(ask).map(|answer| answer.unwrap().status);
    answers.filter(|status| *status == 200).count()
}

fn calls(gateway: &Gateway, result: &str) -> u64 {
    gateway.metric(
        "gateway_store_calls_total",
        &[&format!("result=\"{result}\"")],
    )
}

/// Returns once the gateway counts in its store again.
fn until_counting(gateway: &Gateway) {
    let before = calls(gateway, "answered");
    wait::until(wait::DEADLINE, "the gateway counts in the store", || {
        by_tenant(gateway, "probe");
        calls(gateway, "answered") > before
    });
}

#[test]
fn two_gateways_hold_a_joint_limit_exactly() {
    for limit in [
        "rate = \"50/day\"",
        "rate = \"50/day\"\nwindow = \"sliding\"",
        "rate = \"100/day\"\ncost = 2",
    ] {
        let (redis, orders) = (Redis::start(), Backend::start());
        let config = || counting(redis.addr(), "", limit, &orders);
        let (one, two) = (Gateway::start(config()), Gateway::start(config()));
        let all = thread::scope(|scope| {
            let gateways = [&one, &two, &one, &two];
            let asking = gateways.map(|gateway| scope.spawn(|| passed(gateway, "acme", 25)));
            asking
                .into_iter()
                .map(|asked| asked.join().unwrap())
                .sum::<usize>()
        });
        assert_eq!(all, 50, "{limit}");
        assert_refused(&by_tenant(&one, "acme"), 429, "rate-limit.exceeded");
        let refused = by_tenant(&two, "acme");
        assert_refused(&refused, 429, "rate-limit.exceeded");
        let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=86_400).contains(&wait), "{wait}");
        assert_eq!(by_tenant(&two, "globex").status, 200);
        assert_eq!(
            calls(&one, "failed") + calls(&one, "timeout") + calls(&one, "down"),
            0
        );
    }
}

#[test]
fn a_dead_store_costs_no_request_and_counting_resumes_when_it_is_back() {
    for (on_error, passing) in [("local", 2), ("allow", 9), ("deny", 0)] {
        let (mut redis, orders) = (Redis::start(), Backend::start());
        let limit = format!("rate = \"2/day\"\non-error = \"{on_error}\"");
        let gateway = Gateway::start(counting(redis.addr(), "", &limit, &orders));
        assert_eq!(passed(&gateway, "acme", 3), 2, "{on_error}");
        redis.kill();
        // The first request after it finds a connection that is gone; from then on nobody asks.
        wait::until(wait::DEADLINE, "the store is given up", || {
            by_tenant(&gateway, "finds-it-out");
            calls(&gateway, "down") > 0
        });
        let asked = calls(&gateway, "failed") + calls(&gateway, "timeout");
        assert_eq!(passed(&gateway, "globex", 9), passing, "{on_error}");
        assert_eq!(
            calls(&gateway, "failed") + calls(&gateway, "timeout"),
            asked
        );
        if on_error == "deny" {
            let refused = by_tenant(&gateway, "globex");
            assert_refused(&refused, 503, "rate-limit.uncounted");
            assert_eq!(refused.header("retry-after"), Some("1"));
        }
        let instead = format!("instead=\"{on_error}\"");
        assert!(gateway.metric("gateway_limit_store_failures_total", &[&instead]) >= 9);
        redis.restart();
        until_counting(&gateway);
        assert_eq!(passed(&gateway, "initech", 3), 2, "{on_error}");
    }
}

#[test]
fn a_silent_store_is_waited_for_no_longer_than_its_timeout() {
    let (redis, orders) = (Redis::start(), Backend::start());
    let limit = "rate = \"2/day\"\non-error = \"deny\"";
    let config = counting(redis.addr(), "", limit, &orders);
    let gateway = Gateway::start(config.replace("\"5s\"", "\"40ms\""));
    redis.stall();
    wait::until(wait::DEADLINE, "the store is given up", || {
        assert_refused(&by_tenant(&gateway, "acme"), 503, "rate-limit.uncounted");
        calls(&gateway, "down") > 0
    });
    assert!(calls(&gateway, "timeout") >= 3);
    redis.go_on();
    until_counting(&gateway);
}

#[test]
fn a_store_that_comes_later_than_the_gateway_is_found() {
    let (mut redis, orders) = (Redis::start(), Backend::start());
    redis.kill();
    let limit = "rate = \"2/day\"\non-error = \"allow\"";
    let gateway = Gateway::start(counting(redis.addr(), "", limit, &orders));
    assert_eq!(passed(&gateway, "acme", 5), 5);
    redis.restart();
    until_counting(&gateway);
    assert_eq!(passed(&gateway, "acme", 5), 2);
}

#[test]
fn a_reload_keeps_the_connection_of_a_store_that_did_not_change() {
    let (redis, orders) = (Redis::start(), Backend::start());
    let config = |limit: &str| counting(redis.addr(), "", limit, &orders);
    let mut gateway = Gateway::start(config("rate = \"2/day\""));
    assert_eq!(passed(&gateway, "acme", 2), 2);
    gateway.rewrite_and_wait(config("rate = \"3/day\""));
    assert_eq!(
        passed(&gateway, "acme", 5),
        3,
        "another limit, another count"
    );
    gateway.rewrite_and_wait(config("rate = \"2/day\""));
    assert_eq!(
        passed(&gateway, "acme", 5),
        0,
        "the store remembers the first"
    );
    assert_eq!(gateway.log().matches("The store answers").count(), 1);
}
