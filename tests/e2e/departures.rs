//! Clients that go away, stop, or spoil their own body: what they hear, and what the log says of them.

use harness::{Gate, Script};

use crate::fixture::{assert_refused, forwarding};

#[test]
fn a_client_that_goes_away_is_499_in_the_log() {
    let (gateway, orders) = forwarding("", "");
    let gate = Gate::new();
    orders.always(Script::echo().gated(&gate));
    let mut client = gateway.client();
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    orders.wait_requests(1);
    drop(client);
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["status"], &line["code"]),
        (&499.into(), &"client.gone".into())
    );
    gate.open();
    let counted = gateway.metric(
        "gateway_requests_total",
        &[r#"route="all""#, r#"status="499""#],
    );
    assert_eq!(counted, 1);
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_client_that_leaves_inside_an_answer_is_logged_as_such() {
    let (gateway, orders) = forwarding("", "");
    let gate = Gate::new();
    orders.once(Script::trickle(&gate, ["one", "two"]));
    let mut client = gateway.client();
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(client.receive_head().0, 200);
    drop(client);
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["status"], &line["code"]),
        (&200.into(), &"client.gone".into())
    );
    gate.open();
}

#[test]
fn a_client_that_stops_inside_its_body_is_408() {
    let (gateway, orders) = forwarding("body-timeout = \"50ms\"", "");
    let mut client = gateway.client();
    client
        .send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        .unwrap();
    assert_refused(&client.receive("POST"), 408, "client.timeout");
    client.wait_closed();
    assert_eq!(orders.requests().len(), 0, "an incomplete request is none");
    assert_eq!(gateway.wait_access_log(1)[0]["status"], 408);
}

#[test]
fn a_client_with_a_malformed_chunk_is_400() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    let message = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n";
    client.send(message).unwrap();
    assert_refused(&client.receive("POST"), 400, "client.bad-request");
    client.wait_closed();
    assert_eq!(orders.requests().len(), 0);
}
