//! Many who want the same: one asks.

use std::thread;

use harness::{Backend, Gate, Gateway, Response, Script, wait};

use super::{assert_cache, keeping, routes, saying};
use crate::fixture::config;

#[test]
fn a_thousand_who_miss_make_one_request() {
    let (gateway, orders) = keeping("\"60s\"");
    let gate = Gate::new();
    orders.always(saying("max-age=60", "shared").gated(&gate));
    thread::scope(|scope| {
        let asking: Vec<_> = (0..1000)
            .map(|_| {
                let builder = thread::Builder::new().stack_size(128 << 10);
                builder
                    .spawn_scoped(scope, || gateway.get("/").text())
                    .unwrap()
            })
            .collect();
        wait::until(wait::DEADLINE, "the connections", || {
            gateway.metric("gateway_connections", &["listener=\"public\""]) >= 1000
        });
        gate.open();
        for one in asking {
            assert_eq!(one.join().unwrap(), "shared");
        }
    });
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn the_others_read_along_while_an_answer_arrives() {
    let (gateway, orders) = keeping("\"60s\"");
    let gate = Gate::new();
    orders.once(Script::trickle(&gate, ["one ", "two"]));
    let mut first = gateway.client();
    first.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    gate.step();
    assert_eq!(first.receive_head().0, 200);
    let mut second = gateway.client();
    second.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let (status, head) = second.receive_head();
    assert_eq!(status, 200);
    assert!(
        head.get("cache-status")
            .is_some_and(|told| told.starts_with("gateway; hit"))
    );
    assert_eq!(second.read_exactly(9), b"4\r\none \r\n");
    gate.open();
    assert_eq!(second.read_exactly(8), b"3\r\ntwo\r\n");
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn one_who_fails_does_not_hold_the_others() {
    let (gateway, orders) = keeping("\"60s\"");
    let gate = Gate::new();
    orders.once(Script::reset().gated(&gate));
    let answers: Vec<u16> = thread::scope(|scope| {
        let asking: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| gateway.get("/").status))
            .collect();
        wait::until(wait::DEADLINE, "the first", || gate.waiting() == 1);
        gate.open();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(
        answers.iter().filter(|status| **status == 200).count() >= 9,
        "{answers:?}"
    );
}

#[test]
fn an_answer_that_breaks_off_is_never_given() {
    let (gateway, orders) = keeping("\"60s\"");
    orders.once(Script::raw(
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
    ));
    let mut client = gateway.client();
    // Cut, or a failure where nothing of it had been sent yet.
    if let Ok(answer) = client.try_request("GET", "/", &[], b"") {
        assert_eq!(answer.status, 502);
    }
    let answer = gateway.get("/");
    assert_eq!(answer.status, 200);
    assert_cache(&answer, "fwd=uri-miss");
    assert_eq!(orders.requests().len(), 2);
}

#[test]
fn a_slow_writer_holds_the_others_no_longer_than_their_deadlines() {
    let orders = Backend::start();
    let routes = format!("{}timeout = \"2s\"\n", routes("\"60s\""));
    let gateway = Gateway::start(config(&routes, &orders));
    orders.once(Script::stall());
    let mut first = gateway.client();
    first.send(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    orders.wait_requests(1);
    // The others are given up on neither: they ask for themselves while the first still waits.
    let answers: Vec<Response> = thread::scope(|scope| {
        let ask = || gateway.request("GET", "/", &[("host", "a")], b"");
        let asking: Vec<_> = (0..5).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(first.receive_head().0, 504);
    let waited = |result: &str| {
        let result = format!("result=\"{result}\"");
        gateway.metric("gateway_cache_coalesced_total", &["route=\"all\"", &result])
    };
    assert_eq!(waited("given") + waited("fetched") + waited("in-vain"), 5);
    assert!(waited("in-vain") >= 1);
}
