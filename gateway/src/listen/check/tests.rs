//! Tables of heads that must be refused and heads that must pass.

mod tables;

use proptest::prelude::*;

use super::*;
use tables::{ACCEPTED, FIELDS, HOSTS, LINES};

fn check(head: &[u8]) -> Result<Option<Checked>, HeadRefusal> {
    let limits = HeadLimits {
        header_bytes_max: 2048,
        headers_max: 8,
        uri_max: 512,
    };
    let whole = Checker::default().advance(head, &limits);
    // The reason may differ: with fewer bytes in sight an earlier one shows first.
    assert_eq!(
        whole.as_ref().ok(),
        piecemeal(head, &limits).as_ref().ok(),
        "{}",
        head.escape_ascii()
    );
    whole
}

/// However the head arrives, the verdict is the same.
fn piecemeal(head: &[u8], limits: &HeadLimits) -> Result<Option<Checked>, HeadRefusal> {
    let mut checker = Checker::default();
    for end in 1..=head.len() {
        if let Some(checked) = checker.advance(&head[..end], limits)? {
            return Ok(Some(checked));
        }
    }
    Ok(None)
}

#[test]
fn refuses_malformed_request_lines() {
    for (line, refusal) in LINES {
        let head = [*line, b"host: h\r\n\r\n"].concat();
        assert_eq!(check(&head), Err(*refusal), "{}", line.escape_ascii());
    }
}

#[test]
fn refuses_malformed_fields() {
    for (fields, refusal) in FIELDS {
        let head = [b"POST / HTTP/1.1\r\nhost: h\r\n", *fields, b"\r\n"].concat();
        assert_eq!(check(&head), Err(*refusal), "{}", fields.escape_ascii());
    }
}

#[test]
fn refuses_malformed_hosts() {
    for host in HOSTS {
        let head = [b"GET / HTTP/1.1\r\nhost: ", *host, b"\r\n\r\n"].concat();
        assert_eq!(
            check(&head),
            Err(HeadRefusal::HostMalformed),
            "{}",
            host.escape_ascii()
        );
    }
}

#[test]
fn refuses_what_only_fits_another_version() {
    let missing = Err(HeadRefusal::HostMissing);
    assert_eq!(check(b"GET / HTTP/1.1\r\n\r\n"), missing);
    assert_eq!(check(b"GET http://h/ HTTP/1.0\r\n\r\n"), missing);
    let coded = b"POST / HTTP/1.0\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(check(coded), Err(HeadRefusal::CodingInOldVersion));
}

#[test]
fn refuses_at_each_limit_plus_one() {
    let uri = |length: usize| {
        format!(
            "GET /{} HTTP/1.1\r\nhost: h\r\n\r\n",
            "a".repeat(length - 1)
        )
    };
    assert!(matches!(check(uri(512).as_bytes()), Ok(Some(_))));
    assert_eq!(check(uri(513).as_bytes()), Err(HeadRefusal::UriTooLong));
    let start = "GET / HTTP/1.1\r\nhost: h\r\na: ";
    let head = |length: usize| format!("{start}{}\r\n\r\n", "a".repeat(length - start.len() - 4));
    assert!(matches!(check(head(2048).as_bytes()), Ok(Some(_))));
    assert_eq!(check(head(2049).as_bytes()), Err(HeadRefusal::HeadTooLarge));
}

#[test]
fn refuses_an_endless_line_before_it_ends() {
    assert_eq!(check(&[b'a'; 600]), Err(HeadRefusal::UriTooLong));
    let endless = [&b"GET / HTTP/1.1\r\na: "[..], &[b'a'; 2048]].concat();
    assert_eq!(check(&endless), Err(HeadRefusal::HeadTooLarge));
    assert_eq!(check(b"\x80"), Err(HeadRefusal::Method));
}

#[test]
fn waits_for_the_rest() {
    for head in [
        &b""[..],
        b"\r",
        b"\r\n",
        b"G",
        b"GET / HTTP/1.1\r",
        b"GET / HTTP/1.1\r\nhost: h\r\n\r",
    ] {
        assert_eq!(check(head), Ok(None), "{}", head.escape_ascii());
    }
}

#[test]
fn accepts_well_formed_heads() {
    for (head, framing, origin) in ACCEPTED {
        let checked = check(head).unwrap().unwrap();
        let start = checked.origin.unwrap_or(checked.target.start);
        assert_eq!(
            &head[start..checked.target.end],
            origin.as_bytes(),
            "{}",
            head.escape_ascii()
        );
        assert_eq!(checked.framing, *framing, "{}", head.escape_ascii());
        assert!(head[..checked.end].ends_with(b"\r\n\r\n"));
    }
}

#[test]
fn notices_a_wish_to_upgrade() {
    let wish = b"GET / HTTP/1.1\r\nhost: h\r\nUpgrade: websocket\r\n\r\n";
    assert!(check(wish).unwrap().unwrap().upgrade);
    let old = b"GET / HTTP/1.0\r\nhost: h\r\nUpgrade: websocket\r\n\r\n";
    assert!(!check(old).unwrap().unwrap().upgrade);
}

/// Bytes that are nearly a head: hostile pieces between legal ones.
fn nearly_heads() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            &b"GET "[..],
            b"POST ",
            b"/",
            b"/a?b",
            b"http://h",
            b" HTTP/1.1",
            b" HTTP/1.0",
            b"\r\n",
            b"\r\n",
            b"host: h",
            b"Host:",
            b"content-length: 3",
            b"transfer-encoding: chunked",
            b"upgrade: x",
            b"\n",
            b"\r",
            b":",
            b" ",
            b"\t",
            b"a: b",
            b"*",
            b"[::1]",
            b"@",
            b"\0",
            b"\x80",
            b"//",
            b"%",
        ])
        .prop_map(<[u8]>::to_vec),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    let middle = prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat());
    (
        prop::sample::select(vec![&b""[..], b"GET / HTTP/1.1\r\nhost: h\r\n", b"POST /"]),
        middle,
    )
        .prop_map(|(start, middle)| [start, &middle, b"\r\n\r\n"].concat())
}

fn agrees_with_httparse(bytes: &[u8]) {
    let Ok(Some(checked)) = check(bytes) else {
        return;
    };
    is_taken_by_pingora(bytes, &checked);
    let mut fields = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request
        .parse(bytes)
        .expect("what we accept, httparse accepts");
    assert_eq!(parsed, httparse::Status::Complete(checked.end));
    assert_eq!(request.method.map(str::as_bytes), bytes.get(checked.method));
    assert_eq!(request.path.map(str::as_bytes), bytes.get(checked.target));
    assert_eq!(request.version, Some(u8::from(checked.http_11)));
    let named = |name: &str| {
        request
            .headers
            .iter()
            .filter(|field| field.name.eq_ignore_ascii_case(name))
            .count()
    };
    assert_eq!(
        named("transfer-encoding"),
        usize::from(checked.framing == Framing::Chunked)
    );
    assert_eq!(
        named("content-length"),
        usize::from(matches!(checked.framing, Framing::Length(_)))
    );
    assert!(named("host") <= 1);
}

/// The target that travels on, as it is: neither refused nor rewritten.
fn is_taken_by_pingora(bytes: &[u8], checked: &Checked) {
    let origin = &bytes[checked.origin.unwrap_or(checked.target.start)..checked.target.end];
    let path = if origin.starts_with(b"?") || origin.is_empty() {
        [b"/", origin].concat()
    } else {
        origin.to_vec()
    };
    let method = std::str::from_utf8(&bytes[checked.method.clone()]).expect("a token");
    let head = pingora_http::RequestHeader::build(method, &path, None).expect("Pingora takes it");
    assert_eq!(head.raw_path(), path);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        agrees_with_httparse(&bytes);
    }

    #[test]
    fn what_passes_is_read_the_same_by_pingoras_parser(head in nearly_heads()) {
        agrees_with_httparse(&head);
    }
}
