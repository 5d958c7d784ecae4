//! What client and listener agree on, and handshakes that come to nothing.

use std::io::Write;
use std::net::TcpStream;

use harness::client::reading;
use harness::wait::DEADLINE;
use harness::{H2Request, H2c, Tls, raw, wait};
use rustls::{NamedGroup, ProtocolVersion, version};

use super::start;

#[test]
fn serves_http_1_1_and_tells_the_upstream() {
    let (gateway, authority, orders) = start("", "");
    let mut client = Tls::new(&authority, "localhost").connect(gateway.addr());
    for _ in 0..3 {
        assert_eq!(client.get("/orders").status, 200);
    }
    assert_eq!(orders.last().header("x-forwarded-proto"), Some("https"));
    let large = vec![b'x'; 300_000];
    let answer = client.request("POST", "/orders", &[], &large);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(orders.last().body.len(), large.len());
}

#[test]
fn agrees_on_http2_by_alpn() {
    let (gateway, authority, _orders) = start("", "");
    let tls = Tls::new(&authority, "localhost");
    let mut client = H2c::connect_tls(gateway.addr(), &tls);
    let together = client.together(vec![
        H2Request::new("GET", "/a"),
        H2Request::new("GET", "/b"),
    ]);
    for answer in together {
        assert_eq!(answer.expect("an answer").status, 200);
    }
    let agreed = |offered: &[&str]| {
        let client = tls.clone().alpn(offered).connect(gateway.addr());
        client.shaken().alpn.clone()
    };
    assert_eq!(agreed(&["http/1.1", "h2"]).as_deref(), Some("h2"));
    assert_eq!(agreed(&["http/1.1"]).as_deref(), Some("http/1.1"));
    assert_eq!(agreed(&[]), None);
    assert!(tls.alpn(&["spdy/1"]).try_connect(gateway.addr()).is_err());
    gateway.wait_log("no-shared-protocol");
}

#[test]
fn speaks_only_the_protocol_that_was_agreed_on() {
    let (gateway, authority, orders) = start("", "");
    let tls = Tls::new(&authority, "localhost");
    let mut client = tls.clone().alpn(&["h2"]).connect(gateway.addr());
    client
        .send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .ok();
    assert!(
        client.try_receive("GET").is_err(),
        "no HTTP/1.1 where h2 was agreed on"
    );
    let mut client = tls.alpn(&["http/1.1"]).connect(gateway.addr());
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").ok();
    assert_eq!(client.receive("GET").status, 505);
    assert_eq!(orders.requests().len(), 0);
}

#[test]
fn http2_can_be_left_out() {
    let (gateway, authority, _orders) = start("http2 = false", "");
    let tls = Tls::new(&authority, "localhost").alpn(&["h2", "http/1.1"]);
    let mut client = tls.connect(gateway.addr());
    assert_eq!(client.shaken().alpn.as_deref(), Some("http/1.1"));
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn refuses_versions_below_the_least() {
    let (gateway, authority, _orders) = start("", "");
    let tls = Tls::new(&authority, "localhost");
    for (only, expected) in [
        (&version::TLS12, ProtocolVersion::TLSv1_2),
        (&version::TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let mut client = tls.clone().only(only).connect(gateway.addr());
        assert_eq!(client.shaken().version, expected);
        assert_eq!(client.get("/").status, 200);
    }
    let (gateway, authority, _orders) = start("", "version-min = \"1.3\"");
    let tls = Tls::new(&authority, "localhost");
    let old = tls
        .clone()
        .only(&version::TLS12)
        .try_connect(gateway.addr());
    assert!(old.is_err(), "{old:?}");
    gateway.wait_log("no-shared-version");
    assert_eq!(tls.connect(gateway.addr()).get("/").status, 200);
}

#[test]
fn agrees_on_a_post_quantum_group() {
    let (gateway, authority, _orders) = start("", "");
    let client = Tls::new(&authority, "localhost").connect(gateway.addr());
    assert_eq!(client.shaken().group, Some(NamedGroup::X25519MLKEM768));
}

#[test]
fn resumes_sessions() {
    let (gateway, authority, _orders) = start("", "");
    for only in [&version::TLS12, &version::TLS13] {
        let tls = Tls::new(&authority, "localhost").only(only);
        let mut first = tls.connect(gateway.addr());
        assert!(!first.shaken().resumed);
        // Tickets of TLS 1.3 come with the first answer.
        assert_eq!(first.get("/").status, 200);
        let mut second = tls.connect(gateway.addr());
        assert!(second.shaken().resumed, "{only:?}");
        assert_eq!(second.get("/").status, 200);
    }
}

#[test]
fn closes_what_is_no_tls_unanswered() {
    let (gateway, _authority, orders) = start("", "");
    let answer = raw(gateway.addr(), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(answer.closed && answer.bytes.is_empty(), "{answer:?}");
    assert_eq!(orders.requests().len(), 0);
    let labels = [r#"listener="public""#, r#"result="not-tls""#];
    wait::until(DEADLINE, "the failure in the metrics", || {
        gateway.metric("gateway_tls_handshakes_total", &labels) == 1
    });
}

#[test]
fn closes_a_handshake_that_takes_too_long() {
    let (gateway, authority, _orders) = start("", "handshake-timeout = \"300ms\"");
    // The beginning of a record that never ends.
    for begun in [&b""[..], &[22, 3, 1, 2, 0, 1]] {
        let mut stream = TcpStream::connect(gateway.addr()).unwrap();
        stream.write_all(begun).unwrap();
        assert!(reading(&stream, DEADLINE, |_| false).closed);
    }
    let labels = [r#"listener="public""#, r#"result="timeout""#];
    wait::until(DEADLINE, "both in the metrics", || {
        gateway.metric("gateway_tls_handshakes_total", &labels) == 2
    });
    let mut client = Tls::new(&authority, "localhost").connect(gateway.addr());
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_proxy_header_comes_before_the_handshake() {
    let keys = "proxy-protocol = true\ntrusted-proxies = [\"127.0.0.0/8\"]";
    let (gateway, authority, orders) = start(keys, "");
    let mut stream = TcpStream::connect(gateway.addr()).unwrap();
    let header = b"PROXY TCP4 198.51.100.7 192.0.2.1 4711 443\r\n";
    stream.write_all(header).unwrap();
    let client = Tls::new(&authority, "localhost").over(stream);
    assert_eq!(client.unwrap().get("/").status, 200);
    let forwarded = orders.last();
    assert_eq!(forwarded.header("x-forwarded-for"), Some("198.51.100.7"));
    assert_eq!(forwarded.header("x-forwarded-proto"), Some("https"));
}

#[test]
fn an_idle_connection_ends_with_a_word() {
    let (gateway, authority, _orders) = start("idle-timeout = \"200ms\"", "");
    let mut client = Tls::new(&authority, "localhost").connect(gateway.addr());
    assert_eq!(client.get("/").status, 200);
    // The client takes an end without `close_notify` for an error.
    client.wait_closed();
}

#[test]
fn an_idle_connection_is_small() {
    const CONNECTIONS: u64 = 400;
    let (gateway, authority, _orders) = start("", "");
    let tls = Tls::new(&authority, "localhost");
    let connect = |count: u64| -> Vec<_> {
        let served = |_| {
            let mut client = tls.connect(gateway.addr());
            assert_eq!(client.get("/").status, 200);
            client
        };
        (0..count).map(served).collect()
    };
    let warm = connect(50);
    let before = gateway.rss_kib();
    let idle = connect(CONNECTIONS);
    let each = gateway.rss_kib().saturating_sub(before) / CONNECTIONS;
    assert!(each <= 24, "{each} KiB a connection");
    drop((warm, idle));
}
