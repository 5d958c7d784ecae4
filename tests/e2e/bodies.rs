//! Bodies in both directions, and answers that have none: every framing, every size around the buffers.

use harness::{Backend, Client, Gate, H2Request, H2c, Script, wait};

use crate::fixture::{assert_usable, forwarding};

/// Nothing, a byte, what Pingora buffers for a retry, one more, and more than any buffer.
const SIZES: [usize; 5] = [0, 1, 64 << 10, (64 << 10) + 1, 1 << 20];

/// Bytes that show if a piece is lost, doubled or moved.
fn body(size: usize) -> Vec<u8> {
    (0..size).map(|at| b"abcdefghijk"[at % 11]).collect()
}

/// A whole chunked message, in chunks of this size.
fn chunked(body: &[u8], chunk: usize) -> Vec<u8> {
    let mut message = b"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for piece in body.chunks(chunk) {
        message.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        message.extend_from_slice(piece);
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"0\r\n\r\n");
    message
}

/// Sends beside reading, so that neither side waits for the other.
fn send_all(client: &Client, bytes: Vec<u8>) -> std::thread::JoinHandle<()> {
    use std::io::Write;
    let mut stream = client.stream().try_clone().unwrap();
    std::thread::spawn(move || stream.write_all(&bytes).unwrap())
}

#[track_caller]
fn assert_received(orders: &Backend, body: &[u8]) {
    let received = orders.last().body;
    assert_eq!(received.len(), body.len());
    assert!(received == body, "the same bytes in the same order");
    assert_eq!(orders.faults(), [""; 0]);
}

#[test]
fn a_body_with_a_length_arrives_whole() {
    let (gateway, orders) = forwarding("", "");
    orders.always(Script::answer(200, "ok"));
    let mut client = gateway.client();
    for size in SIZES {
        let body = body(size);
        let length = size.to_string();
        let headers = [("Content-Length", length.as_str())];
        let answer = client.request("POST", "/l", &headers, &body);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "ok"),
            "{size}"
        );
        assert_received(&orders, &body);
        assert_eq!(
            orders.last().header("content-length"),
            Some(length.as_str())
        );
    }
    let lines = gateway.wait_access_log(SIZES.len());
    for (line, size) in lines.iter().zip(SIZES) {
        assert_eq!(
            (&line["bytes_in"], &line["bytes_out"]),
            (&size.into(), &2.into())
        );
    }
}

#[test]
fn a_chunked_body_arrives_whole() {
    let (gateway, orders) = forwarding("", "");
    orders.always(Script::answer(200, "ok"));
    let mut client = gateway.client();
    for size in SIZES {
        for chunk in [16 << 10, 1000] {
            let body = body(size);
            let sending = send_all(&client, chunked(&body, chunk));
            let answer = client.receive("POST");
            sending.join().unwrap();
            assert_eq!(answer.status, 200, "{size} in chunks of {chunk}");
            assert_received(&orders, &body);
            assert!(
                orders
                    .last()
                    .headers
                    .has_token("transfer-encoding", "chunked")
            );
        }
    }
}

#[test]
fn a_body_from_http2_arrives_whole() {
    let (gateway, orders) = forwarding("", "");
    orders.always(Script::answer(200, "ok"));
    let mut client = H2c::connect(gateway.addr());
    for size in SIZES {
        let body = body(size);
        assert_eq!(client.post("/h2", &body).status, 200, "{size}");
        assert_received(&orders, &body);
        let length = size.to_string();
        let request = H2Request::new("POST", "/h2").header("content-length", &length);
        assert_eq!(
            client.request(request.body(body.as_slice())).status,
            200,
            "{size}"
        );
        assert_received(&orders, &body);
    }
}

#[test]
fn a_body_of_a_single_byte_chunks_arrives_whole() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    client.send(&chunked(&body(300), 1)).unwrap();
    assert_eq!(client.receive("POST").status, 200);
    assert_received(&orders, &body(300));
    assert_usable(&mut client, "/");
}

#[test]
fn an_answer_arrives_whole_in_every_framing() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    let mut h2 = H2c::connect(gateway.addr());
    for size in SIZES {
        let body = body(size);
        orders.on("/length", Script::answer(200, body.as_slice()));
        orders.on(
            "/chunks",
            Script::chunks(body.chunks(10_000).map(<[u8]>::to_vec)),
        );
        orders.on("/close", Script::until_close(body.as_slice()));
        for path in ["/length", "/chunks", "/close"] {
            for answer in [client.get(path), h2.get(path)] {
                assert_eq!(answer.status, 200, "{path} {size}");
                assert!(answer.body == body, "{path} {size} {}", answer.version);
            }
        }
    }
}

#[test]
fn a_large_answer_arrives_whole() {
    let (gateway, orders) = forwarding("", "");
    let body = body(12 << 20);
    orders.always(Script::answer(200, body.as_slice()));
    let mut client = gateway.client();
    assert!(client.get("/").body == body);
    assert!(H2c::connect(gateway.addr()).get("/").body == body);
    assert!(client.get("/").body == body);
}

#[test]
fn an_answer_streams_as_it_comes() {
    let (gateway, orders) = forwarding("", "");
    let gate = Gate::new();
    orders.always(Script::trickle(&gate, ["one", "two"]));
    let mut client = gateway.client();
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(client.receive_head().0, 200);
    gate.step();
    assert_eq!(client.read_exactly(8), b"3\r\none\r\n");
    gate.open();
    assert_eq!(client.read_exactly(13), b"3\r\ntwo\r\n0\r\n\r\n");
}

#[test]
fn a_request_body_streams_as_it_comes() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    client
        .send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc")
        .unwrap();
    // The upstream is asked before the body is whole: nothing is spooled.
    wait::until(wait::DEADLINE, "a connection to the upstream", || {
        orders.connections() == 1
    });
    client.send(b"def").unwrap();
    assert_eq!(client.receive("POST").status, 200);
    assert_received(&orders, b"abcdef");
}

#[test]
fn answers_without_content_keep_the_connection() {
    let (gateway, orders) = forwarding("", "");
    orders.on("/204", Script::status(204).header("X-A", "b"));
    orders.on("/304", Script::status(304).header("ETag", "\"e\""));
    orders.on("/head", Script::answer(200, "12345"));
    let mut client = gateway.client();
    let mut h2 = H2c::connect(gateway.addr());
    for answer in [client.get("/204"), h2.get("/204")] {
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        assert_eq!(answer.header("x-a"), Some("b"));
        assert!(!answer.headers.has("content-length") && !answer.headers.has("transfer-encoding"));
    }
    for answer in [client.get("/304"), h2.get("/304")] {
        assert_eq!((answer.status, answer.body.len()), (304, 0));
        assert_eq!(answer.header("etag"), Some("\"e\""));
    }
    let head = H2Request::new("HEAD", "/head");
    for answer in [client.request("HEAD", "/head", &[], b""), h2.request(head)] {
        assert_eq!((answer.status, answer.body.len()), (200, 0));
        assert_eq!(
            answer.header("content-length"),
            Some("5"),
            "{}",
            answer.version
        );
    }
    assert_usable(&mut client, "/");
    assert_eq!(h2.get("/").status, 200);
    assert_eq!(
        orders.connections(),
        1,
        "the upstream's connection is kept as well"
    );
}

#[test]
fn informational_answers_pass() {
    let (gateway, orders) = forwarding("", "");
    orders.always(Script::answer(200, "x").interim(103));
    let mut client = gateway.client();
    let answer = client.get("/");
    assert_eq!(answer.status, 200);
    let interim: Vec<u16> = answer.interim.iter().map(|(status, _)| *status).collect();
    assert_eq!(interim, [103]);
    assert!(
        !answer.interim[0].1.has("x-request-id"),
        "hooks do not run on them"
    );
    assert_eq!(gateway.wait_access_log(1)[0]["status"], 200);
    assert_usable(&mut client, "/");
}

#[test]
fn a_client_may_wait_for_100_continue() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    let head = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    client.send(head.as_bytes()).unwrap();
    assert_eq!(client.receive_head().0, 100);
    client.send(b"hello").unwrap();
    assert_eq!(client.receive("POST").status, 200);
    assert_received(&orders, b"hello");
    assert_usable(&mut client, "/");
}

#[test]
fn a_client_that_waits_is_told_no_before_it_sends() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    let head =
        "POST /a%2Fb HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    client.send(head.as_bytes()).unwrap();
    let answer = client.receive("POST");
    assert_eq!((answer.status, answer.interim.len()), (400, 0));
    assert!(answer.headers.has_token("connection", "close"));
    client.wait_closed();
    assert_eq!(orders.connections(), 0);
}

#[test]
fn an_early_answer_reaches_a_client_that_still_sends() {
    let (gateway, orders) = forwarding("", "");
    orders.always(Script::answer(403, "no").leaving_body());
    let client = &mut gateway.client();
    let sending = {
        use std::io::Write;
        let mut stream = client.stream().try_clone().unwrap();
        let mut message = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4194304\r\n\r\n".to_vec();
        message.extend(body(4 << 20));
        // Whether all of it is taken is the gateway's choice.
        std::thread::spawn(move || stream.write_all(&message).is_ok())
    };
    let answer = client.receive("POST");
    assert_eq!((answer.status, answer.text().as_str()), (403, "no"));
    client.stream().shutdown(std::net::Shutdown::Both).ok();
    sending.join().unwrap();
}
