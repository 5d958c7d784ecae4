//! The gateway's own answers: their shape, the hooks that run on them, and what becomes of the connection.

use harness::{Gateway, H2Request, H2c, Response};

use crate::fixture::{assert_refused, assert_usable, gateway};

const ROUTES: &str = r#"
    [route.denied]
    match = "/denied"
    upstream = "orders"
    ip-filter = { deny = ["127.0.0.0/8"] }
    cors = { origins = ["https://app.example.com"], expose = ["x-request-id"], credentials = true }
    headers = { response = { set = { x-frame-options = "DENY" } } }

    [route.small]
    match = "/small"
    upstream = "orders"
    protect = { body-max = "10B", methods = ["GET", "POST"], content-types = ["text/plain"] }
    cors = { origins = ["https://app.example.com"] }
    headers = { response = { set = { x-frame-options = "DENY" } } }

    [route.dispatch]
    match = "/dispatch"
    upstream = { by = "query.to", map = { orders = "orders" } }
    cors = { origins = ["https://app.example.com"] }

    [route.nobody]
    match = "/nobody"
    upstream = "nobody"
    cors = { origins = ["https://app.example.com"] }

    [route.rest]
    match = "/ok"
    upstream = "orders"

    [upstream.nobody]
    targets = ["127.0.0.1:1"]
"#;

const ORIGIN: (&str, &str) = ("Origin", "https://app.example.com");

/// What a route's hooks put on any answer.
#[track_caller]
fn assert_cors(answer: &Response) {
    assert_eq!(
        answer.headers.all("access-control-allow-origin"),
        ["https://app.example.com"]
    );
    assert!(answer.headers.has_token("vary", "origin"));
}

/// The same request on HTTP/1.1 and on HTTP/2.
fn both(gateway: &Gateway, method: &str, path: &str, body: &[u8]) -> [Response; 2] {
    let headers = [ORIGIN, ("Content-Type", "text/plain")];
    let first = gateway.request(method, path, &headers, body);
    let mut request = H2Request::new(method, path).body(body);
    for (name, value) in headers {
        request = request.header(&name.to_lowercase(), value);
    }
    [first, H2c::connect(gateway.addr()).request(request)]
}

#[test]
fn a_problem_says_what_when_and_nothing_of_the_inside() {
    let (gateway, _orders) = gateway(ROUTES);
    for (path, status, code) in [
        ("/none", 404, "route.none"),
        ("/denied", 403, "ip-filter.denied"),
        ("/dispatch?to=x", 404, "dispatch.no-match"),
        ("/nobody", 502, "upstream.unreachable"),
        ("/a%2Fb", 400, "path.encoded-slash"),
    ] {
        for answer in both(&gateway, "GET", path, b"") {
            assert_refused(&answer, status, code);
            let problem = answer.json();
            let mut keys: Vec<&String> = problem.as_object().unwrap().keys().collect();
            keys.retain(|key| *key != "detail");
            keys.sort_unstable();
            assert_eq!(keys, ["code", "request-id", "status", "title", "type"]);
            assert_eq!(problem["type"], "about:blank");
            assert!(problem["title"].as_str().unwrap().ends_with('.'));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(
                answer.headers.all("content-length"),
                [answer.body.len().to_string()]
            );
            assert_eq!(answer.headers.all("x-request-id").len(), 1);
            for inside in ["127.0.0.1", "orders", "nobody", "pingora", "server"] {
                assert!(
                    !answer.text().to_lowercase().contains(inside),
                    "{}",
                    answer.text()
                );
            }
            assert!(!answer.headers.has("server"));
        }
    }
    let lines = gateway.wait_access_log(10);
    assert!(
        lines.iter().all(|line| line["code"].is_string()),
        "{lines:?}"
    );
}

#[test]
fn response_hooks_run_on_a_policys_refusal() {
    let (gateway, orders) = gateway(ROUTES);
    for answer in both(&gateway, "GET", "/denied", b"") {
        assert_refused(&answer, 403, "ip-filter.denied");
        assert_cors(&answer);
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            Some("true")
        );
        assert_eq!(
            answer.header("access-control-expose-headers"),
            Some("x-request-id")
        );
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    }
    for answer in both(&gateway, "POST", "/small", b"elevenbytes") {
        assert_refused(&answer, 413, "protect.body-too-large");
        assert_cors(&answer);
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
    }
    for answer in both(&gateway, "PUT", "/small", b"") {
        assert_refused(&answer, 405, "protect.method");
        assert_cors(&answer);
    }
    // The second body had no declared length, so its upstream may have been connected; it never got a whole request.
    assert_eq!(orders.requests().len(), 0);
}

#[test]
fn response_hooks_run_on_a_streamed_refusal() {
    let (gateway, _orders) = gateway(ROUTES);
    let mut client = gateway.client();
    let message = "POST /small HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example.com\r\n\
                   Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n\
                   b\r\nelevenbytes\r\n0\r\n\r\n";
    client.send(message.as_bytes()).unwrap();
    let answer = client.receive("POST");
    assert_refused(&answer, 413, "protect.body-too-large");
    assert_cors(&answer);
    assert_eq!(answer.header("x-frame-options"), Some("DENY"));
}

#[test]
fn response_hooks_run_on_a_failure_and_a_missing_match() {
    let (gateway, _orders) = gateway(ROUTES);
    for answer in both(&gateway, "GET", "/nobody", b"") {
        assert_refused(&answer, 502, "upstream.unreachable");
        assert_cors(&answer);
    }
    for answer in both(&gateway, "GET", "/dispatch?to=x", b"") {
        assert_refused(&answer, 404, "dispatch.no-match");
        assert_cors(&answer);
    }
}

#[test]
fn no_hooks_run_where_no_route_is_known() {
    let (gateway, _orders) = gateway(ROUTES);
    for answer in both(&gateway, "GET", "/none", b"") {
        assert_refused(&answer, 404, "route.none");
        assert!(!answer.headers.has("access-control-allow-origin"));
    }
}

#[test]
fn the_connection_is_usable_after_a_refusal() {
    let (gateway, orders) = gateway(ROUTES);
    let mut client = gateway.client();
    for path in ["/none", "/denied", "/dispatch", "/a%2Fb"] {
        assert!(client.get(path).status >= 400);
        assert_usable(&mut client, "/ok");
        let answer = client.request("POST", path, &[], b"a small body");
        assert!(answer.status >= 400);
        assert!(!answer.headers.has_token("connection", "close"), "{path}");
        assert_usable(&mut client, "/ok");
    }
    let declared = client.request(
        "POST",
        "/small",
        &[("Content-Type", "text/plain")],
        b"elevenbytes",
    );
    assert_refused(&declared, 413, "protect.body-too-large");
    assert_usable(&mut client, "/ok");
    let seen = orders.requests();
    assert!(seen.iter().all(|request| request.target == "/ok"));
    assert_eq!(orders.faults(), [""; 0]);
}

#[test]
fn a_refused_body_is_never_read_as_the_next_request() {
    let (gateway, orders) = gateway(ROUTES);
    let mut client = gateway.client();
    let smuggled = b"GET /ok?smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    for path in ["/denied", "/none", "/a%2Fb"] {
        assert!(client.request("POST", path, &[], smuggled).status >= 400);
    }
    assert_usable(&mut client, "/ok");
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn a_large_refused_body_ends_the_connection() {
    let (gateway, orders) = gateway(ROUTES);
    let mut client = gateway.client();
    let head = "POST /denied HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n\r\n";
    client.send(head.as_bytes()).unwrap();
    let answer = client.receive("POST");
    assert_refused(&answer, 403, "ip-filter.denied");
    assert!(answer.headers.has_token("connection", "close"));
    client.wait_closed();
    assert_eq!(orders.connections(), 0);
}

#[test]
fn a_chunked_refused_body_ends_the_connection_or_is_read() {
    let (gateway, orders) = gateway(ROUTES);
    let mut client = gateway.client();
    let message = "POST /denied HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\
                   5\r\nhello\r\n0\r\n\r\n";
    client.send(message.as_bytes()).unwrap();
    let answer = client.receive("POST");
    assert_refused(&answer, 403, "ip-filter.denied");
    if answer.headers.has_token("connection", "close") {
        client.wait_closed();
    } else {
        assert_usable(&mut client, "/ok");
    }
    assert!(
        orders
            .requests()
            .iter()
            .all(|request| request.target == "/ok")
    );
}

#[test]
fn a_refusal_of_head_has_no_body() {
    let (gateway, _orders) = gateway(ROUTES);
    let mut client = gateway.client();
    let mut h2 = H2c::connect(gateway.addr());
    for (path, status) in [
        ("/none", 404),
        ("/denied", 403),
        ("/a%2Fb", 400),
        ("/dispatch", 404),
    ] {
        let request = H2Request::new("HEAD", path);
        for answer in [client.request("HEAD", path, &[], b""), h2.request(request)] {
            assert_eq!((answer.status, answer.body.len()), (status, 0), "{path}");
            assert_eq!(
                answer.header("content-type"),
                Some("application/problem+json")
            );
            let length: usize = answer.header("content-length").unwrap().parse().unwrap();
            assert!(length > 0, "what GET would have got");
        }
        assert_usable(&mut client, "/ok");
    }
    let failed = client.request("HEAD", "/nobody", &[], b"");
    assert_eq!((failed.status, failed.body.len()), (502, 0));
}

#[test]
fn pipelined_requests_are_answered_in_order_also_when_refused() {
    let (gateway, orders) = gateway(ROUTES);
    let mut client = gateway.client();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    let all: String = ["/ok?1", "/denied", "/none", "/ok?2", "/a%2Fb", "/ok?3"]
        .map(get)
        .concat();
    client.send(all.as_bytes()).unwrap();
    let statuses: Vec<u16> = (0..6).map(|_| client.receive("GET").status).collect();
    assert_eq!(statuses, [200, 403, 404, 200, 400, 200]);
    let targets: Vec<String> = orders
        .requests()
        .into_iter()
        .map(|seen| seen.target)
        .collect();
    assert_eq!(targets, ["/ok?1", "/ok?2", "/ok?3"]);
}

#[test]
fn refusals_are_counted_by_route_and_code() {
    let (gateway, _orders) = gateway(ROUTES);
    both(&gateway, "GET", "/denied", b"");
    both(&gateway, "POST", "/small", b"elevenbytes");
    gateway.wait_access_log(4);
    let count = |labels: &[&str]| gateway.metric("gateway_refusals_total", labels);
    let labels = |route, code| {
        [
            format!("route=\"{route}\""),
            format!("code=\"{code}\""),
            "mode=\"enforce\"".to_owned(),
        ]
    };
    for (route, code) in [
        ("denied", "ip-filter.denied"),
        ("small", "protect.body-too-large"),
    ] {
        let labels = labels(route, code);
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        assert_eq!(count(&labels), 2, "{code}");
    }
    let requests = [r#"route="denied""#, r#"status="403""#];
    assert_eq!(gateway.metric("gateway_requests_total", &requests), 2);
}
