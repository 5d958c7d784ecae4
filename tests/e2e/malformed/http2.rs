//! HTTP/2 that is broken, or that says what HTTP/1 cannot.

use harness::wait::DEADLINE;
use harness::{Backend, H2Request, H2c, raw, raw_until};

use super::gateway;

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

/// What stands in the request line behind HTTP/1 must be as clean as there.
#[test]
fn refuses_http2_targets_that_http1_cannot_say() {
    const START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let hostile = [
        (":method", "GE T"),
        (":method", "GET / HTTP/1.1\r\nx: y"),
        (":method", ""),
        (":method", "CONNECT"),
        (":scheme", "http\r\n"),
        (":path", "/a b"),
        (":path", "/a\r\nx: y"),
        (":path", "/a\0"),
        (":path", "/?a=\"<>\""),
        (":path", "/?a=b c"),
        (":path", "/?a=\u{e9}"),
        (":path", "/?a=|{}^`"),
        (":path", "relative"),
        (":path", ""),
        (":path", "*"),
        (":path", "http://y/"),
        (":authority", "x\r\ny: z"),
        (":authority", "x y"),
        (":authority", "x/y"),
    ];
    let backend = Backend::start();
    let gateway = gateway(&backend);
    for (name, value) in hostile {
        let pseudo = [
            (":method", "GET"),
            (":scheme", "http"),
            (":path", "/"),
            (":authority", "x"),
        ];
        let fields: Vec<u8> = pseudo
            .into_iter()
            .flat_map(|(pseudo, good)| literal(pseudo, if pseudo == name { value } else { good }))
            .collect();
        let length = u8::try_from(fields.len()).unwrap();
        let head = [&[0, 0, length, 1, 5, 0, 0, 0, 1], fields.as_slice()].concat();
        let ping = b"\0\0\x08\x06\0\0\0\0\0pingpong";
        let bytes = [START, &head, ping].concat();
        let answer = raw_until(gateway.addr(), &bytes, "pingpong", DEADLINE);
        assert!(
            answer.closed || answer.text().contains("pingpong"),
            "{name}: {value:?}"
        );
    }
    assert_eq!(gateway.get("/after").status, 200);
    let targets: Vec<_> = backend
        .requests()
        .into_iter()
        .map(|one| one.target)
        .collect();
    assert_eq!(
        (targets, backend.faults()),
        (vec!["/after".to_owned()], Vec::new())
    );
}
