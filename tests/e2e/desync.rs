//! Upstreams that send more than their answer, or less: no byte of it may reach another request.

use harness::{Backend, Ending, Gateway, Script};

use crate::fixture::config;

/// One worker, so that every request meets the same pool.
fn gateway() -> (Gateway, Backend) {
    let orders = Backend::start();
    let routes = "[server]\nworkers = 1\n[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n";
    let gateway = Gateway::start(config(routes, &orders));
    (gateway, orders)
}

const EVIL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";

/// The next clients' requests must be answered by their own answers.
#[track_caller]
fn assert_unpoisoned(gateway: &Gateway, what: &str) {
    for _ in 0..3 {
        let next = gateway.get("/next");
        assert_eq!(
            (next.status, next.header("x-backend")),
            (200, Some("backend")),
            "{what}"
        );
        assert_eq!(next.json()["target"], "/next", "{what}");
    }
}

#[test]
fn bytes_after_an_answer_reach_nobody() {
    for (what, method, first) in [
        (
            "a second answer",
            "GET",
            format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok{EVIL}"),
        ),
        (
            "after the last chunk",
            "GET",
            format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n{EVIL}"
            ),
        ),
        (
            "a body for HEAD",
            "HEAD",
            format!("HTTP/1.1 200 OK\r\ncontent-length: 39\r\n\r\n{EVIL}"),
        ),
        (
            "a body with 204",
            "GET",
            format!("HTTP/1.1 204 No Content\r\n\r\n{EVIL}"),
        ),
        (
            "a length with 204",
            "GET",
            format!("HTTP/1.1 204 No Content\r\ncontent-length: 39\r\n\r\n{EVIL}"),
        ),
        (
            "a coding with 204",
            "GET",
            format!("HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n{EVIL}"),
        ),
        (
            "a body with 304",
            "GET",
            format!("HTTP/1.1 304 Not Modified\r\n\r\n{EVIL}"),
        ),
        (
            "a length of zero",
            "GET",
            format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n{EVIL}"),
        ),
    ] {
        let (gateway, orders) = gateway();
        orders.once(Script::raw(first).ending(Ending::Keep));
        let mut client = gateway.client();
        let answer = client.try_request(method, "/first", &[], b"");
        if let Ok(answer) = answer {
            assert!(!answer.text().contains("evil"), "{what}: {answer:?}");
        }
        assert_unpoisoned(&gateway, what);
    }
}

#[test]
fn an_answer_before_the_request_is_no_answer() {
    let (gateway, orders) = gateway();
    let pushed = format!("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok{EVIL}{EVIL}{EVIL}");
    orders.once(Script::raw(pushed).ending(Ending::Stall));
    assert_eq!(gateway.get("/first").text(), "ok");
    assert_unpoisoned(&gateway, "answers waiting in the pool");
}

#[test]
fn an_answer_in_the_middle_of_a_body_spoils_no_other_request() {
    let (gateway, orders) = gateway();
    orders.once(Script::answer(413, "enough").leaving_body());
    let mut client = gateway.client();
    let smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2000);
    let answer = client.try_request("POST", "/first", &[], &smuggled);
    if let Ok(answer) = answer {
        assert!([413, 502].contains(&answer.status), "{answer:?}");
    }
    assert_unpoisoned(&gateway, "an early answer");
    assert!(
        orders
            .requests()
            .iter()
            .all(|seen| seen.target != "/smuggled")
    );
}

#[test]
fn a_client_that_leaves_takes_its_upstream_connection_with_it() {
    let (gateway, orders) = gateway();
    let gate = harness::Gate::new();
    orders.once(Script::trickle(&gate, ["one", "two"]));
    let mut client = gateway.client();
    client
        .send(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    assert_eq!(client.receive_head().0, 200);
    drop(client);
    gateway.wait_access_log(1);
    gate.open();
    assert_unpoisoned(&gateway, "half an answer read");
}
