//! Hostile bytes over raw sockets: each is refused with its code and a closed connection, or passes as exactly one request.
//!
//! Nothing refused may reach an upstream, kill the process, or go unlogged.

mod http2;
mod messages;

use std::fmt::Write as _;

use harness::wait::DEADLINE;
use harness::{Backend, Gateway, RawResult, raw, raw_until, wait};

use crate::fixture::{EVERYTHING, config};

/// One head a line: status, code, name and the bytes with their escapes. Sections start with `# name`.
const HEADS: &str = include_str!("malformed/heads.txt");

/// A head that must be refused.
struct Case {
    status: u16,
    code: &'static str,
    what: &'static str,
    bytes: Vec<u8>,
}

impl Case {
    fn read(line: &'static str) -> Self {
        let mut columns = line.splitn(3, " | ");
        let mut column = || columns.next().expect("three columns");
        let (answer, what, bytes) = (column(), column(), column());
        let (status, code) = answer.split_once(' ').expect("status and code");
        Self {
            status: status.parse().expect("a status"),
            code,
            what,
            bytes: unescape(bytes),
        }
    }
}

/// The cases of one section.
fn section(name: &str) -> Vec<Case> {
    let mut lines = HEADS
        .lines()
        .skip_while(|line| line.strip_prefix("# ") != Some(name));
    assert!(lines.next().is_some(), "no section {name:?}");
    lines
        .take_while(|line| !line.is_empty())
        .map(Case::read)
        .collect()
}

/// Understands `\r`, `\n`, `\t`, `\0`, `\xNN`, and a backslash before any other byte as that byte.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut plain = Vec::new();
    while let Some(byte) = bytes.next() {
        plain.push(if byte == b'\\' {
            escaped(&mut bytes)
        } else {
            byte
        });
    }
    plain
}

fn escaped(bytes: &mut impl Iterator<Item = u8>) -> u8 {
    let mut next = || bytes.next().expect("the rest of an escape");
    match next() {
        b'r' => b'\r',
        b'n' => b'\n',
        b't' => b'\t',
        b'0' => 0,
        b'x' => {
            let digits = [next(), next()];
            u8::from_str_radix(&String::from_utf8_lossy(&digits), 16).expect("hex digits")
        }
        other => other,
    }
}

fn gateway(backend: &Backend) -> Gateway {
    Gateway::start(config(EVERYTHING, backend))
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

/// Sends every case of a section, expects its refusal and its log line, and that a good request passes afterwards.
fn refuses_all(name: &str) {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    for (number, case) in section(name).iter().enumerate() {
        let Case {
            status,
            code,
            what,
            bytes,
        } = case;
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
fn there_are_enough_of_them() {
    let cases = HEADS.lines().filter(|line| line.contains(" | ")).count();
    assert!(cases >= 90, "{cases}");
}

#[test]
fn refuses_malformed_request_lines() {
    refuses_all("request lines");
}

#[test]
fn refuses_malformed_targets() {
    refuses_all("targets");
}

#[test]
fn refuses_malformed_hosts() {
    refuses_all("hosts");
}

#[test]
fn refuses_ambiguous_framing() {
    refuses_all("framing");
}

#[test]
fn refuses_malformed_fields_and_line_ends() {
    refuses_all("fields and line ends");
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
