//! What a client hears when an upstream or the client itself fails, and what the log and the metrics say of it.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use harness::{Backend, Client, Config, Ending, Gate, Gateway, H2c, Script, wait};

use crate::fixture::{assert_refused, assert_usable, config, forwarding};

/// A gateway whose one route has a timeout of its own.
fn with_timeout(timeout: &str) -> (Gateway, Backend) {
    let orders = Backend::start();
    let route =
        format!("[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\ntimeout = \"{timeout}\"\n");
    let gateway = Gateway::start(config(&route, &orders));
    (gateway, orders)
}

fn attempts(gateway: &Gateway, result: &str) -> u64 {
    let result = format!("result=\"{result}\"");
    gateway.metric(
        "gateway_upstream_attempts_total",
        &["upstream=\"orders\"", &result],
    )
}

#[test]
fn an_upstream_that_refuses_is_502() {
    let target = Backend::refusing();
    let gateway = Gateway::start(
        Config::new(
            "[listener.public]\naddress = \"@address.public@\"\n\
             [upstream.orders]\ntargets = [\"@upstream.orders@\"]\n\
             [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n",
        )
        .upstream("orders", target),
    );
    assert_refused(&gateway.get("/"), 502, "upstream.unreachable");
    assert_refused(
        &H2c::connect(gateway.addr()).get("/"),
        502,
        "upstream.unreachable",
    );
    assert_refused(
        &gateway.request("POST", "/", &[], b"body"),
        502,
        "upstream.unreachable",
    );
    let line = &gateway.wait_access_log(3)[0];
    assert_eq!(
        (&line["status"], &line["code"]),
        (&502.into(), &"upstream.unreachable".into())
    );
    assert_eq!(
        (&line["upstream"], &line["attempts"]),
        (&"orders".into(), &1.into())
    );
    assert_eq!(line["target"], target.to_string());
    assert_eq!(attempts(&gateway, "connect-failed"), 3);
}

/// A listener that takes one connection and lets every other wait for its handshake.
fn full() -> (Socket, Vec<TcpStream>) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    socket.listen(0).unwrap();
    let addr = socket.local_addr().unwrap().as_socket().unwrap();
    let patience = Duration::from_millis(30);
    let connect = || TcpStream::connect_timeout(&addr, patience);
    let taken = std::iter::from_fn(|| connect().ok()).collect();
    (socket, taken)
}

#[test]
fn an_upstream_that_accepts_nobody_is_504_after_its_connect_timeout() {
    let (socket, _taken) = full();
    let target = socket.local_addr().unwrap().as_socket().unwrap();
    let text = "[listener.public]\naddress = \"@address.public@\"\n\
                [upstream.orders]\ntargets = [\"@upstream.orders@\"]\nconnect-timeout = \"40ms\"\n\
                [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n";
    let gateway = Gateway::start(Config::new(text).upstream("orders", target));
    assert_refused(&gateway.get("/"), 504, "upstream.connect-timeout");
    assert_refused(
        &gateway.request("POST", "/", &[], b"x"),
        504,
        "upstream.connect-timeout",
    );
    assert_eq!(attempts(&gateway, "timed-out"), 2);
    assert_eq!(gateway.wait_access_log(2)[0]["attempts"], 1);
}

#[test]
fn a_silent_upstream_is_504_after_its_read_timeout() {
    let (gateway, orders) = forwarding("", "read-timeout = \"40ms\"");
    orders.on("/stall", Script::stall());
    assert_refused(&gateway.get("/stall"), 504, "upstream.timeout");
    assert_refused(
        &H2c::connect(gateway.addr()).get("/stall"),
        504,
        "upstream.timeout",
    );
    assert_eq!(orders.requests().len(), 2, "a timeout is never tried again");
    assert_eq!(attempts(&gateway, "timed-out"), 2);
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_request_is_504_after_its_routes_timeout() {
    let (gateway, orders) = with_timeout("40ms");
    orders.on("/stall", Script::stall());
    assert_refused(&gateway.get("/stall"), 504, "request.timeout");
    assert_refused(
        &H2c::connect(gateway.addr()).get("/stall"),
        504,
        "request.timeout",
    );
    assert_eq!(gateway.wait_access_log(2)[0]["code"], "request.timeout");
}

#[test]
fn an_answer_that_outlasts_its_routes_timeout_is_cut() {
    let (gateway, orders) = with_timeout("2s");
    let gate = Gate::new();
    gate.step();
    orders.always(Script::trickle(&gate, ["one", "two"]));
    let mut client = gateway.client();
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(client.receive_head().0, 200);
    assert_eq!(client.read_exactly(8), b"3\r\none\r\n");
    client.wait_closed();
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["status"], &line["code"]),
        (&200.into(), &"request.timeout".into())
    );
}

#[test]
fn an_upstream_that_hangs_up_is_502() {
    let (gateway, orders) = forwarding("", "");
    orders
        .on("/close", Script::close())
        .on("/reset", Script::reset());
    orders.on("/half-head", Script::raw("HTTP/1.1 200 OK\r\nx-a: b\r\n"));
    for path in ["/close", "/reset", "/half-head"] {
        let before = orders.requests().len();
        let mut client = gateway.client();
        let answer = client.get(path);
        assert_refused(&answer, 502, "upstream.closed");
        assert!(answer.headers.has_token("connection", "close"));
        client.wait_closed();
        assert_eq!(
            orders.requests().len() - before,
            1,
            "{path}: a fresh connection"
        );
        assert_refused(
            &H2c::connect(gateway.addr()).get(path),
            502,
            "upstream.closed",
        );
    }
    assert_eq!(attempts(&gateway, "broken"), 6);
}

#[test]
fn an_answer_that_is_malformed_is_502() {
    let (gateway, orders) = forwarding("", "");
    for (what, answer) in [
        ("no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
        ),
        (
            "a list of lengths",
            "HTTP/1.1 200 OK\r\ncontent-length: 3, 4\r\n\r\nabcd",
        ),
        (
            "a signed length",
            "HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\nabc",
        ),
        (
            "no length",
            "HTTP/1.1 200 OK\r\ncontent-length: three\r\n\r\nabc",
        ),
        ("no status", "HTTP/1.1 OK\r\ncontent-length: 3\r\n\r\nabc"),
        (
            "a NUL",
            "HTTP/1.1 200 OK\r\nx-a: \0\r\ncontent-length: 0\r\n\r\n",
        ),
        (
            "an unasked 101",
            "HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        ),
    ] {
        orders.always(Script::raw(answer));
        let answer = gateway.get("/");
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (502, "upstream.bad-response"),
            "{what}: {answer:?}"
        );
    }
}

#[test]
fn a_length_beside_a_coding_never_reaches_the_client() {
    let (gateway, orders) = forwarding("", "");
    let both = "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n\
                5\r\nhello\r\n0\r\n\r\n";
    orders.always(Script::raw(both));
    // The strict client panics when it sees both. The coding counts (RFC 9112 section 6.3), or the answer is refused.
    let answer = gateway.get("/");
    match answer.status {
        200 => assert_eq!(answer.text(), "hello"),
        status => assert_eq!(
            (status, answer.code().as_str()),
            (502, "upstream.bad-response")
        ),
    }
}

#[test]
fn a_body_that_breaks_off_is_never_passed_for_a_whole_one() {
    let (gateway, orders) = forwarding("", "");
    orders.on(
        "/length",
        Script::raw("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"),
    );
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n";
    orders.on("/chunked", Script::raw(chunked));
    orders.on(
        "/bad-chunk",
        Script::raw(chunked.replace("3\r\n", "zz\r\n")),
    );
    for path in ["/length", "/chunked", "/bad-chunk"] {
        let cut = gateway.client().try_request("GET", path, &[], b"");
        assert!(cut.is_err(), "{path}: {cut:?}");
        let request = harness::H2Request::new("GET", path);
        let cut = H2c::connect(gateway.addr()).try_request(request);
        assert!(cut.is_err(), "{path}: {cut:?}");
    }
    let lines = gateway.wait_access_log(6);
    for line in &lines {
        assert_eq!(line["status"], 200);
        assert!(
            line["code"].as_str().unwrap().starts_with("upstream."),
            "{line}"
        );
    }
}

/// Sends a first request to fill the pool, then one whose connection the upstream closes unanswered.
fn on_a_dying_connection(method: &str, body: &[u8]) -> (harness::Response, Backend, Gateway) {
    let orders = Backend::start();
    let routes = "[server]\nworkers = 1\n[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n";
    let gateway = Gateway::start(config(routes, &orders));
    let mut client = gateway.client();
    assert_eq!(client.get("/first").status, 200);
    orders.once(Script::close());
    let answer = client.request(method, "/second", &[], body);
    (answer, orders, gateway)
}

#[test]
fn a_safe_request_on_a_pooled_connection_that_died_is_tried_again() {
    for (method, body) in [
        ("GET", ""),
        ("HEAD", ""),
        ("PUT", "the body"),
        ("DELETE", ""),
    ] {
        let (answer, orders, gateway) = on_a_dying_connection(method, body.as_bytes());
        assert_eq!(answer.status, 200, "{method}");
        let seen = orders.requests();
        let connections: Vec<usize> = seen.iter().map(|request| request.connection).collect();
        assert_eq!(connections, [0, 0, 1], "{method}");
        assert_eq!(seen[2].text(), body);
        assert_eq!(
            seen[1].headers, seen[2].headers,
            "{method}: each attempt says the same"
        );
        let line = &gateway.wait_access_log(2)[1];
        assert_eq!(
            (&line["status"], &line["attempts"]),
            (&200.into(), &2.into())
        );
    }
}

#[test]
fn a_body_is_sent_again_whole_or_not_at_all() {
    for size in [64 << 10, (64 << 10) + 1, 1 << 20] {
        let body: Vec<u8> = (0..size).map(|at| b"abcdefghijk"[at % 11]).collect();
        let (answer, orders, _gateway) = on_a_dying_connection("PUT", &body);
        let seen = orders.requests();
        if let Some(again) = seen.get(2) {
            assert!(again.body == body, "{size}: {} bytes", again.body.len());
            assert_eq!(answer.status, 200);
        } else {
            assert_refused(&answer, 502, "upstream.closed");
        }
        assert_eq!(orders.faults(), [""; 0]);
    }
}

#[test]
fn an_unsafe_request_is_never_sent_twice() {
    for method in ["POST", "PATCH"] {
        let (answer, orders, gateway) = on_a_dying_connection(method, b"pay 5 EUR");
        assert_refused(&answer, 502, "upstream.closed");
        assert_eq!(orders.requests().len(), 2, "{method}");
        assert_eq!(gateway.wait_access_log(2)[1]["attempts"], 1);
    }
}

#[test]
fn a_restarted_upstream_is_noticed() {
    let mut orders = Backend::start();
    let gateway = Gateway::start(config(
        "[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n",
        &orders,
    ));
    assert_eq!(gateway.get("/").status, 200);
    let addr = orders.addr();
    orders.stop();
    assert_refused(&gateway.get("/"), 502, "upstream.unreachable");
    let _orders = Backend::at(addr);
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_name_that_leads_nowhere_is_503_with_retry_after() {
    let gateway = Gateway::start(
        "[listener.public]\naddress = \"@address.public@\"\n\
         [upstream.orders]\ntargets = [\"orders.invalid:80\"]\n\
         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n",
    );
    let mut client = gateway.client();
    let answer = client.get("/");
    assert_refused(&answer, 503, "upstream.no-target");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let answer = H2c::connect(gateway.addr()).get("/");
    assert_refused(&answer, 503, "upstream.no-target");
    let line = &gateway.wait_access_log(2)[0];
    assert_eq!(
        (&line["upstream"], &line["attempts"]),
        (&"orders".into(), &0.into())
    );
    assert!(line.get("target").is_none());
}

#[test]
fn one_broken_target_does_not_break_the_other() {
    let orders = Backend::start();
    let text = "[upstream.pair]\ntargets = [\"@upstream.orders@\", \"@upstream.gone@\"]\n\
                [route.pair]\nmatch = \"/**\"\nupstream = \"pair\"\n";
    let with_gone = config(text, &orders).upstream("gone", Backend::refusing());
    let gateway = Gateway::start(with_gone);
    let statuses: Vec<u16> = (0..4).map(|_| gateway.get("/").status).collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 200).count(),
        2,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 502).count(),
        2,
        "{statuses:?}"
    );
}

#[test]
fn a_connection_that_the_upstream_wants_closed_is_not_reused() {
    let (gateway, orders) = forwarding("", "");
    orders.always(
        Script::answer(200, "x")
            .header("Connection", "close")
            .ending(Ending::Close),
    );
    let mut client: Client = gateway.client();
    for _ in 0..3 {
        let answer = client.get("/");
        assert_eq!(answer.status, 200);
        assert!(
            !answer.headers.has_token("connection", "close"),
            "their connection, not ours"
        );
    }
    assert_eq!(orders.connections(), 3);
    wait::until(wait::DEADLINE, "closed connections", || {
        orders.connections_open() == 0
    });
    orders.always(Script::echo());
    assert_usable(&mut client, "/");
}
