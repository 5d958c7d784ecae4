//! Streams: answers without a natural end outlive their route's timeout, are cut when both sides fall silent or when they
//! are too old, and pass piece by piece.

use std::time::{Duration, Instant};

use harness::wait::{self, DEADLINE};
use harness::{Backend, Client, Gate, Gateway, H2Request, H2Stream, Script};

use crate::fixture::config;

const HANDSHAKE: &str = "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Two routes, `/chat` and `/events/**`, with these keys.
fn gateway(keys: &str, listener: &str, orders: &Backend) -> Gateway {
    Gateway::start(text(keys, listener, orders))
}

fn text(keys: &str, listener: &str, orders: &Backend) -> harness::Config {
    let routes = format!(
        "[route.chat]\nmatch = \"/chat\"\nupstream = \"orders\"\n{keys}\n\
         [route.events]\nmatch = \"/events/**\"\nupstream = \"orders\"\n{keys}\n"
    );
    crate::fixture::config_with(listener, "read-timeout = \"3s\"", &routes, orders)
}

fn tunnel(gateway: &Gateway, orders: &Backend) -> Client {
    orders.on("/chat", Script::upgrade());
    let mut client = gateway.client();
    client.send(HANDSHAKE.as_bytes()).unwrap();
    assert_eq!(client.receive_head().0, 101);
    client
}

fn round_trip(client: &mut Client) {
    client.send(b"ping").unwrap();
    assert_eq!(client.read_exactly(4), b"ping");
}

/// Goes on until the clock has passed every limit that must not matter.
fn for_longer_than(time: Duration, mut work: impl FnMut()) {
    let start = Instant::now();
    while start.elapsed() < time {
        work();
    }
}

fn events(gate: &Gate, count: usize) -> Script {
    let pieces = (0..count).map(|n| format!("data: {n:03}\n\n"));
    Script::trickle(gate, pieces).header("content-type", "text/event-stream; charset=utf-8")
}

#[test]
fn a_tunnel_outlives_the_timeouts_of_requests() {
    let orders = Backend::start();
    let gateway = gateway("timeout = \"1s\"", "body-timeout = \"1s\"", &orders);
    let mut client = tunnel(&gateway, &orders);
    for_longer_than(Duration::from_millis(3300), || {
        std::thread::yield_now();
    });
    round_trip(&mut client);
    for_longer_than(Duration::from_millis(3300), || round_trip(&mut client));
}

/// Pingora may meet the 101 before it has handed on that the request has no body, and must not take one for the other.
#[test]
fn a_tunnel_opens_however_fast_its_upstream_agrees() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || agree_at_once(stream.unwrap()));
        }
    });
    let routes = "[route.chat]\nmatch = \"/chat\"\nupstream = \"orders\"\n";
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n\
         [upstream.orders]\ntargets = [\"@upstream.orders@\"]\n{routes}"
    );
    let gateway = Gateway::start(harness::Config::new(text).upstream("orders", address));
    for _ in 0..24 {
        let mut client = gateway.client();
        client.send(HANDSHAKE.as_bytes()).unwrap();
        assert_eq!(client.receive_head().0, 101);
        round_trip(&mut client);
    }
}

/// Sends its 101 with the first byte that it reads, then echoes what follows the request.
fn agree_at_once(mut stream: std::net::TcpStream) {
    use std::io::{Read, Write};
    let agreed =
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    stream.peek(&mut [0]).unwrap();
    stream.write_all(agreed).unwrap();
    let (mut received, mut buffer) = (Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = stream.read(&mut buffer) {
        received.extend_from_slice(&buffer[..count]);
        let head = received.windows(4).position(|part| part == b"\r\n\r\n");
        if let Some(head) = head {
            let echo = received.split_off(head + 4);
            stream.write_all(&echo).ok();
        }
    }
}

#[test]
fn a_tunnel_is_cut_when_both_sides_are_silent() {
    let orders = Backend::start();
    let gateway = gateway("stream-idle-timeout = \"1s\"", "", &orders);
    let mut client = tunnel(&gateway, &orders);
    for_longer_than(Duration::from_millis(1300), || round_trip(&mut client));
    client.wait_closed();
    wait::until(DEADLINE, "the upstream's side to end", || {
        orders.connections_open() == 0
    });
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["status"], &line["code"]),
        (&101.into(), &"stream.idle".into())
    );
}

#[test]
fn a_tunnel_is_cut_when_it_is_too_old() {
    let orders = Backend::start();
    let gateway = gateway("stream-max = \"800ms\"", "", &orders);
    let mut client = tunnel(&gateway, &orders);
    let ended = wait::try_until(DEADLINE, || {
        client.send(b"ping").err().or_else(|| {
            let mut byte = [0; 4];
            std::io::Read::read_exact(&mut client.stream(), &mut byte).err()
        })
    });
    assert!(ended.is_some(), "the tunnel should have been cut");
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(line["code"], "stream.too-long");
}

#[test]
fn a_tunnel_survives_reloads_that_leave_its_route() {
    let orders = Backend::start();
    let mut gateway = gateway("timeout = \"1s\"", "", &orders);
    let mut client = tunnel(&gateway, &orders);
    round_trip(&mut client);
    // Another route, another limit of the listener, another setting of the upstream.
    let changed = text(
        "timeout = \"2s\"",
        "headers-max = 50\nbody-timeout = \"10s\"",
        &orders,
    );
    gateway.rewrite_and_wait(changed);
    round_trip(&mut client);
    let fewer = config(
        "[route.other]\nmatch = \"/other\"\nrespond = { status = 204 }\n",
        &orders,
    );
    gateway.rewrite_and_wait(fewer);
    assert_eq!(gateway.get("/other").status, 204);
    round_trip(&mut client);
}

#[test]
fn a_tunnel_lasts_until_the_grace_time_is_over() {
    let orders = Backend::start();
    let routes = "[route.chat]\nmatch = \"/chat\"\nupstream = \"orders\"\n[server]\nshutdown-grace = \"1500ms\"\n";
    let mut gateway = Gateway::start(config(routes, &orders));
    let mut client = tunnel(&gateway, &orders);
    gateway.signal("TERM");
    wait::until(DEADLINE, "no more connections", || {
        Client::try_connect(gateway.addr()).is_err()
    });
    round_trip(&mut client);
    gateway.wait_exit(DEADLINE);
    client.wait_closed();
}

#[test]
fn events_reach_a_client_of_http_1_one_by_one() {
    let orders = Backend::start();
    let gateway = gateway("timeout = \"1s\"", "body-timeout = \"1s\"", &orders);
    let gate = Gate::new();
    orders.on("/events/1", events(&gate, 3));
    let mut client = gateway.client();
    client
        .send(b"GET /events/1 HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    assert_eq!(client.receive_head().0, 200);
    for n in 0..3 {
        // Longer than the route's timeout and the upstream's read timeout.
        for_longer_than(Duration::from_millis(1100), std::thread::yield_now);
        gate.step();
        let piece = format!("B\r\ndata: {n:03}\n\n\r\n");
        assert_eq!(client.read_exactly(piece.len()), piece.as_bytes());
    }
    gate.open();
    assert_eq!(client.read_exactly(5), b"0\r\n\r\n");
    crate::fixture::assert_usable(&mut client, "/events/other");
}

#[test]
fn events_reach_a_client_of_http_2_one_by_one() {
    let orders = Backend::start();
    let gateway = gateway("timeout = \"1s\"", "", &orders);
    let gate = Gate::new();
    orders.on("/events/1", events(&gate, 3));
    let mut stream = H2Stream::open(gateway.addr(), &H2Request::new("GET", "/events/1"));
    stream.finish();
    assert_eq!(stream.head().0, 200);
    for n in 0..3 {
        for_longer_than(Duration::from_millis(1100), std::thread::yield_now);
        gate.step();
        assert_eq!(
            stream.receive_exactly(11),
            format!("data: {n:03}\n\n").as_bytes()
        );
    }
    gate.open();
    assert_eq!(stream.receive().unwrap(), None);
}

#[test]
fn events_are_cut_when_the_upstream_is_silent() {
    let orders = Backend::start();
    let gateway = gateway("stream-idle-timeout = \"800ms\"", "", &orders);
    let gate = Gate::new();
    gate.step();
    orders.on("/events/1", events(&gate, 2));
    let mut stream = H2Stream::open(gateway.addr(), &H2Request::new("GET", "/events/1"));
    stream.finish();
    assert_eq!(stream.head().0, 200);
    assert_eq!(stream.receive_exactly(11), b"data: 000\n\n");
    assert!(stream.receive().is_err(), "a cut is no end");
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["status"], &line["code"]),
        (&200.into(), &"stream.idle".into())
    );
    gate.open();
}

#[test]
fn a_request_of_http_2_ends_with_its_routes_timeout() {
    let orders = Backend::start();
    let routes = "[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\ntimeout = \"1s\"\n";
    let gateway = Gateway::start(config(routes, &orders));
    let gate = Gate::new();
    gate.step();
    orders.always(Script::trickle(&gate, ["one", "two"]));
    let start = Instant::now();
    let mut stream = H2Stream::open(gateway.addr(), &H2Request::new("GET", "/"));
    stream.finish();
    assert_eq!(stream.head().0, 200);
    assert_eq!(stream.receive_exactly(3), b"one");
    assert!(stream.receive().is_err(), "a cut is no end");
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "30 s are the upstream's read timeout"
    );
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["status"], &line["code"]),
        (&200.into(), &"request.timeout".into())
    );
    gate.open();
}

#[test]
fn a_slow_upload_is_not_the_upstreams_silence() {
    let orders = Backend::start();
    let gateway = gateway("timeout = \"20s\"", "", &orders);
    let mut stream = H2Stream::open(gateway.addr(), &H2Request::new("POST", "/events/upload"));
    for _ in 0..4 {
        for_longer_than(Duration::from_millis(800), std::thread::yield_now);
        stream.send(b"piece");
    }
    stream.finish();
    assert_eq!(stream.head().0, 200);
    assert_eq!(orders.last().body, b"piece".repeat(4));
}

#[test]
fn a_client_that_cancels_is_gone() {
    let orders = Backend::start();
    let gateway = gateway("", "", &orders);
    orders.on("/events/1", Script::stall());
    let mut stream = H2Stream::open(gateway.addr(), &H2Request::new("GET", "/events/1"));
    stream.finish();
    orders.wait_requests(1);
    stream.cancel();
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["status"], &line["code"]),
        (&499.into(), &"client.gone".into())
    );
}
