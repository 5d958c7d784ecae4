//! Hostile bytes over raw sockets: each is refused with its code and a closed connection, or passes as exactly one request.
//!
//! Nothing refused may reach an upstream, kill the process, or go unlogged.

use std::fmt::Write as _;

use harness::wait::DEADLINE;
use harness::{Backend, Config, Gateway, H2Request, H2c, RawResult, raw, raw_until, wait};

/// A name, the bytes of one request, and the status and code of the refusal.
type Case = (&'static str, &'static [u8], u16, &'static str);

fn gateway(backend: &Backend) -> Gateway {
    let config = r#"
        [listener.public]
        address = "@address.public@"
        [upstream.all]
        targets = ["@upstream.all@"]
        [route.all]
        match = "/**"
        upstream = "all"
    "#;
    Gateway::start(Config::new(config).upstream("all", backend.addr()))
}

/// Checks the answer to a refused head.
fn refused(what: &str, answer: &RawResult, status: u16, code: &str) {
    let text = answer.text();
    assert!(answer.closed, "{what}: still open after {text:?}");
    assert_eq!(answer.statuses(), [status], "{what}: {text:?}");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let problem: serde_json::Value =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{what}: {error} in {text:?}"));
    assert_eq!(problem["code"], code, "{what}");
    assert_eq!(problem["status"], status, "{what}");
    let id = problem["request-id"].as_str().unwrap_or_default();
    let head = head.to_ascii_lowercase();
    for field in [
        format!("x-request-id: {id}"),
        "connection: close".to_owned(),
        "content-type: application/problem+json".to_owned(),
    ] {
        assert!(head.contains(&field), "{what}: no {field:?} in {head:?}");
    }
}

/// Sends every case, expects its refusal and its log line, and that a good request passes afterwards.
fn refuses_all(cases: &[Case]) {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    for (number, (what, bytes, status, code)) in cases.iter().enumerate() {
        refused(what, &raw(gateway.addr(), bytes), *status, code);
        let line = gateway.wait_access_log(number + 1).swap_remove(number);
        assert_eq!(
            (&line["status"], &line["code"]),
            (&(*status).into(), &(*code).into()),
            "{what}"
        );
    }
    assert!(backend.requests().is_empty(), "{:?}", backend.requests());
    assert_eq!((backend.connections(), backend.faults().len()), (0, 0));
    assert_eq!(gateway.get("/after").status, 200);
}

#[test]
fn refuses_malformed_request_lines() {
    refuses_all(&[
        (
            "no target",
            b"GET\r\nHost: x\r\n\r\n",
            400,
            "head.request-line",
        ),
        (
            "no version",
            b"GET /\r\nHost: x\r\n\r\n",
            400,
            "head.request-line",
        ),
        (
            "two spaces before the target",
            b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.request-line",
        ),
        (
            "two spaces before the version",
            b"GET /  HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.request-line",
        ),
        (
            "a space after the version",
            b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
            400,
            "head.request-line",
        ),
        (
            "a space in the target",
            b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.request-line",
        ),
        (
            "a space before the method",
            b" GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.method",
        ),
        (
            "a tab for a space",
            b"GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.request-line",
        ),
        (
            "a method that is no token",
            b"G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.method",
        ),
        (
            "a method with a colon",
            b"GET: / HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.method",
        ),
        (
            "an empty method",
            b"\r\n / HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.method",
        ),
        (
            "version 0.9",
            b"GET / HTTP/0.9\r\nHost: x\r\n\r\n",
            505,
            "head.version",
        ),
        (
            "version 1.2",
            b"GET / HTTP/1.2\r\nHost: x\r\n\r\n",
            505,
            "head.version",
        ),
        (
            "version 2.0",
            b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
            505,
            "head.version",
        ),
        (
            "a lower-case version",
            b"GET / http/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.request-line",
        ),
        (
            "a version with two digits",
            b"GET / HTTP/1.10\r\nHost: x\r\n\r\n",
            400,
            "head.request-line",
        ),
        (
            "another protocol",
            b"GET / RTSP/1.0\r\nHost: x\r\n\r\n",
            400,
            "head.request-line",
        ),
        (
            "two empty lines before",
            b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.request-line",
        ),
        (
            "a TLS hello",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            400,
            "head.control-byte",
        ),
        (
            "an SSH hello",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            400,
            "head.request-line",
        ),
        (
            "a PROXY line",
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.request-line",
        ),
        (
            "CONNECT",
            b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
            405,
            "head.connect",
        ),
    ]);
}

#[test]
fn refuses_malformed_targets() {
    refuses_all(&[
        (
            "NUL in the path",
            b"GET /a\0b HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.control-byte",
        ),
        (
            "DEL in the path",
            b"GET /a\x7fb HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.control-byte",
        ),
        (
            "a byte beyond ASCII",
            b"GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.target",
        ),
        (
            "a quote",
            b"GET /a\"b HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.target",
        ),
        (
            "angle brackets",
            b"GET /<a> HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.target",
        ),
        (
            "a backslash",
            b"GET /a\\b HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.target",
        ),
        (
            "a fragment",
            b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.target",
        ),
        (
            "no slash",
            b"GET index.html HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.target",
        ),
        (
            "an asterisk without OPTIONS",
            b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.target",
        ),
        (
            "authority form without CONNECT",
            b"GET example.com:80 HTTP/1.1\r\nHost: example.com\r\n\r\n",
            400,
            "head.target",
        ),
        (
            "another scheme",
            b"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.target",
        ),
        (
            "user information",
            b"GET http://u:p@x/ HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.target",
        ),
        (
            "an absolute target without a host",
            b"GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.target",
        ),
        (
            "an absolute target with another host",
            b"GET http://evil.example/ HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.host-disagrees",
        ),
        (
            "an absolute target with another port",
            b"GET http://x:81/ HTTP/1.1\r\nHost: x\r\n\r\n",
            400,
            "head.host-disagrees",
        ),
        (
            "an absolute target without Host",
            b"GET http://x/ HTTP/1.0\r\n\r\n",
            400,
            "head.host-missing",
        ),
    ]);
}

#[test]
fn refuses_malformed_hosts() {
    refuses_all(&[
        (
            "no Host",
            b"GET / HTTP/1.1\r\n\r\n",
            400,
            "head.host-missing",
        ),
        (
            "two Hosts",
            b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
            400,
            "head.host-repeated",
        ),
        (
            "the same Host twice",
            b"GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\n\r\n",
            400,
            "head.host-repeated",
        ),
        (
            "an empty Host",
            b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
            400,
            "head.host-malformed",
        ),
        (
            "a list of hosts",
            b"GET / HTTP/1.1\r\nHost: x, y\r\n\r\n",
            400,
            "head.host-malformed",
        ),
        (
            "a path in Host",
            b"GET / HTTP/1.1\r\nHost: x/y\r\n\r\n",
            400,
            "head.host-malformed",
        ),
        (
            "user information in Host",
            b"GET / HTTP/1.1\r\nHost: a@x\r\n\r\n",
            400,
            "head.host-malformed",
        ),
        (
            "a space in Host",
            b"GET / HTTP/1.1\r\nHost: x y\r\n\r\n",
            400,
            "head.host-malformed",
        ),
        (
            "a port that is no number",
            b"GET / HTTP/1.1\r\nHost: x:http\r\n\r\n",
            400,
            "head.host-malformed",
        ),
        (
            "a port beyond 65535",
            b"GET / HTTP/1.1\r\nHost: x:65536\r\n\r\n",
            400,
            "head.host-malformed",
        ),
        (
            "an open bracket",
            b"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n",
            400,
            "head.host-malformed",
        ),
        (
            "an empty label",
            b"GET / HTTP/1.1\r\nHost: a..b\r\n\r\n",
            400,
            "head.host-malformed",
        ),
        (
            "an encoded host",
            b"GET / HTTP/1.1\r\nHost: %78\r\n\r\n",
            400,
            "head.host-malformed",
        ),
    ]);
}

#[test]
fn refuses_ambiguous_framing() {
    refuses_all(&[
        ("two lengths", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400, "head.content-length-repeated"),
        ("two equal lengths", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400, "head.content-length-repeated"),
        ("a list of lengths", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nabcde", 400, "head.content-length"),
        ("an empty length", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400, "head.content-length"),
        ("a plus sign", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\na", 400, "head.content-length"),
        ("a minus sign", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, "head.content-length"),
        ("a hex length", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x1\r\n\r\na", 400, "head.content-length"),
        ("a fraction", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1.0\r\n\r\na", 400, "head.content-length"),
        ("a space in the length", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1 1\r\n\r\na", 400, "head.content-length"),
        ("a length that overflows", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\na", 400, "head.content-length"),
        ("length beside coding", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "head.length-beside-coding"),
        ("coding beside length", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400, "head.length-beside-coding"),
        ("chunked twice", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "head.transfer-encoding"),
        ("a list with chunked", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, "head.transfer-encoding"),
        ("chunked first", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400, "head.transfer-encoding"),
        ("chunked in capitals", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n", 400, "head.transfer-encoding"),
        ("xchunked", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400, "head.transfer-encoding"),
        ("an empty coding", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", 400, "head.transfer-encoding"),
        ("an unknown coding", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n", 501, "head.coding-unknown"),
        ("the coding identity", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 501, "head.coding-unknown"),
        ("a coding in HTTP/1.0", b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "head.coding-in-http-1-0"),
        ("a coding after a vertical tab", b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400, "head.control-byte"),
    ]);
}

#[test]
fn refuses_malformed_fields_and_line_ends() {
    refuses_all(&[
        (
            "bare LF in the request line",
            b"GET / HTTP/1.1\nHost: x\r\n\r\n",
            400,
            "head.bare-lf",
        ),
        (
            "bare LF after a field",
            b"GET / HTTP/1.1\r\nHost: x\n\r\n",
            400,
            "head.bare-lf",
        ),
        (
            "bare LF at the end",
            b"GET / HTTP/1.1\r\nHost: x\r\n\n",
            400,
            "head.bare-lf",
        ),
        (
            "bare LF throughout",
            b"GET / HTTP/1.1\nHost: x\n\n",
            400,
            "head.bare-lf",
        ),
        (
            "bare CR in a value",
            b"GET / HTTP/1.1\r\nHost: x\r\na: b\rc: d\r\n\r\n",
            400,
            "head.bare-cr",
        ),
        (
            "two CRs",
            b"GET / HTTP/1.1\r\r\nHost: x\r\n\r\n",
            400,
            "head.bare-cr",
        ),
        (
            "a folded field",
            b"GET / HTTP/1.1\r\nHost: x\r\na: b\r\n c\r\n\r\n",
            400,
            "head.folded-field",
        ),
        (
            "a field folded with a tab",
            b"GET / HTTP/1.1\r\nHost: x\r\na: b\r\n\tc\r\n\r\n",
            400,
            "head.folded-field",
        ),
        (
            "a fold before the first field",
            b"GET / HTTP/1.1\r\n Host: x\r\n\r\n",
            400,
            "head.folded-field",
        ),
        (
            "a space before the colon",
            b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
            400,
            "head.space-before-colon",
        ),
        (
            "a tab before the colon",
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n",
            400,
            "head.space-before-colon",
        ),
        (
            "no colon",
            b"GET / HTTP/1.1\r\nHost: x\r\nabc\r\n\r\n",
            400,
            "head.field-name",
        ),
        (
            "an empty name",
            b"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
            400,
            "head.field-name",
        ),
        (
            "a name with a space",
            b"GET / HTTP/1.1\r\nHost: x\r\na b: c\r\n\r\n",
            400,
            "head.field-name",
        ),
        (
            "a name with a parenthesis",
            b"GET / HTTP/1.1\r\nHost: x\r\na(b): c\r\n\r\n",
            400,
            "head.field-name",
        ),
        (
            "a name beyond ASCII",
            b"GET / HTTP/1.1\r\nHost: x\r\n\xc3\xa9: c\r\n\r\n",
            400,
            "head.field-name",
        ),
        (
            "NUL in a value",
            b"GET / HTTP/1.1\r\nHost: x\r\na: b\0c\r\n\r\n",
            400,
            "head.control-byte",
        ),
        (
            "ESC in a value",
            b"GET / HTTP/1.1\r\nHost: x\r\na: \x1b[2J\r\n\r\n",
            400,
            "head.control-byte",
        ),
        (
            "DEL in a value",
            b"GET / HTTP/1.1\r\nHost: x\r\na: \x7f\r\n\r\n",
            400,
            "head.control-byte",
        ),
        (
            "NUL in a name",
            b"GET / HTTP/1.1\r\nHost: x\r\na\0: b\r\n\r\n",
            400,
            "head.control-byte",
        ),
    ]);
}

#[test]
fn refuses_what_is_too_large() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let mut fields = String::new();
    for number in 0..150 {
        write!(fields, "x-{number}: y\r\n").unwrap();
    }
    let cases = [
        (
            "a head of 2 MiB",
            format!(
                "GET / HTTP/1.1\r\nHost: x\r\na: {}\r\n\r\n",
                "b".repeat(2 << 20)
            ),
            (431, "head.too-large"),
        ),
        (
            "2 MiB without a line end",
            "A".repeat(2 << 20),
            (414, "head.uri-too-long"),
        ),
        (
            "a target of 100 KiB",
            format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(100 << 10)),
            (414, "head.uri-too-long"),
        ),
        (
            "150 fields",
            format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n"),
            (431, "head.too-many-fields"),
        ),
        (
            "a query of 100 KiB",
            format!(
                "GET /?{} HTTP/1.1\r\nHost: x\r\n\r\n",
                "a".repeat(100 << 10)
            ),
            (414, "head.uri-too-long"),
        ),
    ];
    for (number, (what, bytes, (status, code))) in cases.iter().enumerate() {
        refused(what, &raw(gateway.addr(), bytes.as_bytes()), *status, code);
        let line = gateway.wait_access_log(number + 1).swap_remove(number);
        assert_eq!(line["code"], *code, "{what}");
        let logged = line["path"].as_str().unwrap_or_default().len();
        assert!(logged <= 1024, "{what}: {logged} bytes of path in the log");
    }
    assert_eq!(backend.connections(), 0);
    assert_eq!(gateway.get("/after").status, 200);
}

/// These heads are well-formed; the path says something that upstreams read in different ways. The connection lives on.
#[test]
fn refuses_ambiguous_paths_and_keeps_the_connection() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let mut client = gateway.client();
    let paths = [
        ("/a%2fb", "path.encoded-slash"),
        ("/a%2Fb", "path.encoded-slash"),
        ("/a%5cb", "path.backslash"),
        ("/a%00b", "path.control-byte"),
        ("/a%0ab", "path.control-byte"),
        ("/a%252fb", "path.double-escape"),
        ("/../a", "path.above-root"),
        ("/%2e%2e/a", "path.above-root"),
        ("/a/%2e%2e/%2e%2e/b", "path.above-root"),
        ("/%c3%28", "path.invalid-utf8"),
        ("/a%zz", "path.malformed-escape"),
        ("/a%2", "path.malformed-escape"),
        ("/a;b=c", "path.params"),
    ];
    for (number, (path, code)) in paths.iter().enumerate() {
        let answer = client.get(path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, *code),
            "{path}"
        );
        let line = gateway.wait_access_log(number + 1).swap_remove(number);
        assert_eq!(
            (&line["code"], &line["path"]),
            (&(*code).into(), &(*path).into())
        );
    }
    assert!(backend.requests().is_empty());
    assert_eq!(client.get("/a/%2e/b/../c").status, 200);
    assert_eq!(backend.last().target, "/a/c");
}

#[test]
fn closes_on_malformed_chunks_and_completes_no_request() {
    let bodies: [&[u8]; 14] = [
        b"3\nabc\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n0\r\n\r\n",
        b"-3\r\nabc\r\n0\r\n\r\n",
        b"xyz\r\n",
        b"\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nab\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nabc",
        b"3;a\nb\r\nabc\r\n0\r\n\r\n",
        b"3\r\nabc\r\n0\r\na: b\n\r\n",
        b"3\r\nabc\r\n0\r\n\n",
    ];
    let backend = Backend::start();
    let gateway = gateway(&backend);
    for (number, body) in bodies.iter().enumerate() {
        let head = b"POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        let smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
        let answer = raw(gateway.addr(), &[&head[..], body, smuggled].concat());
        let shown = body.escape_ascii();
        assert!(answer.closed, "{shown}: {:?}", answer.text());
        assert!(
            answer.statuses().iter().all(|status| *status >= 400) && answer.statuses().len() <= 1,
            "{shown}: {:?}",
            answer.text()
        );
        let line = gateway.wait_access_log(number + 1).swap_remove(number);
        assert!(
            line["status"].as_u64() >= Some(400) && line["code"].is_string(),
            "{shown}: {line}"
        );
    }
    assert!(backend.requests().is_empty(), "{:?}", backend.requests());
    assert_eq!(gateway.get("/after").status, 200);
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn closes_on_broken_http2() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    let after: [(&str, &[u8]); 8] = [
        ("an HTTP/1 request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("zeros", &[0; 64]),
        ("a frame beyond the limit", b"\xff\xff\xff\x04\0\0\0\0\0"),
        (
            "SETTINGS with a length of 5",
            b"\0\0\x05\x04\0\0\0\0\0abcde",
        ),
        ("SETTINGS on a stream", b"\0\0\0\x04\0\0\0\0\x01"),
        (
            "DATA on stream 0",
            b"\0\0\0\x04\0\0\0\0\0\0\0\x01\0\0\0\0\0\0a",
        ),
        (
            "HEADERS that no table decodes",
            b"\0\0\0\x04\0\0\0\0\0\0\0\x02\x01\x05\0\0\0\x01\xff\xff",
        ),
        (
            "CONTINUATION without HEADERS",
            b"\0\0\0\x04\0\0\0\0\0\0\0\x01\x09\x04\0\0\0\x01a",
        ),
    ];
    let backend = Backend::start();
    let gateway = gateway(&backend);
    for (what, bytes) in after {
        let answer = raw(gateway.addr(), &[PREFACE, bytes].concat());
        assert!(answer.closed, "{what}");
    }
    // A preface that goes wrong on its way is an HTTP/1 head with a wrong version.
    for preface in [
        &b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"[..],
        b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = raw(gateway.addr(), &[preface, SETTINGS].concat());
        assert_eq!((answer.status(), answer.closed), (Some(505), true));
    }
    // A preface after a request is no preface.
    let late = [
        &b"GET /one HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        PREFACE,
        SETTINGS,
    ]
    .concat();
    assert_eq!(raw(gateway.addr(), &late).statuses(), [200, 505]);
    assert_eq!(backend.requests().len(), 1);
    assert_eq!(gateway.get("/after").status, 200);
}

/// Frames by hand, because no library sends these: each field list would be a smuggling vector behind HTTP/1.
#[test]
fn refuses_http2_heads_that_http1_cannot_say() {
    const START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let good = [
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "x"),
    ];
    let hostile: [(&str, &str); 16] = [
        ("transfer-encoding", "chunked"),
        ("connection", "keep-alive"),
        ("upgrade", "h2c"),
        ("a", "b\r\nc: d"),
        ("a", "b\0c"),
        ("a b", "c"),
        ("a:b", "c"),
        ("A", "b"),
        ("a\r\nb", "c"),
        ("", "b"),
        (":path", "/smuggled"),
        (":authority", "y"),
        (":protocol", "websocket"),
        ("content-length", "5, 5"),
        ("content-length", "+5"),
        ("content-length", "5"),
    ];
    let backend = Backend::start();
    let gateway = gateway(&backend);
    for (name, value) in hostile {
        let fields: Vec<u8> = good
            .iter()
            .chain([&(name, value)])
            .flat_map(|(name, value)| literal(name, value))
            .collect();
        let head = [
            &[0, 0, u8::try_from(fields.len()).unwrap(), 1, 5, 0, 0, 0, 1],
            fields.as_slice(),
        ]
        .concat();
        // A PING behind it: its answer shows that the head was looked at. A GOAWAY is the other way out.
        let ping = b"\0\0\x08\x06\0\0\0\0\0pingpong";
        let answer = raw_until(
            gateway.addr(),
            &[START, &head, ping].concat(),
            "pingpong",
            DEADLINE,
        );
        assert!(
            answer.closed || answer.text().contains("pingpong"),
            "{name:?}: {value:?}"
        );
    }
    assert_eq!(gateway.get("/after").status, 200);
    let targets: Vec<_> = backend.requests();
    assert!(
        targets.len() == 1 && backend.faults().is_empty(),
        "{targets:?} {:?}",
        backend.faults()
    );
}

/// A field as HPACK writes it without a table.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let length = |text: &str| u8::try_from(text.len()).unwrap();
    [
        &[0, length(name)],
        name.as_bytes(),
        &[length(value)],
        value.as_bytes(),
    ]
    .concat()
}

#[test]
fn an_http2_request_names_one_host() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let mut client = H2c::connect(gateway.addr());
    let ask = |authority: &str, host: &str| {
        H2Request::new("GET", "/host")
            .authority(authority)
            .header("host", host)
    };
    let answer = client.request(ask("a.example", "b.example"));
    assert_eq!(answer.status, 400);
    let twice = ask("a.example", "a.example").header("host", "a.example");
    assert_eq!(client.request(twice).status, 400);
    assert!(backend.requests().is_empty());
    assert_eq!(client.request(ask("c.example", "c.example")).status, 200);
    assert_eq!(backend.last().header("host"), Some("c.example"));
    for authority in ["user@x", "x:http", "a..b"] {
        let answer = client.try_request(H2Request::new("GET", "/bad").authority(authority));
        let refused = answer.map_or(true, |answer| answer.status >= 400);
        assert!(refused, "{authority}");
        client = H2c::connect(gateway.addr());
    }
    assert!(backend.requests().iter().all(|one| one.target == "/host"));
}

#[test]
fn refuses_the_same_however_the_bytes_arrive() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let head =
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = gateway.client();
    for byte in head {
        client.send(&[*byte]).unwrap();
    }
    let answer = client.receive("POST");
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (400, "head.length-beside-coding")
    );
    client.wait_closed();
    assert_eq!(backend.connections(), 0);
}

#[test]
fn answers_pipelined_requests_in_order() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let mut bytes = Vec::new();
    for number in 0..12 {
        let body = "b".repeat(number);
        let request =
            format!("POST /{number} HTTP/1.1\r\nHost: x\r\nContent-Length: {number}\r\n\r\n{body}");
        bytes.extend_from_slice(request.as_bytes());
    }
    bytes.extend_from_slice(b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let answer = raw(gateway.addr(), &bytes);
    assert_eq!((answer.statuses(), answer.closed), (vec![200; 13], true));
    let targets: Vec<String> = backend
        .requests()
        .iter()
        .map(|request| request.target.clone())
        .collect();
    let expected: Vec<String> = (0..12)
        .map(|number| format!("/{number}"))
        .chain(["/last".to_owned()])
        .collect();
    assert_eq!(targets, expected);
}

#[test]
fn a_bad_request_behind_good_ones_spoils_only_itself() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let bytes = b"GET /one HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\nGET /three HTTP/1.1\n\nGET /four HTTP/1.1\r\nHost: x\r\n\r\n";
    let answer = raw(gateway.addr(), bytes);
    assert_eq!(
        (answer.statuses(), answer.closed),
        (vec![200, 200, 400], true)
    );
    let targets: Vec<String> = backend
        .requests()
        .iter()
        .map(|request| request.target.clone())
        .collect();
    assert_eq!(targets, ["/one", "/two"]);
}

#[test]
fn a_request_inside_a_body_stays_a_body() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    let by_length = format!(
        "POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    let by_chunks = format!(
        "POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n",
        hidden.len()
    );
    let end = "GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = raw(
        gateway.addr(),
        format!("{by_length}{by_chunks}{end}").as_bytes(),
    );
    assert_eq!(
        (answer.statuses(), answer.closed),
        (vec![200, 200, 200], true)
    );
    let seen = backend.requests();
    let targets: Vec<&str> = seen.iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/length", "/chunks", "/end"]);
    assert_eq!(
        (seen[0].text().as_str(), seen[1].text().as_str()),
        (hidden, hidden)
    );
}

/// The answer comes before the body was read: what is left of the body must not become a request.
#[test]
fn the_body_of_a_refused_request_is_never_the_next_request() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
    let refused = format!(
        "POST /a%00b HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    );
    let end = "GET /end HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = raw(gateway.addr(), format!("{refused}{end}").as_bytes());
    assert!(answer.closed);
    assert_eq!(answer.status(), Some(400));
    let targets: Vec<String> = backend
        .requests()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert!(targets.iter().all(|target| target == "/end"), "{targets:?}");
}

#[test]
fn tolerates_one_empty_line_and_old_clients() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let good: [(&[u8], &str); 5] = [
        (
            b"\r\nGET /empty-line HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "/empty-line",
        ),
        (b"GET /old HTTP/1.0\r\n\r\n", "/old"),
        (
            b"GET http://x/absolute?q HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "/absolute?q",
        ),
        (
            b"GET http://X:80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "/",
        ),
        (
            b"GET /spaces HTTP/1.1\r\nHost: \t x \t\r\nConnection: close\r\n\r\n",
            "/spaces",
        ),
    ];
    for (bytes, target) in good {
        let answer = raw(gateway.addr(), bytes);
        assert_eq!(
            (answer.statuses(), answer.closed),
            (vec![200], true),
            "{target}: {:?}",
            answer.text()
        );
        assert_eq!(backend.last().target, target);
    }
}

#[test]
fn a_client_that_goes_in_the_middle_leaves_nothing_behind() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    for bytes in [
        &b"GET /half HTTP/1.1\r\nHo"[..],
        b"POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
        b"PRI * HTTP/2.0\r\n",
        b"",
    ] {
        drop(raw_until(gateway.addr(), bytes, "", DEADLINE));
    }
    wait::until(DEADLINE, "all connections are gone", || {
        gateway.metric("gateway_connections", &[r#"listener="public""#]) == 0
    });
    assert!(backend.requests().is_empty());
    assert_eq!(gateway.get("/after").status, 200);
}
