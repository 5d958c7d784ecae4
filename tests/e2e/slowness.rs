//! Clients that dawdle: each is ended by a deadline, and thousands of them take nothing from the others.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream};
use std::time::Duration;

use harness::client::reading;
use harness::wait::DEADLINE;
use harness::{Config, Gateway, H2Backend, H2Request, H2Stream, connect_from, wait};

use crate::fixture::forwarding;

/// Sends a byte, waits a moment for an answer, and so on; the answer, if one came before the last byte.
fn drip(stream: &mut TcpStream, bytes: usize) -> Option<String> {
    let pause = Duration::from_millis(50);
    stream.set_read_timeout(Some(pause)).unwrap();
    let mut answer = Vec::new();
    for _ in 0..bytes {
        let gone = stream.write_all(b"x").is_err();
        let mut piece = [0; 4096];
        match stream.read(&mut piece) {
            Ok(0) => return Some(String::from_utf8_lossy(&answer).into_owned()),
            Ok(count) => answer.extend_from_slice(&piece[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock && !gone => {}
            Err(_) => return Some(String::from_utf8_lossy(&answer).into_owned()),
        }
    }
    None
}

#[test]
fn a_body_that_drips_is_408_though_it_never_rests() {
    let (gateway, orders) = forwarding("body-timeout = \"1s\"\nbody-rate-min = \"1MiB/s\"", "");
    let head = "POST / HTTP/1.1\r\nHost: x\r\n";
    for framing in [
        "Content-Length: 2000\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n7d0\r\n",
    ] {
        let mut stream = TcpStream::connect(gateway.addr()).unwrap();
        stream
            .write_all(format!("{head}{framing}").as_bytes())
            .unwrap();
        let answer = drip(&mut stream, 2000).expect("an end before the last byte");
        assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        assert!(answer.contains("client.timeout"), "{answer}");
    }
    assert!(orders.requests().is_empty());
    let lines = gateway.wait_access_log(2);
    assert!(
        lines.iter().all(|line| line["code"] == "client.timeout"),
        "{lines:?}"
    );
    // A client's fault is no target's failure.
    assert_eq!(
        gateway.metric("gateway_upstream_attempts_total", &["timed-out"]),
        0
    );
    assert_eq!(gateway.get("/after").status, 200);
}

#[test]
fn a_body_of_http_2_that_drips_is_408_as_well() {
    let keys = "body-timeout = \"1s\"\nbody-rate-min = \"1MiB/s\"";
    let (gateway, orders) = forwarding(keys, "");
    let mut stream = H2Stream::open(gateway.addr(), &H2Request::new("POST", "/"));
    let answer = (0..2000).find_map(|_| {
        stream.send(b"x");
        stream.head_within(Duration::from_millis(50))
    });
    let (status, _) = answer.expect("an end before the last byte");
    assert_eq!(status, 408);
    assert!(orders.requests().is_empty());
    let line = gateway.wait_access_log(1).remove(0);
    assert_eq!(line["code"], "client.timeout");
    assert_eq!(gateway.get("/after").status, 200);
}

#[test]
fn a_call_of_grpc_may_pause_longer_than_a_body() {
    let backend = H2Backend::start();
    let text = "[listener.public]\naddress = \"@address.public@\"\n\
                body-timeout = \"1s\"\nbody-rate-min = \"1MiB/s\"\n\
                [upstream.calls]\ntargets = [\"@upstream.calls@\"]\nprotocol = \"h2\"\n\
                [route.all]\nmatch = \"/**\"\nupstream = \"calls\"\n";
    let gateway = Gateway::start(Config::new(text).upstream("calls", backend.addr()));
    let call = H2Request::new("POST", "/a.B/C").header("content-type", "application/grpc");
    let mut stream = H2Stream::open(gateway.addr(), &call.header("te", "trailers"));
    for _ in 0..2 {
        stream.send(b"\0\0\0\0\x01x");
        assert!(stream.head_within(Duration::from_millis(1500)).is_none());
    }
    stream.finish();
    assert_eq!(stream.head().0, 200);
    assert_eq!(backend.last().body.len(), 12);
}

#[test]
fn a_body_that_is_slow_but_keeps_its_rate_is_taken() {
    let (gateway, orders) = forwarding("body-timeout = \"1s\"\nbody-rate-min = \"1B/s\"", "");
    let mut stream = TcpStream::connect(gateway.addr()).unwrap();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 40\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // Nearly two seconds in all, twice what a body may take that earns nothing.
    assert_eq!(drip(&mut stream, 39), None);
    stream.write_all(b"x").unwrap();
    let answer = reading(&stream, DEADLINE, |_| false);
    assert_eq!(answer.status(), Some(200), "{}", answer.text());
    assert_eq!(orders.last().body.len(), 40);
}

/// Connections from many addresses that send this and nothing more.
fn dawdlers(gateway: &Gateway, count: usize, beginning: &[u8]) -> Vec<TcpStream> {
    (0..count)
        .map(|number| {
            let last = u8::try_from(number % 200).unwrap() + 2;
            let mut stream = connect_from(IpAddr::from([127, 0, 0, last]), gateway.addr());
            stream.write_all(beginning).unwrap();
            stream
        })
        .collect()
}

#[test]
fn two_thousand_slow_clients_stop_nobody() {
    // The heads of the 900 bodies go on to the upstream at once, and that may take a busy machine its time.
    let (gateway, orders) = forwarding(
        "header-timeout = \"5min\"\nbody-timeout = \"5min\"",
        "connect-timeout = \"1min\"",
    );
    let heads = dawdlers(&gateway, 1000, b"GET / HTTP/1.1\r\nHost: x\r\nx-a: ");
    let bodies = dawdlers(
        &gateway,
        900,
        b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
    );
    let frames = dawdlers(
        &gateway,
        100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\0\0\x09\x01\x05",
    );
    wait::until(DEADLINE, "all of them open", || {
        gateway.metric("gateway_connections", &[r#"listener="public""#]) == 2000
    });
    for number in 0..100 {
        assert_eq!(gateway.get(&format!("/normal/{number}")).status, 200);
    }
    let mut kept = gateway.client();
    assert!((0..100).all(|_| kept.get("/kept").status == 200));
    assert_eq!(orders.requests().len(), 200, "no slow one among them");
    assert_eq!(heads.len() + bodies.len() + frames.len(), 2000);
}

#[test]
fn slow_clients_of_one_address_are_cut_at_its_share() {
    let (gateway, _orders) = forwarding(
        "connections-per-ip-max = 100\nheader-timeout = \"5min\"",
        "",
    );
    let one = IpAddr::from([127, 0, 0, 9]);
    let slow: Vec<_> = (0..500)
        .map(|_| {
            let mut stream = connect_from(one, gateway.addr());
            // Whoever is turned away may notice while writing.
            drop(stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n"));
            stream
        })
        .collect();
    wait::until(DEADLINE, "400 turned away", || {
        gateway.metric(
            "gateway_connections_refused_total",
            &[r#"reason="address-full""#],
        ) == 400
    });
    assert_eq!(
        gateway.metric("gateway_connections", &[r#"listener="public""#]),
        100
    );
    assert_eq!(gateway.get("/normal").status, 200);
    assert_eq!(slow.len(), 500);
}
