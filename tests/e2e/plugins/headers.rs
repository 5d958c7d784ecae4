//! `headers`: set, add and remove both ways, with values of the request that can forge nothing.

use harness::{H2c, Script};

use super::both;
use crate::fixture::{assert_refused, assert_usable, gateway};

#[test]
fn edits_the_request_for_the_upstream() {
    let (gateway, orders) = gateway(
        r#"
        [route.all]
        match = "/orders/{id}"
        upstream = "orders"
        headers = { request = {
            set = { x-order = "{path.id}", x-who = "{client.ip}", x-fixed = "a b", x-mixed = "{method} {route} {listener}" },
            add = { x-tag = "ours" },
            remove = ["cookie", "x-secret"],
        } }
        "#,
    );
    let sent = [
        ("X-Order", "forged"),
        ("X-Order", "twice"),
        ("X-Tag", "theirs"),
        ("Cookie", "a=b"),
        ("X-Secret", "1"),
        ("X-Secret", "2"),
        ("X-Kept", "k"),
    ];
    let answers = both(&gateway, "GET", "/orders/7%20a", &sent);
    assert!(answers.iter().all(|answer| answer.status == 200));
    for seen in orders.requests() {
        assert_eq!(seen.headers.all("x-who"), ["127.0.0.1"]);
        assert_eq!(seen.headers.all("x-fixed"), ["a b"]);
        assert_eq!(seen.headers.all("x-mixed"), ["GET all public"]);
        assert_eq!(seen.headers.all("x-tag"), ["theirs", "ours"]);
        assert_eq!(seen.headers.all("x-kept"), ["k"]);
        assert_eq!(seen.headers.all("x-order").len(), 1);
        assert!(!seen.headers.has("cookie") && !seen.headers.has("x-secret"));
    }
}

#[test]
fn edits_the_answer_whoever_made_it() {
    let (gateway, orders) = gateway(
        r#"
        [defaults]
        headers = { response = {
            set = { x-frame-options = "DENY", x-asked = "{header.x-ask}" }, add = { vary = "accept" }, remove = ["server", "x-powered-by"]
        } }
        [route.all]
        match = "/up"
        upstream = "orders"
        [route.own]
        match = "/own"
        respond = { body = "own" }
        "#,
    );
    let answer = Script::answer(200, "x")
        .header("Server", "backend/1.0")
        .header("X-Powered-By", "luck")
        .header("X-Frame-Options", "SAMEORIGIN")
        .header("X-Frame-Options", "ALLOW")
        .header("Vary", "cookie");
    orders.always(answer);
    for path in ["/up", "/own"] {
        for answer in both(&gateway, "GET", path, &[("X-Ask", "this")]) {
            assert_eq!(answer.status, 200);
            assert_eq!(answer.headers.all("x-frame-options"), ["DENY"]);
            assert_eq!(answer.headers.all("x-asked"), ["this"]);
            assert!(answer.headers.has_token("vary", "accept"));
            assert_eq!(answer.headers.has_token("vary", "cookie"), path == "/up");
            assert!(!answer.headers.has("server") && !answer.headers.has("x-powered-by"));
        }
    }
}

const NEEDING: &str = r#"
    [route.all]
    match = "/orders/{id}"
    upstream = "orders"
    headers = { request = { set = { x-tenant = "{header.x-tenant}", x-page = "{query.page}", x-user = "{cookie.user}" } } }
    [route.open]
    match = "/open"
    upstream = "orders"
"#;

#[test]
fn a_value_that_is_missing_or_repeated_is_400() {
    let (gateway, orders) = gateway(NEEDING);
    let whole = [("X-Tenant", "acme"), ("Cookie", "user=u")];
    for (path, headers, code) in [
        ("/orders/7", &whole[..], "headers.value-missing"),
        ("/orders/7?page=1", &whole[1..], "headers.value-missing"),
        ("/orders/7?page=1", &whole[..1], "headers.value-missing"),
        (
            "/orders/7?page=1&page=2",
            &whole[..],
            "headers.value-repeated",
        ),
        (
            "/orders/7?page=1",
            &[("X-Tenant", "a"), ("X-Tenant", "b"), ("Cookie", "user=u")],
            "headers.value-repeated",
        ),
        (
            "/orders/7?page=1",
            &[("X-Tenant", "a"), ("Cookie", "user=u; user=v")],
            "headers.value-repeated",
        ),
        ("/orders/7?page=%ff", &whole[..], "headers.value-not-text"),
    ] {
        for answer in both(&gateway, "GET", path, headers) {
            assert_refused(&answer, 400, code);
        }
    }
    assert_eq!(orders.connections(), 0);
    let mut client = gateway.client();
    assert_refused(&client.get("/orders/7"), 400, "headers.value-missing");
    assert_usable(&mut client, "/open");
    for answer in both(&gateway, "GET", "/orders/7?page=1", &whole) {
        assert_eq!(answer.status, 200);
    }
}

#[test]
fn a_value_of_the_request_cannot_end_its_line() {
    let (gateway, orders) = gateway(NEEDING);
    let headers = [("X-Tenant", "acme"), ("Cookie", "user=u")];
    let path = "/orders/7?page=1%0d%0aX-Admin:%20yes%00%e2%80%a8";
    for answer in both(&gateway, "GET", path, &headers) {
        assert_eq!(answer.status, 200);
        let seen = orders.last();
        assert!(!seen.headers.has("x-admin"));
        assert_eq!(
            seen.header("x-page"),
            Some("1%0D%0AX-Admin: yes%00%E2%80%A8")
        );
    }
    assert_eq!(orders.faults(), [""; 0]);
}

#[test]
fn defaults_and_routes_merge_by_name_and_always_has_the_last_word() {
    let (gateway, orders) = gateway(
        r#"
        [always]
        headers = { request = { set = { x-edge = "always" } } }
        [defaults]
        headers = { request = { set = { x-a = "default", x-b = "default" } } }
        [route.all]
        match = "/**"
        upstream = "orders"
        headers = { request = { set = { x-b = "route", x-edge = "route" }, remove = ["x-c"] } }
        "#,
    );
    gateway.request("GET", "/", &[("X-Edge", "client"), ("X-C", "client")], b"");
    H2c::connect(gateway.addr()).get("/");
    for seen in orders.requests() {
        assert_eq!(seen.headers.all("x-a"), ["default"]);
        assert_eq!(seen.headers.all("x-b"), ["route"]);
        assert_eq!(seen.headers.all("x-edge"), ["always"]);
        assert!(!seen.headers.has("x-c"));
    }
}
