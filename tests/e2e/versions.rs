//! Between versions of HTTP: what HTTP/2 says otherwise reaches an HTTP/1.1 upstream, and old clients are understood.

use harness::{H2Request, H2c, Script, raw};

use crate::fixture::{assert_refused, forwarding, gateway};

#[test]
fn crumbs_of_a_cookie_become_one_field() {
    let (gateway, orders) = forwarding("", "");
    let request = H2Request::new("GET", "/")
        .header("cookie", "a=1")
        .header("cookie", "b=2; c=3");
    assert_eq!(H2c::connect(gateway.addr()).request(request).status, 200);
    assert_eq!(orders.last().headers.all("cookie"), ["a=1; b=2; c=3"]);
}

#[test]
fn a_cookie_is_repeated_only_within_all_crumbs() {
    let (gateway, orders) = gateway(
        "[route.all]\nmatch = { path = \"/\", cookie = { user = \"u\" } }\nupstream = \"orders\"\n",
    );
    let mut client = H2c::connect(gateway.addr());
    let crumbs = |one: &str, two: &str| {
        H2Request::new("GET", "/")
            .header("cookie", one)
            .header("cookie", two)
    };
    assert_eq!(client.request(crumbs("a=1", "user=u")).status, 200);
    assert_refused(
        &client.request(crumbs("user=u", "user=v")),
        400,
        "route.ambiguous",
    );
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn authority_and_host_agree_or_the_request_is_refused() {
    let (gateway, orders) = gateway(
        "[route.a]\nmatch = \"a.example.com/**\"\nupstream = \"orders\"\n\
         [route.b]\nmatch = \"b.example.com/**\"\nrespond = { status = 403 }\n",
    );
    let mut client = H2c::connect(gateway.addr());
    let named = |authority: &str, host: &str| {
        H2Request::new("GET", "/")
            .authority(authority)
            .header("host", host)
    };
    assert_eq!(
        client
            .request(named("a.example.com", "a.example.com"))
            .status,
        200
    );
    assert_eq!(orders.last().headers.all("host"), ["a.example.com"]);
    for (authority, host) in [
        ("a.example.com", "b.example.com"),
        ("b.example.com", "a.example.com"),
    ] {
        let answer = client.try_request(named(authority, host));
        assert!(
            answer.is_err() || answer.unwrap().status == 400,
            "{authority} {host}"
        );
    }
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn a_body_that_is_not_as_long_as_it_says_is_no_request() {
    let (gateway, orders) = forwarding("", "");
    for (length, body) in [("5", "123456"), ("7", "123456")] {
        let request = H2Request::new("POST", "/")
            .header("content-length", length)
            .body(body);
        let answer = H2c::connect(gateway.addr()).try_request(request);
        assert!(answer.is_err() || answer.unwrap().status == 400, "{length}");
    }
    assert_eq!(orders.requests().len(), 0);
    assert_eq!(orders.faults(), [""; 0]);
}

#[test]
fn many_streams_of_one_connection_get_their_own_answers() {
    let (gateway, _orders) = forwarding("", "");
    let mut client = H2c::connect(gateway.addr());
    let requests =
        (0..40).map(|n| H2Request::new("POST", &format!("/{n}")).body(format!("body {n}")));
    let answers = client.together(requests.collect());
    for (n, answer) in answers.into_iter().enumerate() {
        let echo = answer.unwrap().json();
        assert_eq!(echo["target"], format!("/{n}"));
        assert_eq!(echo["body"], format!("body {n}"));
    }
}

#[test]
fn one_stream_that_waits_holds_nobody_up() {
    let (gateway, orders) = forwarding("", "");
    let gate = harness::Gate::new();
    orders.on("/slow", Script::echo().gated(&gate));
    let mut slow = gateway.client();
    slow.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    orders.wait_requests(1);
    for _ in 0..20 {
        assert_eq!(gateway.get("/fast").status, 200);
    }
    gate.open();
    assert_eq!(slow.receive("GET").status, 200);
}

#[test]
fn a_client_of_http_1_0_gets_no_chunks() {
    let (gateway, orders) = forwarding("", "");
    orders.on("/chunks", Script::chunks(["one ", "two"]));
    orders.on("/close", Script::until_close("one two"));
    for path in ["/chunks", "/close"] {
        let request = format!("GET {path} HTTP/1.0\r\nHost: x\r\n\r\n");
        let answer = raw(gateway.addr(), request.as_bytes());
        let text = answer.text();
        assert_eq!(answer.status(), Some(200), "{text}");
        assert!(
            answer.closed && text.ends_with("\r\n\r\none two"),
            "{path}: {text}"
        );
        assert!(!text.to_lowercase().contains("transfer-encoding"), "{text}");
        assert_eq!(orders.last().version, "HTTP/1.1");
        assert_eq!(orders.last().header("via"), Some("1.0 gateway"));
    }
}

#[test]
fn a_client_of_http_1_0_gets_no_informational_answer() {
    let (gateway, orders) = forwarding("", "");
    orders.always(Script::answer(200, "ok").interim(103));
    let answer = raw(gateway.addr(), b"GET / HTTP/1.0\r\nHost: x\r\n\r\n");
    assert_eq!(answer.statuses(), [200], "{}", answer.text());
    assert!(answer.text().ends_with("\r\n\r\nok"));
}

#[test]
fn a_client_that_asks_for_a_close_gets_one() {
    let (gateway, _orders) = forwarding("", "");
    for path in ["/", "/a%2Fb"] {
        let mut client = gateway.client();
        let answer = client.request("GET", path, &[("Connection", "close")], b"");
        assert!(answer.headers.has_token("connection", "close"));
        client.wait_closed();
    }
}

#[test]
fn trailers_of_an_upstream_end_its_answer() {
    let (gateway, orders) = forwarding("", "");
    let trailed = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n\
                   2\r\nok\r\n0\r\nx-sum: 7\r\ncontent-length: 9\r\nset-cookie: a=b\r\n\r\n";
    orders.always(Script::raw(trailed));
    for answer in [gateway.get("/"), H2c::connect(gateway.addr()).get("/")] {
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        for forbidden in ["content-length", "set-cookie"] {
            assert!(
                !answer.trailers.has(forbidden),
                "{}: {:?}",
                answer.version,
                answer.trailers
            );
        }
    }
}

#[test]
fn trailers_of_a_client_never_become_headers() {
    let (gateway, orders) = forwarding("", "");
    let mut client = gateway.client();
    let message = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                   2\r\nok\r\n0\r\nTrue-Client-IP: 198.51.100.7\r\nX-Real-IP: 198.51.100.7\r\n\r\n";
    client.send(message.as_bytes()).unwrap();
    assert_eq!(client.receive("POST").status, 200);
    let seen = orders.last();
    assert_eq!(
        (seen.text(), seen.headers.all("host")),
        ("ok".to_owned(), vec!["x"])
    );
    assert_eq!(seen.headers.all("x-forwarded-for"), ["127.0.0.1"]);
    for name in ["true-client-ip", "x-real-ip"] {
        assert!(
            !seen.trailers.has(name) && !seen.headers.has(name),
            "{name}"
        );
    }
    crate::fixture::assert_usable(&mut client, "/");
}
