//! Chunked request bodies that two parsers could read in two ways: refused, and no byte of them becomes a request.

use harness::wait::DEADLINE;
use harness::{Script, raw, wait};

use crate::fixture::{assert_refused, forwarding};

const HEAD: &str = "POST /hostile HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";

fn hostile() -> Vec<String> {
    let long = "e".repeat(5000);
    [
        // Sizes.
        "g\r\n",
        "\r\n",
        " 3\r\nabc\r\n0\r\n\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3_0\r\nabc\r\n0\r\n\r\n",
        "10000000000000000\r\nabc\r\n",
        "ffffffffffffffff0\r\nabc\r\n",
        // Line ends.
        "3\nabc\r\n0\r\n\r\n",
        "3\rabc\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
        "3\r\nabc0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3\r\nab\r\n0\r\n\r\n",
        "0\n\n",
        "0\r\n\n",
        "0\r\n\r\r\n",
        // Extensions.
        "3;a\nb\r\nabc\r\n0\r\n\r\n",
        "3;a\rb\r\nabc\r\n0\r\n\r\n",
        "3;\0\r\nabc\r\n0\r\n\r\n",
        "3;\x7f\r\nabc\r\n0\r\n\r\n",
        // Trailers.
        "0\r\nno colon\r\n\r\n",
        "0\r\nx : y\r\n\r\n",
        "0\r\n: y\r\n\r\n",
        "0\r\n x: y\r\n\r\n",
        "0\r\nx: y\n\r\n",
        "0\r\nx: \0\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0\r\nHost: y\r\n\r\n",
        "0\r\nAuthorization: Bearer x\r\n\r\n",
        "0\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([
        format!("3;{long}\r\nabc\r\n0\r\n\r\n"),
        format!("0\r\nx: {long}\r\n\r\n"),
    ])
    .collect()
}

#[test]
fn a_violation_is_400_and_never_reaches_a_handler() {
    let (gateway, orders) = forwarding("", "");
    for body in hostile() {
        // In the read of the head, and after a piece that is already on its way.
        for before in ["", "5\r\nhello\r\n"] {
            let message = format!("{HEAD}{before}{body}{SMUGGLED}");
            let answer = raw(gateway.addr(), message.as_bytes());
            assert!(answer.closed, "{body:?}");
            assert_eq!(answer.statuses(), [400], "{body:?}: {}", answer.text());
            assert!(answer.text().contains("client.bad-request"), "{body:?}");
        }
    }
    assert!(orders.requests().is_empty(), "{:?}", orders.requests());
    wait::until(DEADLINE, "no connection to the upstream is kept", || {
        orders.connections_open() == 0
    });
    assert_eq!(gateway.get("/after").status, 200);
    assert!(orders.faults().is_empty(), "{:?}", orders.faults());
}

#[test]
fn a_violation_after_the_answer_began_ends_the_connection() {
    let (gateway, orders) = forwarding("", "");
    let gate = harness::Gate::new();
    orders.once(Script::trickle(&gate, ["one", "two"]).leaving_body());
    let mut client = gateway.client();
    client.send(HEAD.as_bytes()).unwrap();
    client.send(b"5\r\nhello\r\n").unwrap();
    assert_eq!(client.receive_head().0, 200);
    client.send(format!("zz\r\n{SMUGGLED}").as_bytes()).unwrap();
    client.wait_closed();
    gate.open();
    assert_eq!(gateway.get("/after").status, 200);
    let targets: Vec<_> = orders
        .requests()
        .into_iter()
        .map(|one| one.target)
        .collect();
    assert_eq!(targets, ["/hostile", "/after"]);
}

#[test]
fn legal_extensions_and_trailers_are_read_and_dropped() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    for body in [
        "5;a=b;c=\"d e\"\r\nhello\r\n0\r\n\r\n",
        "0005\r\nhello\r\n000;x\r\n\r\n",
        "5\r\nhello\r\n0\r\nx-sum: 1\r\nx-other:\r\n\r\n",
    ] {
        client.send(format!("{HEAD}{body}").as_bytes()).unwrap();
        assert_eq!(client.receive("POST").status, 200, "{body:?}");
        let seen = orders.last();
        assert_eq!(seen.text(), "hello");
        assert!(!seen.headers.has("x-sum") && seen.trailers.0.is_empty());
    }
    assert_eq!(client.get("/after").status, 200);
}

#[test]
fn a_unix_socket_is_as_strict() {
    use std::io::{Read, Write};
    let gateway = harness::Gateway::start(
        "[listener.public]\naddress = \"unix:@dir@/public.sock\"\n[route.all]\nmatch = \"/**\"\nrespond = { status = 204 }\n",
    );
    let ask = |message: &str| {
        let path = gateway.path("public.sock");
        let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(message.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let close = "Connection: close\r\n\r\n";
    assert!(ask(&format!("GET / HTTP/1.1\r\nHost: x\r\n{close}")).starts_with("HTTP/1.1 204 "));
    assert!(ask("GET / HTTP/1.1\nHost: x\n\n").starts_with("HTTP/1.1 400 "));
    let unknown = format!("GET / HTTP/1.1\r\nHost: x\r\nExpect: a miracle\r\n{close}");
    assert!(ask(&unknown).starts_with("HTTP/1.1 417 "));
}

#[test]
fn an_unknown_expectation_is_417() {
    let (gateway, orders) = forwarding("", "");
    for value in ["a-miracle", "100-continue, x", "", "100"] {
        let head =
            format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nExpect: {value}\r\n\r\n");
        let answer = raw(gateway.addr(), head.as_bytes());
        assert!(answer.closed);
        assert_eq!(answer.status(), Some(417), "{value:?}");
        assert!(answer.text().contains("head.expectation"));
    }
    let mut streams = harness::H2c::connect(gateway.addr());
    let expecting = |value| {
        harness::H2Request::new("POST", "/")
            .header("expect", value)
            .body("x")
    };
    assert_refused(
        &streams.request(expecting("a-miracle")),
        417,
        "head.expectation",
    );
    assert!(orders.requests().is_empty());
    // Streams get no `100 Continue`, so nobody is told to wait for one.
    assert_eq!(streams.request(expecting("100-continue")).status, 200);
    assert!(!orders.last().headers.has("expect") && orders.last().text() == "x");
    let mut client = gateway.client();
    let known = [("Expect", "100-Continue")];
    assert_eq!(client.request("POST", "/", &known, b"y").status, 200);
    assert_eq!(orders.last().text(), "y");
}
