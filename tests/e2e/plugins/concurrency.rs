//! `concurrency`: who waits, who is turned away, and when a place is free again.

use std::net::Ipv4Addr;
use std::thread;

use harness::{Backend, Config, Gate, Gateway, Script, connect_from, wait};

use super::{both, refusals};
use crate::fixture::{assert_refused, config};

fn limited(table: &str, orders: &Backend) -> Config {
    let routes = format!(
        r#"
        [route.all]
        match = "/**"
        upstream = "orders"
        concurrency = {{ {table} }}
        "#
    );
    config(&routes, orders)
}

/// A backend that answers `/slow` when the gate opens.
fn slow() -> (Backend, Gate) {
    let (orders, gate) = (Backend::start(), Gate::new());
    orders.on("/slow", Script::echo().gated(&gate));
    (orders, gate)
}

fn until_under_way(orders: &Backend, requests: usize) {
    wait::until(wait::DEADLINE, "requests are under way", || {
        orders.requests().len() >= requests
    });
}

#[test]
fn the_request_beyond_the_limit_is_503_and_a_place_is_free_when_one_is_over() {
    let (orders, gate) = slow();
    let gateway = Gateway::start(limited("max = 2", &orders));
    thread::scope(|scope| {
        let first = scope.spawn(|| gateway.get("/slow"));
        let second = scope.spawn(|| gateway.get("/slow"));
        until_under_way(&orders, 2);
        let refused = gateway.get("/");
        assert_refused(&refused, 503, "concurrency.shed");
        assert_eq!(refused.header("retry-after"), Some("1"));
        gate.open();
        assert_eq!(first.join().unwrap().status, 200);
        assert_eq!(second.join().unwrap().status, 200);
    });
    wait::until(wait::DEADLINE, "a place is free", || {
        gateway.get("/").status == 200
    });
    assert!(refusals(&gateway, "concurrency.shed", "enforce") >= 1);
}

#[test]
fn a_client_that_goes_away_leaves_its_place() {
    let (orders, _gate) = slow();
    let gateway = Gateway::start(limited("max = 1, shed-status = 429", &orders));
    let mut stream = connect_from(Ipv4Addr::LOCALHOST.into(), gateway.addr());
    std::io::Write::write_all(&mut stream, b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    until_under_way(&orders, 1);
    assert_refused(&gateway.get("/"), 429, "concurrency.exceeded");
    drop(stream);
    wait::until(wait::DEADLINE, "the place is free", || {
        gateway.get("/").status == 200
    });
}

#[test]
fn who_waits_in_the_queue_is_served_in_the_end() {
    let (orders, gate) = slow();
    let gateway = Gateway::start(limited(
        "max = 1, queue = 1, queue-timeout = \"30s\"",
        &orders,
    ));
    thread::scope(|scope| {
        let first = scope.spawn(|| gateway.get("/slow"));
        until_under_way(&orders, 1);
        let waiting = [
            scope.spawn(|| gateway.get("/")),
            scope.spawn(|| gateway.get("/")),
        ];
        // One of them waits, the other finds the queue full.
        wait::until(wait::DEADLINE, "the queue is full", || {
            refusals(&gateway, "concurrency.shed", "enforce") == 1
        });
        gate.open();
        assert_eq!(first.join().unwrap().status, 200);
        let mut statuses = waiting.map(|asked| asked.join().unwrap().status);
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 503]);
    });
}

#[test]
fn who_has_waited_too_long_is_turned_away() {
    let (orders, gate) = slow();
    let gateway = Gateway::start(limited(
        "max = 1, queue = 5, queue-timeout = \"10ms\"",
        &orders,
    ));
    thread::scope(|scope| {
        scope.spawn(|| gateway.get("/slow"));
        until_under_way(&orders, 1);
        assert_refused(&gateway.get("/"), 503, "concurrency.shed");
        gate.open();
    });
}

#[test]
fn a_reload_keeps_who_is_inside() {
    let (orders, gate) = slow();
    let mut gateway = Gateway::start(limited("max = 1", &orders));
    let addr = gateway.addr();
    thread::scope(|scope| {
        let first =
            scope.spawn(move || harness::Client::connect(addr).request("GET", "/slow", &[], b""));
        until_under_way(&orders, 1);
        gateway.rewrite_and_wait(limited("max = 1, shed-status = 429", &orders));
        assert_refused(&gateway.get("/"), 429, "concurrency.exceeded");
        gate.open();
        assert_eq!(first.join().unwrap().status, 200);
    });
}

/// One limit for `/slow`, whose requests may take long, and for `/quick`, whose may not.
fn two_routes(keys: &str, orders: &Backend) -> Config {
    let routes = format!(
        r#"
        [concurrency.both]
        max = 1
        queue = 5
        queue-timeout = "60s"
        {keys}
        [route.slow]
        match = "/slow"
        upstream = "orders"
        concurrency = "both"
        [route.quick]
        match = "/quick"
        upstream = "orders"
        concurrency = "both"
        timeout = "50ms"
        [route.patient]
        match = "/patient"
        upstream = "orders"
        concurrency = "both"
        deadline-from = "header.x-request-timeout"
        "#
    );
    config(&routes, orders)
}

#[test]
fn whoever_waits_leaves_the_queue_when_its_time_is_over() {
    let (orders, gate) = slow();
    let gateway = Gateway::start(two_routes("", &orders));
    thread::scope(|scope| {
        let first = scope.spawn(|| gateway.get("/slow"));
        until_under_way(&orders, 1);
        for answer in both(&gateway, "GET", "/quick", &[]) {
            assert_refused(&answer, 504, "concurrency.deadline");
            assert_eq!(answer.header("retry-after"), None);
        }
        for answer in both(
            &gateway,
            "GET",
            "/patient",
            &[("x-request-timeout", "40ms")],
        ) {
            assert_refused(&answer, 504, "concurrency.deadline");
        }
        gate.open();
        assert_eq!(first.join().unwrap().status, 200);
    });
    assert_eq!(gateway.get("/patient").status, 200);
    assert_eq!(refusals(&gateway, "concurrency.deadline", "enforce"), 4);
}

#[test]
fn in_shadow_nobody_waits() {
    let (orders, gate) = slow();
    let gateway = Gateway::start(two_routes("mode = \"shadow\"", &orders));
    thread::scope(|scope| {
        let inside: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| gateway.get("/slow")))
            .collect();
        until_under_way(&orders, 6);
        // A seventh would find the queue full.
        assert_eq!(gateway.get("/patient").status, 200);
        gate.open();
        for asked in inside {
            assert_eq!(asked.join().unwrap().status, 200);
        }
    });
    assert_eq!(refusals(&gateway, "concurrency.shed", "shadow"), 1);
    assert_eq!(refusals(&gateway, "concurrency.deadline", "shadow"), 0);
}
