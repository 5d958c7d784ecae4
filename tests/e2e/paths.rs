//! Paths: one normal form is matched and forwarded; what has none is refused before anything else is looked at.

use harness::{Backend, Gateway, H2Request, H2c, raw_until, wait};

use crate::fixture::{assert_refused, assert_usable, config_with, forwarding, gateway};

/// As sent, and as the upstream must receive it.
const NORMAL_FORMS: &[(&str, &str)] = &[
    ("/a/./b//c/%7Euser", "/a/b/c/~user"),
    ("/plain/path", "/plain/path"),
    ("/", "/"),
    ("//", "/"),
    ("/a/../b", "/b"),
    ("/a/..", "/"),
    ("/a/b/..", "/a/"),
    ("/a/.", "/a/"),
    ("/%61%2D%2e%5f", "/a-._"),
    ("/%c3%a9", "/%C3%A9"),
    ("/a%20b%3f", "/a%20b%3F"),
    ("/100%25", "/100%25"),
    ("/a/%2e%2e/b", "/b"),
    ("/a?b=%7e&c=../..//d;e", "/a?b=%7e&c=../..//d;e"),
    ("/a//b?", "/a/b?"),
    ("/a//b?c?d", "/a/b?c?d"),
    ("/a:b@c!$&'()*+,=", "/a:b@c!$&'()*+,="),
];

/// As sent, and the code of the refusal.
const REFUSED: &[(&str, &str)] = &[
    ("/%2e%2e/a", "path.above-root"),
    ("/../a", "path.above-root"),
    ("/a/../../b", "path.above-root"),
    ("/a/%2E./..", "path.above-root"),
    ("/a%2Fb", "path.encoded-slash"),
    ("/a%2fb", "path.encoded-slash"),
    ("/a;b", "path.params"),
    ("/a%3Bb", "path.params"),
    ("/a%5Cb", "path.backslash"),
    ("/a%5cb", "path.backslash"),
    ("/a%00", "path.control-byte"),
    ("/a%0d%0ab", "path.control-byte"),
    ("/a%7f", "path.control-byte"),
    ("/%252e%252e/a", "path.double-escape"),
    ("/a%2541", "path.double-escape"),
    ("/%25%34%31", "path.double-escape"),
    ("/a%", "path.malformed-escape"),
    ("/a%4", "path.malformed-escape"),
    ("/a%zz", "path.malformed-escape"),
    ("/%ff", "path.invalid-utf8"),
    ("/%c0%af", "path.invalid-utf8"),
    ("/%ed%a0%80", "path.invalid-utf8"),
];

#[test]
fn the_normal_form_reaches_the_upstream() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    for (sent, received) in NORMAL_FORMS {
        assert_eq!(client.get(sent).status, 200, "{sent}");
        assert_eq!(orders.last().target, *received, "{sent}");
    }
    assert_eq!(orders.faults(), [""; 0]);
}

#[test]
fn the_normal_form_reaches_the_upstream_from_http2_too() {
    let (gateway, orders) = forwarding("", "");
    let mut client = H2c::connect(gateway.addr());
    for (sent, received) in NORMAL_FORMS {
        assert_eq!(client.get(sent).status, 200, "{sent}");
        assert_eq!(orders.last().target, *received, "{sent}");
    }
}

#[test]
fn a_path_without_normal_form_is_refused_and_the_connection_kept() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    for (sent, code) in REFUSED {
        assert_refused(&client.get(sent), 400, code);
    }
    assert_eq!(orders.connections(), 0);
    assert_usable(&mut client, "/");
    let lines = gateway.wait_access_log(REFUSED.len() + 1);
    for (line, (sent, code)) in lines.iter().zip(REFUSED) {
        assert_eq!(
            (&line["path"], &line["code"]),
            (&(*sent).into(), &(*code).into())
        );
        assert!(line.get("route").is_none(), "{line}");
    }
    let refused = REFUSED.len() as u64;
    let counted = gateway.metric(
        "gateway_requests_total",
        &[r#"route="""#, r#"status="400""#],
    );
    assert_eq!(counted, refused);
}

#[test]
fn http2_paths_are_refused_alike() {
    let (gateway, orders) = forwarding("", "");
    let mut client = H2c::connect(gateway.addr());
    for (sent, code) in REFUSED {
        assert_refused(&client.get(sent), 400, code);
    }
    assert_eq!(orders.connections(), 0);
    assert_eq!(client.get("/").status, 200);
}

#[test]
fn a_post_with_a_bad_path_leaves_the_connection_usable() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    assert_refused(
        &client.request("POST", "/a%2Fb", &[], b"body"),
        400,
        "path.encoded-slash",
    );
    assert_usable(&mut client, "/");
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn bytes_that_no_target_may_hold_end_the_connection() {
    let (gateway, orders) = forwarding("", "");
    for target in [
        "/a\\b",
        "/a\x01",
        "/a\x7f",
        "/caf\u{e9}",
        "/a#b",
        "/a\"b",
        "a/b",
        "*",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = raw_until(gateway.addr(), request.as_bytes(), "\0", wait::DEADLINE);
        assert_eq!(answer.status(), Some(400), "{target:?}: {}", answer.text());
        assert!(answer.closed, "{target:?}");
    }
    assert_eq!(orders.connections(), 0);
}

#[test]
fn an_absolute_target_is_matched_and_forwarded_as_a_path() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    let host = [("Host", "api.example.com")];
    let answer = client.request("GET", "http://api.example.com/a/../b?c", &host, b"");
    assert_eq!(answer.status, 200);
    let seen = orders.last();
    assert_eq!(
        (seen.target.as_str(), seen.header("host")),
        ("/b?c", Some("api.example.com"))
    );
    assert_eq!(
        client
            .request("GET", "http://api.example.com", &host, b"")
            .status,
        200
    );
    assert_eq!(orders.last().target, "/");
}

#[test]
fn a_listener_may_keep_encoded_slashes_and_params() {
    let orders = Backend::start();
    let listener = "encoded-slash = \"keep\"\npath-params = \"keep\"";
    let route = "[route.one]\nmatch = \"/files/{name}\"\nupstream = \"orders\"\n";
    let gateway = Gateway::start(config_with(listener, "", route, &orders));
    let mut client = gateway.client();
    for (sent, received) in [
        ("/files/a%2fb", "/files/a%2Fb"),
        ("/files/a;v=1", "/files/a;v=1"),
        ("/files/a%3bb", "/files/a%3Bb"),
    ] {
        assert_eq!(client.get(sent).status, 200, "{sent}");
        assert_eq!(orders.last().target, received);
    }
    for sent in [
        "/files/..%2Fsecret",
        "/files/a%2F..",
        "/files/..;/secret",
        "/files/%2e%2e;x",
    ] {
        assert_refused(&client.get(sent), 400, "path.hidden-dots");
    }
    assert_eq!(orders.requests().len(), 3);
}

#[test]
fn no_spelling_of_a_path_gets_around_its_route() {
    let (gateway, orders) = gateway(
        r#"
        [route.admin]
        match = "/admin/**"
        upstream = "orders"
        ip-filter = { allow = ["192.0.2.0/24"] }
        [route.rest]
        match = "/**"
        upstream = "orders"
        "#,
    );
    let mut client = gateway.client();
    for path in [
        "/admin",
        "//admin",
        "/./admin/",
        "/%61dmin/x",
        "/a/../admin",
        "/a/%2e%2e/admin",
        "/admin//x",
        "/x/..//admin/..//admin",
    ] {
        assert_refused(&client.get(path), 403, "ip-filter.denied");
    }
    let mut h2 = H2c::connect(gateway.addr());
    assert_refused(
        &h2.request(H2Request::new("GET", "//%61dmin")),
        403,
        "ip-filter.denied",
    );
    assert_eq!(orders.connections(), 0);
    assert_usable(&mut client, "/Admin");
}
