//! Upgrades: a WebSocket passes as a tunnel of bytes, and no policy is skipped because a request asks for one.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use harness::{Client, Config, Gateway, Script};

use crate::fixture::{assert_refused, assert_usable, forwarding, gateway};

const HANDSHAKE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

fn shake_hands(gateway: &Gateway) -> Client {
    let mut client = gateway.client();
    let answer = client.request("GET", "/chat", &HANDSHAKE, b"");
    assert_eq!(answer.status, 101, "{}", answer.text());
    assert!(answer.headers.has_token("upgrade", "websocket"));
    assert!(answer.headers.has_token("connection", "upgrade"));
    client
}

#[test]
fn a_websocket_is_a_tunnel() {
    let (gateway, orders) = forwarding("", "");
    orders.always(Script::upgrade());
    let mut client = shake_hands(&gateway);
    let seen = orders.last();
    assert!(seen.headers.has_token("connection", "upgrade"));
    assert!(seen.headers.has_token("upgrade", "websocket"));
    assert_eq!(seen.header("sec-websocket-version"), Some("13"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    for message in [
        &b"hello"[..],
        b"\x00\xff\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ] {
        client.send(message).unwrap();
        assert_eq!(client.read_exactly(message.len()), message);
    }
    let large = vec![7; 200_000];
    let sending = {
        use std::io::Write;
        let (mut stream, large) = (client.stream().try_clone().unwrap(), large.clone());
        std::thread::spawn(move || stream.write_all(&large).unwrap())
    };
    assert!(client.read_exactly(large.len()) == large);
    sending.join().unwrap();
}

#[test]
fn a_tunnel_ends_with_either_side() {
    let (gateway, orders) = forwarding("", "");
    orders.always(Script::upgrade());
    let mut client = shake_hands(&gateway);
    orders.close_connections();
    client.wait_closed();

    let client = shake_hands(&gateway);
    drop(client);
    harness::wait::until(
        harness::wait::DEADLINE,
        "the upstream's side to end",
        || orders.connections_open() == 0,
    );
    let lines = gateway.wait_access_log(2);
    assert!(lines.iter().all(|line| line["status"] == 101), "{lines:?}");
}

#[test]
fn early_bytes_of_a_tunnel_wait_for_the_upgrade() {
    let (gateway, orders) = forwarding("", "");
    orders.always(Script::upgrade());
    let mut client = gateway.client();
    let message = "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\nearly";
    client.send(message.as_bytes()).unwrap();
    assert_eq!(client.receive_head().0, 101);
    assert_eq!(client.read_exactly(5), b"early");
}

#[test]
fn an_upstream_may_decline() {
    let (gateway, orders) = forwarding("", "");
    orders.always(Script::answer(200, "no websocket here"));
    let mut client = gateway.client();
    let answer = client.request("GET", "/chat", &HANDSHAKE, b"");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (200, "no websocket here")
    );
    assert_usable(&mut client, "/");
}

#[test]
fn policies_judge_an_upgrade_first() {
    let (gateway, orders) = gateway(
        r#"
        [route.chat]
        match = "/chat"
        upstream = "orders"
        ip-filter = { deny = ["127.0.0.0/8"] }
        [route.rest]
        match = "/**"
        upstream = "orders"
        "#,
    );
    orders.once(Script::upgrade());
    let mut client = gateway.client();
    let answer = client.request("GET", "/chat", &HANDSHAKE, b"");
    assert_refused(&answer, 403, "ip-filter.denied");
    assert_refused(
        &client.request("GET", "/%2Fx", &HANDSHAKE, b""),
        400,
        "path.encoded-slash",
    );
    assert_eq!(orders.connections(), 0);
    let lines = gateway.wait_access_log(2);
    assert_eq!(lines[0]["code"], "ip-filter.denied");
}

#[test]
fn an_upgrade_nobody_asked_for_is_no_tunnel() {
    let (gateway, orders) = forwarding("", "");
    orders.always(Script::upgrade());
    let answer = gateway.get("/");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (502, "upstream.bad-response")
    );
}

#[test]
fn other_protocols_are_not_offered_to_the_upstream() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    let headers = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
    ];
    assert_eq!(client.request("GET", "/", &headers, b"").status, 200);
    let seen = orders.last();
    assert!(!seen.headers.has("upgrade") && !seen.headers.has("http2-settings"));
    assert_usable(&mut client, "/");
}

#[test]
fn a_tunnel_opens_though_its_upstream_agrees_unasked() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // Before a byte of the request was read, or has come at all.
            let agreed = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
            stream.write_all(agreed.as_bytes()).unwrap();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut line = String::new();
                while line != "\r\n" {
                    line.clear();
                    reader.read_line(&mut line).unwrap();
                }
                let mut bytes = [0; 5];
                reader.read_exact(&mut bytes).unwrap();
                stream.write_all(&bytes).unwrap();
            });
        }
    });
    let text = "[listener.public]\naddress = \"@address.public@\"\n\
                [upstream.orders]\ntargets = [\"@upstream.orders@\"]\n\
                [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n";
    let gateway = Gateway::start(Config::new(text).upstream("orders", addr));
    for _ in 0..50 {
        let mut client = shake_hands(&gateway);
        client.send(b"hello").unwrap();
        assert_eq!(client.read_exactly(5), b"hello");
    }
}
