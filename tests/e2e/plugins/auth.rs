//! `auth`: who gets in, who does not and what they are told, and what the upstream learns of it.

mod certificates;
mod consumers;
mod hashes;

use harness::{Backend, Config, Gateway, H2Request, H2c, Response};

use super::{both, refusals};
use crate::fixture::{ABRACADABRA, SESAME, assert_refused, assert_usable, config, gateway};

fn text() -> String {
    format!(
        r#"
    [consumer.ada]
    plan = "free"
    api-keys = ["{SESAME}"]
    [consumer.bob]
    api-keys = ["{ABRACADABRA}"]
    [auth.keys]
    api-key = {{ from = ["header.x-api-key", "query.key", "cookie.key"] }}
    identity-headers = {{ x-consumer = "consumer.name", x-plan = "consumer.plan", x-identity = "identity" }}
    [auth.tokens]
    api-key = {{ from = ["header.authorization"] }}
    strip = false
    [route.keys]
    match = "/keys/**"
    upstream = "orders"
    auth = "keys"
    cors = {{ origins = ["https://app.example.com"] }}
    [route.either]
    match = "/either/**"
    upstream = "orders"
    auth = ["keys", "tokens"]
    [route.anybody]
    match = "/anybody/**"
    upstream = "orders"
    auth = {{ any = ["keys"], optional = true }}
    [route.public]
    match = "/public/**"
    upstream = "orders"
    auth = "none"
    [route.shadow]
    match = "/shadow/**"
    upstream = "orders"
    auth = {{ api-key = {{}}, mode = "shadow", shadow-until = "2999-01-01" }}
    [route.values]
    match = "/values/{{id}}"
    upstream = "orders"
    auth = "keys"
    rewrite = "/of/{{consumer.name}}/{{path.id}}"
"#
    )
}

fn start() -> (Gateway, Backend) {
    gateway(&text())
}

fn challenge(answer: &Response) -> &str {
    answer.header("www-authenticate").unwrap_or_default()
}

#[test]
fn a_key_opens_wherever_it_may_stand_and_goes_no_further() {
    let (gateway, orders) = start();
    for (path, header, left) in [
        ("/keys/a?x=1", ("x-api-key", "sesame"), "/keys/a?x=1"),
        (
            "/keys/a?x=1&key=sesame&y",
            ("accept", "*/*"),
            "/keys/a?x=1&y",
        ),
        ("/keys/a", ("cookie", "a=b; key=sesame"), "/keys/a"),
    ] {
        for answer in both(&gateway, "GET", path, &[header]) {
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            let seen = orders.last();
            assert_eq!(seen.target, left);
            assert_eq!(seen.header("x-consumer"), Some("ada"));
            assert_eq!(seen.header("x-plan"), Some("free"));
            assert_eq!(seen.header("x-api-key"), None);
            assert!(seen.header("cookie").is_none_or(|cookie| cookie == "a=b"));
        }
    }
    let answer = gateway.request("GET", "/keys/a", &[("x-api-key", "abracadabra")], b"");
    assert_eq!(answer.status, 200);
    assert_eq!(orders.last().header("x-consumer"), Some("bob"));
    assert_eq!(orders.last().header("x-plan"), None, "bob has no plan");
}

#[test]
fn who_is_not_known_is_told_the_same_whatever_is_wrong() {
    let (gateway, orders) = start();
    let mut bodies = Vec::new();
    for headers in [
        &[("x-api-key", "open")][..],
        &[("x-api-key", "")],
        &[("x-api-key", "SESAME")],
        &[("x-api-key", "sesame ,")],
    ] {
        for answer in both(&gateway, "GET", "/keys/a", headers) {
            assert_refused(&answer, 401, "auth.invalid");
            assert!(challenge(&answer).starts_with("ApiKey "), "{answer:?}");
            let mut problem = answer.json();
            problem.as_object_mut().unwrap().remove("request-id");
            bodies.push(problem);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert!(orders.requests().is_empty());
}

#[test]
fn who_shows_nothing_learns_all_ways() {
    let (gateway, _orders) = start();
    for answer in both(&gateway, "GET", "/either/a", &[]) {
        assert_refused(&answer, 401, "auth.missing");
        let all: Vec<&str> = answer
            .headers
            .0
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"))
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(all.len(), 2, "{all:?}");
    }
    let mut client = gateway.client();
    let answer = client.request("GET", "/keys/a", &[], b"");
    assert_refused(&answer, 401, "auth.missing");
    assert_usable(&mut client, "/public/a");
}

#[test]
fn two_credentials_are_refused() {
    let (gateway, orders) = start();
    for (path, headers) in [
        (
            "/keys/a",
            &[("x-api-key", "sesame"), ("x-api-key", "sesame")][..],
        ),
        ("/keys/a?key=sesame", &[("x-api-key", "sesame")]),
        ("/keys/a?key=sesame&key=sesame", &[]),
        (
            "/either/a",
            &[("x-api-key", "sesame"), ("authorization", "Bearer sesame")],
        ),
        (
            "/either/a",
            &[
                ("authorization", "Bearer sesame"),
                ("authorization", "Bearer sesame"),
            ],
        ),
    ] {
        let answer = gateway.request("GET", path, headers, b"");
        assert_refused(&answer, 400, "auth.ambiguous");
    }
    assert!(orders.requests().is_empty());
}

#[test]
fn the_presented_credential_decides_and_none_other() {
    let (gateway, orders) = start();
    let bearer = [("authorization", "Bearer sesame")];
    assert_eq!(
        gateway.request("GET", "/either/a", &bearer, b"").status,
        200
    );
    let seen = orders.last();
    assert_eq!(
        seen.header("authorization"),
        Some("Bearer sesame"),
        "strip = false"
    );
    for wrong in ["Bearer open", "Bearer", "Basic c2VzYW1l", "sesame"] {
        let answer = gateway.request("GET", "/either/a", &[("authorization", wrong)], b"");
        assert_refused(&answer, 401, "auth.invalid");
    }
    // Nothing here reads it, so it is the upstream's.
    let basic = [("x-api-key", "sesame"), ("authorization", "Basic YTpi")];
    assert_eq!(gateway.request("GET", "/keys/a", &basic, b"").status, 200);
    assert_eq!(orders.last().header("authorization"), Some("Basic YTpi"));
}

#[test]
fn only_who_shows_nothing_is_anonymous() {
    let (gateway, orders) = start();
    assert_eq!(gateway.get("/anybody/a").status, 200);
    assert_eq!(orders.last().header("x-consumer"), None);
    let known = gateway.request("GET", "/anybody/a", &[("x-api-key", "sesame")], b"");
    assert_eq!(known.status, 200);
    assert_eq!(orders.last().header("x-consumer"), Some("ada"));
    let wrong = gateway.request("GET", "/anybody/a", &[("x-api-key", "open")], b"");
    assert_refused(&wrong, 401, "auth.invalid");
}

#[test]
fn nobody_says_who_they_are_but_the_gateway() {
    let (gateway, orders) = start();
    let forged = [
        ("x-consumer", "root"),
        ("X-Plan", "premium"),
        ("x_consumer", "root"),
        ("x-identity", "root"),
        ("x-consumer", "root"),
    ];
    for path in ["/public/a", "/anybody/a", "/shadow/a"] {
        for answer in both(&gateway, "GET", path, &forged) {
            assert_eq!(answer.status, 200);
            let seen = orders.last();
            for name in ["x-consumer", "x_consumer", "x-plan", "x-identity"] {
                assert_eq!(seen.header(name), None, "{path}: {name}");
            }
        }
    }
    let known = [&forged[..], &[("x-api-key", "abracadabra")]].concat();
    let answer = gateway.request("GET", "/keys/a", &known, b"");
    assert_eq!(answer.status, 200);
    let seen = orders.last();
    assert_eq!(seen.headers.all("x-consumer"), ["bob"]);
    assert_eq!(seen.header("x-plan"), None);
    // Not even by having the gateway's own header dropped as one of this hop.
    let nominated = [("x-api-key", "sesame"), ("connection", "x-consumer")];
    assert_eq!(
        gateway.request("GET", "/keys/a", &nominated, b"").status,
        200
    );
    assert_eq!(orders.last().header("x-consumer"), Some("ada"));
}

#[test]
fn a_cookie_of_the_user_is_no_proof_of_the_users_will() {
    let (gateway, orders) = start();
    let post = |site: Option<&str>| {
        let mut headers = vec![("cookie", "key=sesame")];
        headers.extend(site.map(|site| ("sec-fetch-site", site)));
        gateway.request("POST", "/keys/a", &headers, b"")
    };
    assert_eq!(post(Some("same-origin")).status, 200);
    let served = orders.requests().len();
    assert_refused(&post(Some("cross-site")), 403, "auth.origin");
    assert_refused(&post(None), 403, "auth.origin");
    assert_eq!(orders.requests().len(), served);
}

#[test]
fn pages_of_other_origins_may_read_why() {
    let (gateway, _orders) = start();
    let origin = [("Origin", "https://app.example.com")];
    for answer in both(&gateway, "GET", "/keys/a", &origin) {
        assert_refused(&answer, 401, "auth.missing");
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, Some("https://app.example.com"));
    }
    let preflight = [origin[0], ("Access-Control-Request-Method", "GET")];
    for answer in both(&gateway, "OPTIONS", "/keys/a", &preflight) {
        assert_eq!(answer.status, 204, "a preflight shows no credential");
    }
}

#[test]
fn a_call_of_grpc_and_a_websocket_are_asked_too() {
    let (gateway, orders) = start();
    let call = H2Request::new("POST", "/keys/Call")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    let answer = H2c::connect(gateway.addr()).request(call);
    assert_eq!(answer.header("grpc-status"), Some("16"), "{answer:?}");
    assert_eq!(answer.header("x-problem-code"), Some("auth.missing"));
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let answer = gateway.request("GET", "/keys/chat", &upgrade, b"");
    assert_refused(&answer, 401, "auth.missing");
    assert!(orders.requests().is_empty());
}

#[test]
fn shadow_lets_pass_and_counts() {
    let (gateway, orders) = start();
    let wrong = gateway.request("GET", "/shadow/a", &[("x-api-key", "open")], b"");
    assert_eq!(wrong.status, 200);
    assert_eq!(orders.last().header("x-api-key"), Some("open"));
    assert_eq!(refusals(&gateway, "auth.invalid", "shadow"), 1);
}

#[test]
fn values_of_who_asks_can_be_used() {
    let (gateway, orders) = start();
    let answer = gateway.request("GET", "/values/7", &[("x-api-key", "sesame")], b"");
    assert_eq!(answer.status, 200);
    assert_eq!(orders.last().target, "/of/ada/7");
}

#[test]
fn verdicts_are_counted_and_logged_without_credentials() {
    let (gateway, _orders) = start();
    let get = |key: &str| gateway.request("GET", "/keys/a?key=sesame2", &[("cookie", key)], b"");
    gateway.request("GET", "/keys/a", &[("x-api-key", "sesame")], b"");
    gateway.request("GET", "/keys/a", &[("x-api-key", "hunter2")], b"");
    get("key=sesame");
    let count = |verdict: &str| {
        let verdict = format!("verdict=\"{verdict}\"");
        gateway.metric("gateway_auth_total", &["provider=\"keys\"", &verdict])
    };
    assert_eq!((count("accepted"), count("unknown")), (1, 1));
    let log = gateway.wait_access_log(3);
    assert_eq!(log[0]["auth"], "keys");
    assert_eq!(log[0]["consumer"], "ada");
    assert_eq!(log[1]["code"], "auth.invalid");
    assert!(log[1].get("consumer").is_none());
    let told = format!("{log:?}{}", gateway.log());
    for secret in ["sesame", "hunter2", "d0c04f4b"] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
}

#[test]
fn a_route_must_say_who_may_call_it() {
    let orders = Backend::start();
    let silent = text() + "[route.silent]\nmatch = \"/silent\"\nupstream = \"orders\"\n";
    let exit = Gateway::try_start(config(&silent, &orders));
    assert_eq!(exit.code, Some(2), "{exit}");
    assert!(
        exit.stderr.contains("does not say who may call it"),
        "{exit}"
    );
}

/// A configuration of one's own: the keys at the top come before any table.
fn with_top(top: &str, text: &str, orders: &Backend) -> Config {
    let head = "[listener.public]\naddress = \"@address.public@\"\n\
                [upstream.orders]\ntargets = [\"@upstream.orders@\"]\n";
    Config::new(format!("{top}\n{head}{text}")).upstream("orders", orders.addr())
}
