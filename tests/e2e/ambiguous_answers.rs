//! Upstreams whose answers can be read in two ways: 502, never two answers, and the connection is not used again.

use harness::{Backend, Ending, Gateway, H2c, Script};

use crate::fixture::{assert_refused, config};

/// One worker, so that every request meets the same pool.
fn gateway() -> (Gateway, Backend) {
    let orders = Backend::start();
    let routes = "[server]\nworkers = 1\n[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n";
    let gateway = Gateway::start(config(routes, &orders));
    (gateway, orders)
}

const EVIL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";

/// After the line `HTTP/1.1 200 OK`.
const FRAMING: &[(&str, &str)] = &[
    (
        "two lengths that differ",
        "content-length: 2\r\ncontent-length: 3\r\n\r\nabc",
    ),
    (
        "two lengths that agree",
        "content-length: 2\r\ncontent-length: 2\r\n\r\nab",
    ),
    ("a list of lengths", "content-length: 2, 2\r\n\r\nab"),
    ("an empty length", "content-length: \r\n\r\n"),
    (
        "two codings",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a list of codings",
        "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    ("no coding", "transfer-encoding: identity\r\n\r\n"),
    ("an unknown coding", "transfer-encoding: xchunked\r\n\r\n"),
    ("a bare CR", "x-a: b\rc: d\r\ncontent-length: 0\r\n\r\n"),
    ("a NUL", "x-a: \0\r\ncontent-length: 0\r\n\r\n"),
    (
        "a field without a colon",
        "x-a\r\ncontent-length: 0\r\n\r\n",
    ),
    ("a name with a space", "x a: b\r\ncontent-length: 0\r\n\r\n"),
];

/// Before a head that is sound but for this line.
const STATUS_LINES: &[&str] = &[
    "HTTP/2.0 200 OK",
    "ICY 200 OK",
    "HTTP/1.1 OK",
    "HTTP/1.1 20 OK",
    "HTTP/1.1 2000 OK",
    "HTTP/1.1 000 OK",
    "HTTP/1.1 099 OK",
    "HTTP/1.1 101 Switching Protocols",
];

fn ambiguous() -> Vec<(String, String)> {
    let ok = "HTTP/1.1 200 OK\r\n";
    let end = "content-length: 0\r\n\r\n";
    let framing = FRAMING
        .iter()
        .map(|(what, rest)| ((*what).to_owned(), format!("{ok}{rest}{EVIL}")));
    let lines = STATUS_LINES
        .iter()
        .map(|line| ((*line).to_owned(), format!("{line}\r\n{end}{EVIL}")));
    let old = "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let generated = [
        ("a coding in HTTP/1.0", old.to_owned()),
        (
            "a large head",
            format!("{ok}x-a: {}\r\n{end}", "b".repeat(70_000)),
        ),
        (
            "a very large head",
            format!("{ok}x-a: {}\r\n\r\n", "b".repeat(1_200_000)),
        ),
        (
            "too many fields",
            format!("{ok}{}{end}", "x-a: b\r\n".repeat(300)),
        ),
        (
            "a flood of 100",
            format!("{}{ok}{end}", "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)),
        ),
    ];
    let generated = generated.map(|(what, answer)| (what.to_owned(), answer));
    framing.chain(lines).chain(generated).collect()
}

#[test]
fn an_ambiguous_answer_is_502_and_its_connection_is_not_used_again() {
    for (what, answer) in ambiguous() {
        let (gateway, orders) = gateway();
        // The upstream would go on: it is ours to hang up.
        orders.once(Script::raw(answer.clone()).ending(Ending::Keep));
        let mut client = gateway.client();
        let refused = client.get("/first");
        assert_eq!(
            (refused.status, refused.code().as_str()),
            (502, "upstream.bad-response"),
            "{what}"
        );
        let next = gateway.get("/next");
        assert_eq!(
            (next.status, next.json()["target"].as_str()),
            (200, Some("/next")),
            "{what}"
        );
        assert_eq!(orders.connections(), 2, "{what}: a new connection");
        orders.once(Script::raw(answer).ending(Ending::Keep));
        assert_refused(
            &H2c::connect(gateway.addr()).get("/streams"),
            502,
            "upstream.bad-response",
        );
    }
}

#[test]
fn what_may_be_read_in_one_way_is_written_in_one_way() {
    for (what, answer, text) in [
        (
            "a length beside a coding",
            "content-length: 40\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "ok",
        ),
        (
            "a folded line",
            "x-a: b\r\n c\r\ncontent-length: 2\r\n\r\nok",
            "ok",
        ),
        (
            "lines that end with LF",
            "x-a: b\ncontent-length: 2\n\nok",
            "ok",
        ),
        (
            "a space before a colon",
            "content-length : 2\r\n\r\nok",
            "ok",
        ),
        (
            "a trailer",
            "transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-a: b\r\n\r\n",
            "ok",
        ),
    ] {
        let (gateway, orders) = gateway();
        orders.once(Script::raw(format!("HTTP/1.1 200 OK\r\n{answer}")).ending(Ending::Keep));
        // The client is strict: it fails on two framings, folds and bare line ends.
        let mut client = gateway.client();
        let seen = client.get("/first");
        assert_eq!((seen.status, seen.text().as_str()), (200, text), "{what}");
        let lengths = seen.headers.all("content-length").len();
        let codings = seen.headers.all("transfer-encoding").len();
        assert_eq!(lengths + codings, 1, "{what}: {:?}", seen.headers);
        assert_eq!(client.get("/next").json()["target"], "/next", "{what}");
    }
}

#[test]
fn answers_without_a_body_do_not_speak_of_one() {
    for head in [
        "204 No Content\r\ncontent-length: 39\r\n\r\n",
        "204 No Content\r\ntransfer-encoding: chunked\r\n\r\n",
        "304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n",
    ] {
        let (gateway, orders) = gateway();
        orders.once(Script::raw(format!("HTTP/1.1 {head}")).ending(Ending::Keep));
        let mut client = gateway.client();
        let answer = client.get("/first");
        assert!([204, 304].contains(&answer.status), "{head:?}");
        assert!(!answer.headers.has("content-length"), "{head:?}");
        assert!(!answer.headers.has("transfer-encoding"), "{head:?}");
        assert_eq!(client.get("/next").json()["target"], "/next", "{head:?}");
    }
}

#[test]
fn a_few_informational_heads_pass() {
    let (gateway, orders) = gateway();
    let before = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\ncontent-length: 7\r\n\r\n".repeat(16);
    orders.once(Script::raw(format!(
        "{before}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    )));
    let answer = gateway.get("/first");
    assert_eq!((answer.text().as_str(), answer.interim.len()), ("ok", 16));
    assert!(
        answer
            .interim
            .iter()
            .all(|(_, fields)| !fields.has("content-length"))
    );
}

#[test]
fn a_bad_chunk_cuts_the_answer_and_its_connection() {
    for chunks in [
        "zz\r\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "10000000000000000\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
    ] {
        let (gateway, orders) = gateway();
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        orders.once(Script::raw(format!("{head}{chunks}")).ending(Ending::Keep));
        let cut = gateway.client().try_request("GET", "/first", &[], b"");
        assert!(
            cut.map_or(true, |answer| answer.status == 502),
            "{chunks:?}"
        );
        let next = gateway.get("/next");
        assert_eq!(
            (next.status, next.json()["target"].as_str()),
            (200, Some("/next")),
            "{chunks:?}"
        );
        assert_eq!(orders.connections(), 2, "{chunks:?}: a new connection");
    }
}

#[test]
fn what_a_chunks_extension_holds_reaches_nobody() {
    // Others may take a bare LF for the end of the line. Whatever it was: what leaves was framed by us.
    for extension in ["a=\"b\"", "\u{1}\u{7f}", "\0", "a\nb", "\nxx"] {
        let (gateway, orders) = gateway();
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        let answer = format!("{head}2;{extension}\r\nok\r\n0;{extension}\r\n\r\n");
        orders.once(Script::raw(answer).ending(Ending::Keep));
        let request = b"GET /first HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let seen = harness::raw(gateway.addr(), request);
        let text = seen.text();
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
        assert_eq!(
            body,
            Some("2\r\nok\r\n0\r\n\r\n"),
            "{extension:?}: {text:?}"
        );
        assert_eq!(
            gateway.get("/next").json()["target"],
            "/next",
            "{extension:?}"
        );
    }
}
