//! `cors`: preflights granted and refused, permissions on every answer, and nothing an upstream says about it.

use harness::{Gateway, Response, Script};

use super::{both, refusals};
use crate::fixture::{assert_refused, gateway};

const ROUTES: &str = r#"
    [route.app]
    match = "/app"
    upstream = "orders"
    cors = {
        origins = ["https://app.example.com", "https://*.partner.example", "http://localhost:3000"],
        methods = ["GET", "PUT"], headers = ["content-type", "authorization"], expose = ["x-total"],
        credentials = true, max-age = "10min",
    }
    [route.public]
    match = "/public"
    upstream = "orders"
    cors = { origins = ["*"], headers = ["*"], expose = ["*"] }
    [route.shadow]
    match = "/shadow"
    upstream = "orders"
    cors = { origins = ["https://app.example.com"], mode = "shadow" }
"#;

const APP: &str = "https://app.example.com";

fn preflight(
    gateway: &Gateway,
    path: &str,
    origin: &str,
    method: &str,
    headers: &str,
) -> [Response; 2] {
    let mut fields = vec![
        ("Origin", origin),
        ("Access-Control-Request-Method", method),
    ];
    if !headers.is_empty() {
        fields.push(("Access-Control-Request-Headers", headers));
    }
    both(gateway, "OPTIONS", path, &fields)
}

/// `Access-Control-*` of an answer, sorted, names without the prefix.
fn permissions(answer: &Response) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = answer
        .headers
        .0
        .iter()
        .filter_map(|(name, value)| {
            let name = name.to_lowercase();
            let name = name.strip_prefix("access-control-")?;
            Some((name.to_owned(), value.clone()))
        })
        .collect();
    all.sort_unstable();
    all
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    pairs.iter().map(owned).collect()
}

fn assert_varies(answer: &Response, names: &[&str]) {
    for name in names {
        assert!(
            answer.headers.has_token("vary", name),
            "{name}: {:?}",
            answer.headers
        );
    }
}

#[test]
fn grants_a_preflight_without_asking_the_upstream() {
    let (gateway, orders) = gateway(ROUTES);
    for answer in preflight(&gateway, "/app", APP, "PUT", "Authorization,content-type") {
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        let granted = [
            ("allow-credentials", "true"),
            ("allow-headers", "content-type, authorization"),
            ("allow-methods", "GET, PUT, HEAD"),
            ("allow-origin", APP),
            ("max-age", "600"),
        ];
        assert_eq!(permissions(&answer), pairs(&granted));
        let asked = [
            "origin",
            "access-control-request-method",
            "access-control-request-headers",
        ];
        assert_varies(&answer, &asked);
        assert!(!answer.headers.has("content-length") && !answer.headers.has("transfer-encoding"));
    }
    assert_eq!(orders.connections(), 0);
    assert_eq!(gateway.wait_access_log(2)[0]["status"], 204);
}

#[test]
fn knows_its_origins_and_no_lookalikes() {
    let (gateway, _orders) = gateway(ROUTES);
    for origin in [APP, "https://a.partner.example", "http://localhost:3000"] {
        for answer in preflight(&gateway, "/app", origin, "GET", "") {
            assert_eq!(answer.status, 204, "{origin}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
        }
    }
    for origin in [
        "null",
        "*",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.example",
        "https://evil-app.example.com",
        "https://partner.example",
        "https://a.b.partner.example",
        "https://evilpartner.example",
        "https://a.partner.example.evil.example",
        "https://evil.example/.partner.example",
        "HTTPS://APP.EXAMPLE.COM",
        "http://localhost",
        "http://localhost:30000",
    ] {
        for answer in preflight(&gateway, "/app", origin, "GET", "") {
            assert_refused(&answer, 403, "cors.origin");
            assert_eq!(permissions(&answer), pairs(&[]), "{origin}");
            assert_varies(&answer, &["origin"]);
        }
    }
}

#[test]
fn refuses_methods_headers_and_repetitions() {
    let (gateway, orders) = gateway(ROUTES);
    for answer in preflight(&gateway, "/app", APP, "DELETE", "") {
        assert_refused(&answer, 403, "cors.method");
    }
    for headers in [
        "x-secret",
        "content-type, x-secret",
        "authorization,,X-Other",
    ] {
        for answer in preflight(&gateway, "/app", APP, "PUT", headers) {
            assert_refused(&answer, 403, "cors.header");
        }
    }
    let method = ("Access-Control-Request-Method", "PUT");
    for repeated in [
        [("Origin", APP), ("Origin", "https://evil.example"), method],
        [
            ("Origin", APP),
            method,
            ("Access-Control-Request-Method", "GET"),
        ],
    ] {
        let [first, second] = both(&gateway, "OPTIONS", "/app", &repeated);
        for answer in [first, second] {
            assert_refused(&answer, 400, "cors.repeated");
        }
    }
    for answer in both(&gateway, "GET", "/app", &[("Origin", APP), ("Origin", APP)]) {
        assert_refused(&answer, 400, "cors.repeated");
    }
    assert_eq!(orders.connections(), 0);
    assert_eq!(refusals(&gateway, "cors.header", "enforce"), 6);
}

#[test]
fn permits_pages_to_read_answers() {
    let (gateway, orders) = gateway(ROUTES);
    let upstreams = Script::answer(200, "x")
        .header("Access-Control-Allow-Origin", "*")
        .header("Access-Control-Allow-Credentials", "true")
        .header("Access-Control-Allow-Methods", "DELETE")
        .header("Access-Control-Expose-Headers", "x-inside")
        .header("Access-Control-Max-Age", "86400")
        .header("Vary", "Accept-Encoding");
    orders.always(upstreams);
    for answer in both(&gateway, "GET", "/app", &[("Origin", APP)]) {
        assert_eq!((answer.status, answer.text().as_str()), (200, "x"));
        let granted = [
            ("allow-credentials", "true"),
            ("allow-origin", APP),
            ("expose-headers", "x-total"),
        ];
        assert_eq!(permissions(&answer), pairs(&granted));
        assert_varies(&answer, &["origin", "accept-encoding"]);
    }
    // A stranger's request passes, and its page may not read the answer.
    for headers in [&[("Origin", "https://evil.example")][..], &[]] {
        for answer in both(&gateway, "GET", "/app", headers) {
            assert_eq!(answer.status, 200);
            assert_eq!(permissions(&answer), pairs(&[]));
            assert_varies(&answer, &["origin"]);
        }
    }
}

#[test]
fn everyone_is_everyone_but_for_credentials() {
    let (gateway, orders) = gateway(ROUTES);
    for origin in ["https://anyone.example", "null"] {
        for answer in preflight(
            &gateway,
            "/public",
            origin,
            "POST",
            "x-anything, content-type",
        ) {
            assert_eq!(answer.status, 204);
            assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
            assert_eq!(answer.header("access-control-allow-headers"), Some("*"));
            assert!(!answer.headers.has("access-control-allow-credentials"));
            assert!(!answer.headers.has("access-control-max-age"));
        }
    }
    for answer in preflight(
        &gateway,
        "/public",
        "https://a.example",
        "POST",
        "Authorization",
    ) {
        assert_refused(&answer, 403, "cors.header");
    }
    assert_eq!(orders.connections(), 0);
    for answer in both(&gateway, "GET", "/public", &[]) {
        let granted = [("allow-origin", "*"), ("expose-headers", "*")];
        assert_eq!(permissions(&answer), pairs(&granted));
        assert!(
            !answer.headers.has_token("vary", "origin"),
            "the same for everyone"
        );
    }
}

#[test]
fn options_without_a_question_is_a_request_like_any() {
    let (gateway, orders) = gateway(ROUTES);
    for headers in [
        &[("Origin", APP)][..],
        &[("Access-Control-Request-Method", "PUT")],
        &[],
    ] {
        for answer in both(&gateway, "OPTIONS", "/app", headers) {
            assert_eq!(answer.status, 200);
        }
    }
    assert_eq!(orders.requests().len(), 6);
    assert_eq!(orders.last().method, "OPTIONS");
}

#[test]
fn shadow_leaves_everything_to_the_upstream_and_tells() {
    let (gateway, orders) = gateway(ROUTES);
    let theirs = Script::answer(200, "theirs")
        .header("Access-Control-Allow-Origin", "https://theirs.example");
    orders.always(theirs);
    for origin in [APP, "https://evil.example"] {
        for answer in preflight(&gateway, "/shadow", origin, "GET", "") {
            assert_eq!((answer.status, answer.text().as_str()), (200, "theirs"));
            assert_eq!(
                permissions(&answer),
                pairs(&[("allow-origin", "https://theirs.example")])
            );
            assert!(!answer.headers.has("vary"));
        }
    }
    assert_eq!(orders.requests().len(), 4);
    let lines = gateway.wait_access_log(4);
    assert!(lines[0].get("shadowed").is_none());
    assert_eq!(lines[2]["shadowed"], serde_json::json!(["cors.origin"]));
    assert_eq!(refusals(&gateway, "cors.origin", "shadow"), 2);
    assert_eq!(refusals(&gateway, "cors.origin", "enforce"), 0);
}
