//! The PROXY protocol: from trusted proxies only, whole or not at all, and the client it announces is the client everywhere.

use std::io::Write;
use std::net::IpAddr;

use harness::client::reading;
use harness::wait::DEADLINE;
use harness::{Backend, Config, Gateway, connect_from, raw, wait};

use crate::fixture;

const KEYS: &str = "proxy-protocol = true\ntrusted-proxies = [\"127.0.0.0/24\"]\n";

fn gateway(keys: &str) -> (Gateway, Backend) {
    fixture::forwarding(&format!("{KEYS}{keys}"), "")
}

fn get(close: bool) -> &'static [u8] {
    if close {
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    } else {
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    }
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [
        b"\r\n\r\n\0\r\nQUIT\n",
        &[command, family, length[0], length[1]][..],
        rest,
    ]
    .concat()
}

/// 192.0.2.7:4711 → 198.51.100.1:443
const FOUR: [u8; 12] = [192, 0, 2, 7, 198, 51, 100, 1, 0x12, 0x67, 1, 0xbb];

fn turned_away(gateway: &Gateway, reason: &str) -> u64 {
    let reason = format!("reason=\"{reason}\"");
    gateway.metric("gateway_connections_refused_total", &[&reason])
}

#[test]
fn the_announced_address_is_the_client() {
    let (gateway, backend) = gateway("");
    let extended = [&FOUR[..], &[0x01, 0, 2, b'h', b'2']].concat();
    let six = [[0_u8; 15].as_slice(), &[1], &[0; 15], &[2], &[0, 1, 0, 2]].concat();
    for (header, client) in [
        (
            b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n".to_vec(),
            "192.0.2.7",
        ),
        (
            b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n".to_vec(),
            "2001:db8::7",
        ),
        (v2(0x21, 0x11, &FOUR), "192.0.2.7"),
        (v2(0x21, 0x11, &extended), "192.0.2.7"),
        (v2(0x21, 0x21, &six), "::1"),
        // The proxy's own check, and clients without an address: the connection is what it is.
        (v2(0x20, 0x00, &[]), "127.0.0.1"),
        (v2(0x21, 0x31, &[0; 216]), "127.0.0.1"),
        (b"PROXY UNKNOWN\r\n".to_vec(), "127.0.0.1"),
    ] {
        let answer = raw(gateway.addr(), &[&header, get(true)].concat());
        assert_eq!(answer.status(), Some(200), "{client}: {}", answer.text());
        assert_eq!(backend.last().header("x-forwarded-for"), Some(client));
    }
    let log = gateway.wait_access_log(8);
    assert_eq!(log[0]["client"], "192.0.2.7");
}

#[test]
fn a_header_that_trickles_in_and_what_follows_it_are_told_apart() {
    let (gateway, backend) = gateway("");
    let mut stream = connect_from(IpAddr::from([127, 0, 0, 1]), gateway.addr());
    for byte in b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    for _ in 0..2 {
        stream.write_all(get(false)).unwrap();
        reading(&stream, DEADLINE, |bytes| bytes.ends_with(b"}"));
    }
    assert_eq!(backend.requests().len(), 2);
    assert_eq!(backend.last().header("x-forwarded-for"), Some("192.0.2.7"));
}

#[test]
fn a_client_behind_a_proxy_cannot_announce_another() {
    let (gateway, backend) = gateway("");
    let request =
        b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\r\nGET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(gateway.addr(), request).status(), Some(200));
    assert_eq!(backend.last().header("x-forwarded-for"), Some("192.0.2.7"));
}

#[test]
fn what_is_missing_or_malformed_is_closed_unanswered() {
    let (gateway, backend) = gateway("");
    let cases: [&[u8]; 7] = [
        get(true),
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 99999\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x22\x11\0\x0c",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ];
    for case in cases {
        let answer = raw(gateway.addr(), case);
        assert!(
            answer.closed && answer.bytes.is_empty(),
            "{}",
            answer.text()
        );
    }
    wait::until(DEADLINE, "all counted", || {
        turned_away(&gateway, "proxy-header") == 7
    });
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn a_header_that_is_late_is_not_waited_for() {
    let (gateway, _backend) = gateway("header-timeout = \"100ms\"");
    let silent = raw(gateway.addr(), b"PROXY TCP4 1.1.1.1");
    assert!(silent.closed && silent.bytes.is_empty());
    assert_eq!(turned_away(&gateway, "proxy-header"), 1);
}

#[test]
fn nobody_but_a_trusted_proxy_may_connect() {
    let (gateway, backend) = gateway("");
    let stranger = connect_from(IpAddr::from([127, 0, 1, 1]), gateway.addr());
    let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
    // It may be gone before everything was sent.
    drop((&stranger).write_all(&[&header[..], get(true)].concat()));
    let answer = reading(&stranger, DEADLINE, |_| false);
    assert!(answer.closed && answer.bytes.is_empty());
    wait::until(DEADLINE, "one counted", || {
        turned_away(&gateway, "untrusted") == 1
    });
    assert_eq!(backend.requests().len(), 0);
}

#[test]
fn announced_clients_are_counted_each_by_their_address() {
    let (gateway, _backend) = gateway("connections-per-ip-max = 1");
    let open = |client: &str| {
        let stream = connect_from(IpAddr::from([127, 0, 0, 1]), gateway.addr());
        let header = format!("PROXY TCP4 {client} 198.51.100.1 4711 443\r\n");
        let bytes = [header.as_bytes(), get(false)].concat();
        drop((&stream).write_all(&bytes));
        let status = reading(&stream, DEADLINE, |bytes| bytes.ends_with(b"}")).status();
        (stream, status)
    };
    let one = open("192.0.2.1");
    let two = open("192.0.2.2");
    let again = open("192.0.2.1");
    assert_eq!((one.1, two.1, again.1), (Some(200), Some(200), None));
    assert_eq!(turned_away(&gateway, "address-full"), 1);
    drop(one.0);
    wait::until(DEADLINE, "a free place", || {
        open("192.0.2.1").1 == Some(200)
    });
}

#[test]
fn a_unix_socket_can_be_introduced_too() {
    let backend = Backend::start();
    let gateway = Gateway::start(
        Config::new(format!(
            "[listener.public]\naddress = \"unix:@dir@/public.sock\"\n{KEYS}\
             [upstream.all]\ntargets = [\"@upstream.all@\"]\n[route.all]\nmatch = \"/**\"\nupstream = \"all\"\n"
        ))
        .upstream("all", backend.addr()),
    );
    let path = gateway.path("public.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    stream.write_all(&v2(0x21, 0x11, &FOUR)).unwrap();
    stream.write_all(get(true)).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(backend.last().header("x-forwarded-for"), Some("192.0.2.7"));
}
