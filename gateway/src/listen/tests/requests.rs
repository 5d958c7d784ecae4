//! What reaches the upstream, what comes back, and what is kept apart.

use super::*;

#[test]
fn answers_pipelined_requests_in_order() {
    let house = house(settings());
    let mut client = house.connect();
    let requests: Vec<_> = (0..21)
        .map(|n| format!("GET /{n} HTTP/1.1\r\nhost: h\r\n\r\n"))
        .collect();
    let requests = requests.concat();
    client.write_all(requests.as_bytes()).unwrap();
    let mut upstream = house.upstream();
    for n in 0..21 {
        let head = read_until(&mut upstream, |text| text.ends_with("\r\n\r\n"));
        assert!(
            head.starts_with(&format!("GET /{n} HTTP/1.1\r\n")),
            "{head}"
        );
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n{n:04}");
        upstream.write_all(answer.as_bytes()).unwrap();
        let seen = read_until(&mut client, |text| text.ends_with(&format!("{n:04}")));
        assert!(seen.starts_with("HTTP/1.1 200 OK\r\n"), "{seen}");
    }
}

#[test]
fn forwards_bodies_that_come_in_pieces() {
    let house = house(settings());
    let mut client = house.connect();
    let plain = ("content-length: 8", ["abc", "de", "fgh"]);
    let chunked = (
        "transfer-encoding: chunked",
        ["3\r\nab", "c\r\n5\r\ndefgh\r", "\n0\r\n\r\n"],
    );
    let mut upstream = None;
    for (field, pieces) in [plain, chunked] {
        let head = format!("POST / HTTP/1.1\r\nhost: h\r\n{field}\r\n\r\n");
        client.write_all(head.as_bytes()).unwrap();
        let upstream = upstream.get_or_insert_with(|| house.upstream());
        for piece in pieces {
            client.write_all(piece.as_bytes()).unwrap();
        }
        let seen = read_until(upstream, |text| text.contains("fgh"));
        assert!(seen.to_lowercase().contains(field), "{seen}");
        if field.starts_with('t') && !seen.ends_with("0\r\n\r\n") {
            read_until(upstream, |text| text.ends_with("0\r\n\r\n"));
        }
        upstream.write_all(ANSWER.as_bytes()).unwrap();
        read_until(&mut client, |text| text.ends_with("ok"));
    }
}

#[test]
fn withholds_what_comes_early() {
    let house = house(settings());
    let mut client = house.connect();
    let post =
        "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    client
        .write_all(format!("{post}{LOCAL}").as_bytes())
        .unwrap();
    let mut upstream = house.upstream();
    let seen = read_until(&mut upstream, |text| text.ends_with("0\r\n\r\n"));
    assert!(!seen.contains("/local"), "{seen}");
    // More early bytes while the upstream works.
    client.write_all(LOCAL.as_bytes()).unwrap();
    upstream.write_all(ANSWER.as_bytes()).unwrap();
    let seen = read_until(&mut client, |text| text.matches("front 0 1").count() == 2);
    assert!(seen.starts_with("HTTP/1.1 200 OK\r\n"), "{seen}");
}

#[test]
fn gives_up_when_the_client_goes_while_the_upstream_works() {
    let house = house(settings());
    let mut client = house.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
        .unwrap();
    let mut upstream = house.upstream();
    read_until(&mut upstream, |text| text.ends_with("\r\n\r\n"));
    client.shutdown(Shutdown::Both).unwrap();
    assert_eq!(read_to_end(&mut upstream), "");
    wait_until(|| house.counts.closed.load(Ordering::Relaxed) == 1);
}

#[test]
fn ends_the_connection_on_a_malformed_chunk() {
    let house = house(settings());
    let mut client = house.connect();
    client
        .write_all(b"POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n3 \r\nabc\r\n")
        .unwrap();
    let mut upstream = house.upstream();
    assert!(!read_to_end(&mut upstream).contains("abc"));
    let answer = read_to_end(&mut client);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
        "{answer}"
    );
}

#[test]
fn refuses_a_malformed_head_and_closes() {
    let house = house(settings());
    for (head, answer) in [
        ("GET / HTTP/1.1\nhost: h\n\n", "HTTP/1.1 400 "),
        ("GET /%00 HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "),
        ("GET / HTTP/3.0\r\nhost: h\r\n\r\n", "HTTP/1.1 505 "),
        ("CONNECT h:1 HTTP/1.1\r\nhost: h:1\r\n\r\n", "HTTP/1.1 405 "),
        (
            "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: gzip\r\n\r\n",
            "HTTP/1.1 501 ",
        ),
    ] {
        let mut client = house.connect();
        client.write_all(head.as_bytes()).unwrap();
        // Bytes after a refused head must not cost the client its answer.
        client.write_all(&[b'x'; 1000]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let seen = read_to_end(&mut client);
        assert!(
            seen.starts_with(answer) && seen.contains("connection: close"),
            "{seen}"
        );
    }
}

#[test]
fn sends_an_absolute_target_on_in_origin_form() {
    let house = house(settings());
    let mut client = house.connect();
    let mut upstream = None;
    for (line, sent) in [
        ("\r\nGET http://H:80?q", "GET /?q HTTP/1.1\r\n"),
        ("GET http://h/a/b?q", "GET /a/b?q HTTP/1.1\r\n"),
        ("GET http://h", "GET / HTTP/1.1\r\n"),
        ("OPTIONS http://h", "OPTIONS * HTTP/1.1\r\n"),
        ("OPTIONS http://h/", "OPTIONS / HTTP/1.1\r\n"),
    ] {
        client
            .write_all(format!("{line} HTTP/1.1\r\nhost: h\r\n\r\n").as_bytes())
            .unwrap();
        let upstream = upstream.get_or_insert_with(|| house.upstream());
        let head = read_until(upstream, |text| text.ends_with("\r\n\r\n"));
        assert!(head.starts_with(sent), "{head}");
        upstream.write_all(ANSWER.as_bytes()).unwrap();
        read_until(&mut client, |text| text.ends_with("ok"));
    }
}

#[test]
fn keeps_http_1_0_alive_only_on_request() {
    let house = house(settings());
    let mut client = house.connect();
    let keep = "GET /local HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
    for _ in 0..2 {
        let answer = ask(&mut client, keep, "front 0 1");
        assert!(
            answer.to_lowercase().contains("connection: keep-alive"),
            "{answer}"
        );
    }
    client.write_all(b"GET /local HTTP/1.0\r\n\r\n").unwrap();
    assert!(read_to_end(&mut client).ends_with("front 0 1"));
}

#[test]
fn opens_a_tunnel_after_101() {
    let house = house(settings());
    let mut client = house.connect();
    let wish = "GET /ws HTTP/1.1\r\nhost: h\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n";
    client.write_all(wish.as_bytes()).unwrap();
    let mut upstream = house.upstream();
    read_until(&mut upstream, |text| text.ends_with("\r\n\r\n"));
    upstream
        .write_all(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        .unwrap();
    let head = read_until(&mut client, |text| text.ends_with("\r\n\r\n"));
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    for word in ["ping", "pong"] {
        client.write_all(word.as_bytes()).unwrap();
        assert_eq!(read_until(&mut upstream, |text| text == word), word);
        upstream.write_all(word.as_bytes()).unwrap();
        assert_eq!(read_until(&mut client, |text| text == word), word);
    }
}

#[test]
fn speaks_http2_however_the_preface_is_cut() {
    let house = house(settings());
    let mut client = house.connect();
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
        client.write_all(std::slice::from_ref(byte)).unwrap();
    }
    // An empty SETTINGS frame, then HEADERS with GET, http, /local and host `h`, from the static table and literals.
    client.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
    let fields = b"\x82\x86\x04\x06/local\x01\x01h";
    let length = u8::try_from(fields.len()).unwrap();
    client.write_all(&[0, 0, length, 1, 5, 0, 0, 0, 1]).unwrap();
    client.write_all(fields).unwrap();
    let seen = read_until(&mut client, |text| text.contains("front 0 0"));
    assert!(seen.contains("front 0 0"), "{seen:?}");
}

#[test]
fn says_goaway_on_http2_when_draining() {
    let house = house(settings());
    let mut client = house.connect();
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .unwrap();
    // Our SETTINGS are acknowledged once the connection is being served.
    read_until(&mut client, |text| text.contains("\0\0\0\x04\x01\0\0\0\0"));
    house.listeners.drain_all();
    read_until(&mut client, |text| text.contains("\0\0\x08\x07\0\0\0\0\0"));
}

#[test]
fn refuses_a_preface_where_http2_is_off() {
    let house = house(Settings {
        http2: false,
        ..settings()
    });
    let mut client = house.connect();
    client
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .unwrap();
    assert!(read_to_end(&mut client).starts_with("HTTP/1.1 505 "));
}

#[test]
fn serves_a_unix_socket_and_replaces_a_stale_one() {
    let path = std::env::temp_dir().join(format!("accept-path-{}.sock", std::process::id()));
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let house = house(Settings::new("front", Address::Unix(path.clone())));
    let mut client = UnixStream::connect(&path).unwrap();
    assert!(ask(&mut client, LOCAL, "front 0 1").starts_with("HTTP/1.1 200 OK\r\n"));
    let taken = house.listeners.prepare(vec![
        settings(),
        Settings::new("b", Address::Unix(path.clone())),
    ]);
    assert!(taken.is_ok(), "an open address is kept, not bound again");
    house.listeners.drain_all();
    assert!(!path.exists());
}
