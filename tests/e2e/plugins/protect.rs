//! `protect`: bodies at the limit and one byte beyond, declared and streamed; methods; content types; shadow.

use harness::{Client, Gateway, H2Request, H2c, Response};

use super::{both, refusals};
use crate::fixture::{assert_refused, assert_usable, gateway};

const ROUTES: &str = r#"
    [route.body]
    match = "/body"
    upstream = "orders"
    protect = { body-max = "1KiB" }
    [route.large]
    match = "/large"
    upstream = "orders"
    protect = { body-max = "200KiB" }
    [route.method]
    match = "/method"
    upstream = "orders"
    protect = { methods = ["GET", "POST"] }
    [route.type]
    match = "/type"
    upstream = "orders"
    protect = { content-types = ["application/json", "image/*"] }
    [route.shadow]
    match = "/shadow"
    upstream = "orders"
    protect = { body-max = "4B", methods = ["POST"], content-types = ["text/plain"], mode = "shadow" }
    [route.open]
    match = "/open"
    upstream = "orders"
"#;

fn chunked(path: &str, body: &[u8], chunk: usize) -> Vec<u8> {
    let mut message =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            .into_bytes();
    for piece in body.chunks(chunk) {
        message.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        message.extend_from_slice(piece);
        message.extend_from_slice(b"\r\n");
    }
    message.extend_from_slice(b"0\r\n\r\n");
    message
}

/// Sends beside reading: a refused body is not read to its end.
fn streamed(gateway: &Gateway, path: &str, body: &[u8], chunk: usize) -> (Client, Response) {
    use std::io::Write;
    let mut client = gateway.client();
    let mut stream = client.stream().try_clone().unwrap();
    let message = chunked(path, body, chunk);
    let sending = std::thread::spawn(move || stream.write_all(&message).is_ok());
    let answer = client.receive("POST");
    if answer.status >= 400 {
        client.stream().shutdown(std::net::Shutdown::Both).ok();
    }
    sending.join().unwrap();
    (client, answer)
}

#[test]
fn a_declared_body_may_have_the_limit_and_no_byte_more() {
    let (gateway, orders) = gateway(ROUTES);
    let mut client = gateway.client();
    assert_eq!(
        client.request("POST", "/body", &[], &[b'x'; 1024]).status,
        200
    );
    assert_eq!(orders.last().body.len(), 1024);
    let refused = client.request("POST", "/body", &[], &[b'x'; 1025]);
    assert_refused(&refused, 413, "protect.body-too-large");
    assert_usable(&mut client, "/open");
    assert_eq!(orders.requests().len(), 2);

    let mut h2 = H2c::connect(gateway.addr());
    let request = |size: usize| {
        let length = size.to_string();
        H2Request::new("POST", "/body")
            .header("content-length", &length)
            .body(vec![b'x'; size])
    };
    assert_eq!(h2.request(request(1024)).status, 200);
    assert_refused(&h2.request(request(1025)), 413, "protect.body-too-large");
    assert_eq!(h2.get("/open").status, 200);
    assert_eq!(orders.requests().len(), 4);
    let line = &gateway.wait_access_log(6)[1];
    assert_eq!(
        (&line["status"], &line["attempts"]),
        (&413.into(), &0.into())
    );
    assert_eq!(line["code"], "protect.body-too-large");
}

#[test]
fn a_huge_declared_length_is_refused_before_a_byte_is_read() {
    let (gateway, orders) = gateway(ROUTES);
    let mut client = gateway.client();
    let head = "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n";
    client.send(head.as_bytes()).unwrap();
    assert_refused(&client.receive("POST"), 413, "protect.body-too-large");
    client.wait_closed();
    assert_eq!(orders.connections(), 0);
}

#[test]
fn a_streamed_body_may_have_the_limit_and_no_byte_more() {
    let (gateway, orders) = gateway(ROUTES);
    for chunk in [1024, 1000, 7] {
        let (mut client, answer) = streamed(&gateway, "/body", &[b'x'; 1024], chunk);
        assert_eq!(answer.status, 200, "chunks of {chunk}");
        assert_eq!(orders.last().body.len(), 1024);
        assert_usable(&mut client, "/open");
        let whole = orders.requests().len();
        let (_, answer) = streamed(&gateway, "/body", &[b'x'; 1025], chunk);
        assert_refused(&answer, 413, "protect.body-too-large");
        assert_eq!(
            orders.requests().len(),
            whole,
            "the upstream never got a whole request"
        );
    }
    assert_eq!(refusals(&gateway, "protect.body-too-large", "enforce"), 3);
}

#[test]
fn a_streamed_body_is_cut_also_beyond_every_buffer() {
    let (gateway, orders) = gateway(ROUTES);
    let limit = 200 << 10;
    let (_, answer) = streamed(&gateway, "/large", &vec![b'x'; limit], 10_000);
    assert_eq!((answer.status, orders.last().body.len()), (200, limit));
    let (_, answer) = streamed(&gateway, "/large", &vec![b'x'; limit + 1], 10_000);
    assert_refused(&answer, 413, "protect.body-too-large");
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn a_streamed_body_of_http2_is_counted_too() {
    let (gateway, orders) = gateway(ROUTES);
    let mut h2 = H2c::connect(gateway.addr());
    assert_eq!(h2.post("/body", &[b'x'; 1024]).status, 200);
    assert_eq!(orders.last().body.len(), 1024);
    assert_refused(
        &h2.post("/body", &[b'x'; 1025]),
        413,
        "protect.body-too-large",
    );
    assert_eq!(h2.get("/open").status, 200);
    assert_eq!(orders.requests().len(), 2);
}

#[test]
fn other_methods_are_405_with_allow() {
    let (gateway, orders) = gateway(ROUTES);
    for method in ["GET", "HEAD", "POST"] {
        assert!(
            both(&gateway, method, "/method", &[])
                .iter()
                .all(|answer| answer.status == 200)
        );
    }
    let before = orders.requests().len();
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"] {
        for answer in both(&gateway, method, "/method", &[]) {
            assert_refused(&answer, 405, "protect.method");
            assert_eq!(answer.header("allow"), Some("GET, HEAD, POST"));
        }
    }
    let override_it = [("X-HTTP-Method-Override", "DELETE")];
    assert_eq!(
        both(&gateway, "POST", "/method", &override_it)[0].status,
        200
    );
    assert!(!orders.last().headers.has("x-http-method-override"));
    assert_eq!(orders.requests().len(), before + 2);
}

#[test]
fn a_preflight_is_judged_by_the_method_it_asks_about() {
    let (gateway, _orders) = gateway(ROUTES);
    let preflight = |method| {
        let headers = [
            ("Origin", "https://a.example"),
            ("Access-Control-Request-Method", method),
        ];
        both(&gateway, "OPTIONS", "/method", &headers)
    };
    assert!(
        preflight("POST").iter().all(|answer| answer.status == 200),
        "the upstream answers"
    );
    for answer in preflight("DELETE") {
        assert_refused(&answer, 405, "protect.method");
    }
}

#[test]
fn bodies_of_other_types_are_415_with_accept() {
    let (gateway, orders) = gateway(ROUTES);
    let mut client = gateway.client();
    let mut h2 = H2c::connect(gateway.addr());
    let mut post = |types: &[&str], body: &[u8]| {
        let headers: Vec<(&str, &str)> = types.iter().map(|text| ("content-type", *text)).collect();
        let mut request = H2Request::new("POST", "/type").body(body);
        for text in types {
            request = request.header("content-type", text);
        }
        [
            client.request("POST", "/type", &headers, body),
            h2.request(request),
        ]
    };
    for accepted in [
        "application/json",
        "Application/JSON; charset=utf-8",
        "image/png",
    ] {
        assert!(
            post(&[accepted], b"{}")
                .iter()
                .all(|answer| answer.status == 200),
            "{accepted}"
        );
    }
    assert!(
        post(&["text/html"], b"")
            .iter()
            .all(|answer| answer.status == 200),
        "no body"
    );
    assert!(
        post(&[], b"").iter().all(|answer| answer.status == 200),
        "no body"
    );
    let before = orders.requests().len();
    for refused in [
        &["text/html"][..],
        &["application/jsonp"],
        &["imagex/png"],
        &["json"],
        &[],
    ] {
        for answer in post(refused, b"{}") {
            assert_refused(&answer, 415, "protect.content-type");
            assert_eq!(answer.header("accept"), Some("application/json, image/*"));
        }
    }
    for repeated in [
        &["application/json", "text/html"][..],
        &["application/json, text/html"],
    ] {
        for answer in post(repeated, b"{}") {
            assert_refused(&answer, 400, "protect.content-type-repeated");
        }
    }
    assert_eq!(orders.requests().len(), before);
}

#[test]
fn shadow_passes_and_tells_once() {
    let (gateway, orders) = gateway(ROUTES);
    let mut client = gateway.client();
    assert_eq!(client.request("DELETE", "/shadow", &[], b"").status, 200);
    let text = [("Content-Type", "text/plain")];
    assert_eq!(
        client.request("POST", "/shadow", &text, b"12345").status,
        200
    );
    assert_eq!(orders.last().text(), "12345");
    let html = [("Content-Type", "text/html")];
    assert_eq!(
        client.request("POST", "/shadow", &html, b"1234").status,
        200
    );
    let mut message = chunked("/shadow", b"1234567890", 1);
    let at = message
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    message.splice(at..at, *b"\r\nContent-Type: text/plain");
    client.send(&message).unwrap();
    assert_eq!(client.receive("POST").status, 200);
    assert_eq!(orders.last().text(), "1234567890");

    let lines = gateway.wait_access_log(4);
    let shadowed: Vec<String> = lines
        .iter()
        .map(|line| line["shadowed"].to_string())
        .collect();
    let large = "[\"protect.body-too-large\"]";
    assert_eq!(
        shadowed,
        [
            "[\"protect.method\"]",
            large,
            "[\"protect.content-type\"]",
            large
        ],
        "once, however many pieces came after the limit"
    );
    assert_eq!(refusals(&gateway, "protect.method", "shadow"), 1);
    assert_eq!(refusals(&gateway, "protect.body-too-large", "shadow"), 2);
    assert_eq!(
        gateway.metric("gateway_refusals_total", &["mode=\"enforce\""]),
        0
    );
}
