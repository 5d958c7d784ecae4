//! gRPC-Web: both codings, over both versions, onto a server that only speaks gRPC.

use harness::{Backend, Gateway, H2Request, H2Stream, H2c, Response};

use crate::fixture::forwarding;
use crate::grpc::{message, serving};

const BINARY: &str = "application/grpc-web+proto";
const TEXT: &str = "application/grpc-web-text";

/// The same call over HTTP/1.1 and HTTP/2.
fn both(gateway: &Gateway, path: &str, kind: &str, body: &[u8]) -> [Response; 2] {
    let headers = [("content-type", kind), ("x-grpc-web", "1")];
    let http1 = gateway.request("POST", path, &headers, body);
    let request = H2Request::new("POST", path)
        .header("content-type", kind)
        .header("x-grpc-web", "1")
        .body(body);
    [http1, H2c::connect(gateway.addr()).request(request)]
}

/// Messages of an answer, the trailers last.
fn messages(mut body: &[u8]) -> Vec<(u8, String)> {
    let mut messages = Vec::new();
    while let [flag, a, b, c, d, rest @ ..] = body {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (one, after) = rest.split_at(length);
        messages.push((*flag, String::from_utf8(one.to_vec()).unwrap()));
        body = after;
    }
    assert!(body.is_empty(), "{body:?}");
    messages
}

/// Pieces of base64, each with padding of its own.
fn plain(text: &[u8]) -> Vec<u8> {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} is no base64"),
    };
    let group = |group: &[u8]| {
        let letters = group.iter().take_while(|byte| **byte != b'=').count();
        let bits = group[..letters]
            .iter()
            .fold(0_u32, |bits, byte| (bits << 6) | u32::from(letter(*byte)));
        let bytes = (bits << (6 * (4 - letters))).to_be_bytes();
        bytes[1..letters].to_vec()
    };
    text.chunks(4).flat_map(group).collect()
}

fn status(messages: &[(u8, String)]) -> &str {
    let (flag, trailers) = messages.last().expect("trailers");
    assert_eq!(*flag, 0x80);
    let line = trailers
        .lines()
        .find_map(|line| line.strip_prefix("grpc-status: "));
    line.expect("a status")
}

#[test]
fn calls_in_binary_are_calls_of_grpc() {
    let (gateway, _server) = serving("");
    for answer in both(&gateway, "/a.Service/Unary", BINARY, &message("hi")) {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some(BINARY));
        assert_eq!(answer.header("x-got-type"), Some("application/grpc+proto"));
        assert_eq!(answer.header("x-got-te"), Some("trailers"));
        let messages = messages(&answer.body);
        assert_eq!(messages[0], (0, "hi".to_owned()));
        assert_eq!(status(&messages), "0");
        assert!(
            messages[1].1.contains("x-sum-bin: AAEC\r\n"),
            "{messages:?}"
        );
        assert!(!messages[1].1.contains("set-cookie"));
    }
}

#[test]
fn calls_in_text_are_calls_of_grpc() {
    let (gateway, _server) = serving("");
    // The prefix and the message "hi" in two pieces, each padded.
    let body = b"AAAAAAI=aGk=";
    for answer in both(&gateway, "/a.Service/Unary", TEXT, body) {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/grpc-web-text+proto")
        );
        assert_eq!(answer.header("x-got-type"), Some("application/grpc"));
        let messages = messages(&plain(&answer.body));
        assert_eq!(messages[0], (0, "hi".to_owned()));
        assert_eq!(status(&messages), "0");
    }
    for answer in both(&gateway, "/a.Service/Unary", TEXT, b"AAAA!AAA") {
        assert_eq!(
            (answer.status, answer.header("grpc-status")),
            (200, Some("3"))
        );
        assert_eq!(answer.header("x-problem-code"), Some("grpc-web.malformed"));
    }
}

#[test]
fn messages_of_a_stream_pass_one_by_one() {
    let (gateway, _server) = serving("");
    let request = H2Request::new("POST", "/a.Service/Each").header("content-type", BINARY);
    let mut stream = H2Stream::open(gateway.addr(), &request);
    assert_eq!(stream.head().0, 200);
    for text in ["one", "two"] {
        stream.send(&message(text));
        assert_eq!(stream.receive_exactly(8), message(text));
    }
    stream.finish();
    let mut rest = Vec::new();
    while let Some(piece) = stream.receive().unwrap() {
        rest.extend(piece);
    }
    assert_eq!(status(&messages(&rest)), "0");
}

#[test]
fn errors_reach_the_browser() {
    let (gateway, _server) = serving("stream-idle-timeout = \"500ms\"");
    for kind in [BINARY, TEXT] {
        let body: &[u8] = if kind == TEXT {
            b"AAAAAAA="
        } else {
            b"\0\0\0\0\0"
        };
        for answer in both(&gateway, "/a.Service/Refuse", kind, body) {
            assert_eq!(
                (answer.status, answer.header("grpc-status")),
                (200, Some("5"))
            );
            assert_eq!(answer.header("grpc-message"), Some("no such %E2%9C%93"));
        }
        for (path, expected) in [("/a.Service/Break", "14"), ("/a.Service/Silent", "4")] {
            for answer in both(&gateway, path, kind, body) {
                let body = if kind == TEXT {
                    plain(&answer.body)
                } else {
                    answer.body
                };
                assert_eq!(status(&messages(&body)), expected, "{path}");
            }
        }
    }
}

#[test]
fn a_browser_may_read_the_status() {
    let (gateway, _server) = serving(
        "cors = { origins = [\"https://app.example.com\"], methods = [\"POST\"], headers = [\"x-grpc-web\", \"content-type\"], \
         expose = [\"grpc-status\", \"grpc-message\"] }",
    );
    let origin = ("origin", "https://app.example.com");
    let headers = [
        origin,
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,x-grpc-web"),
    ];
    let preflight = gateway.request("OPTIONS", "/a.Service/Refuse", &headers, b"");
    assert_eq!(preflight.status, 204, "{preflight:?}");
    for path in ["/a.Service/Refuse", "/a.Service/%2F"] {
        let headers = [origin, ("content-type", BINARY)];
        let answer = gateway.request("POST", path, &headers, b"\0\0\0\0\0");
        assert!(answer.header("grpc-status").is_some(), "{answer:?}");
        if path.ends_with("Refuse") {
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin.1));
            assert!(
                answer
                    .headers
                    .has_token("access-control-expose-headers", "grpc-status")
            );
        }
    }
}

#[test]
fn an_upstream_of_http_1_gets_the_call_as_it_is() {
    let (gateway, orders): (Gateway, Backend) = forwarding("", "");
    let headers = [("content-type", TEXT)];
    let answer = gateway.request("POST", "/a.B/C", &headers, b"AAAAAAA=");
    assert_eq!(answer.status, 200);
    assert_eq!(orders.last().header("content-type"), Some(TEXT));
    assert_eq!(orders.last().body, b"AAAAAAA=");
}
