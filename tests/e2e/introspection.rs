//! `[auth.NAME] introspection`: tokens that only their issuer can judge.

use harness::{Backend, Dns, Gateway, Response, Script};
use serde_json::{Value, json};

use crate::fixture::{assert_refused, config};

fn gateway(more: &str) -> (Gateway, Backend, Backend) {
    let (idp, orders) = (Backend::named("idp"), Backend::start());
    let text = format!(
        r#"
        [auth.opaque]
        introspection = {{
          url = "http://@upstream.idp@/introspect", client-id = "gateway", client-secret = "env:IDP_SECRET", {more}
        }}
        identity-headers = {{ x-user = "claim.username" }}
        [route.orders]
        match = "/**"
        upstream = "orders"
        auth = "opaque"
        "#
    );
    let config = config(&text, &orders).upstream("idp", idp.addr());
    let gateway = Gateway::start(config.env("IDP_SECRET", "hunter2"));
    (gateway, idp, orders)
}

fn says(claims: &Value) -> Script {
    Script::answer(200, claims.to_string()).header("Content-Type", "application/json")
}

fn ask(gateway: &Gateway, token: &str) -> Response {
    let bearer = format!("Bearer {token}");
    gateway.request("GET", "/orders", &[("Authorization", &bearer)], b"")
}

#[test]
fn asks_the_issuer_once_and_remembers_a_yes() {
    let (gateway, idp, orders) = gateway("cache = \"1h\"");
    idp.always(says(
        &json!({ "active": true, "sub": "1", "username": "ada", "exp": 9_999_999_999_u64 }),
    ));
    for _ in 0..3 {
        assert_eq!(ask(&gateway, "opaque-1").status, 200);
        assert_eq!(orders.last().header("x-user"), Some("ada"));
        assert_eq!(orders.last().header("authorization"), None);
    }
    let asked = idp.requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].method.as_str(), asked[0].target.as_str()),
        ("POST", "/introspect")
    );
    assert_eq!(
        asked[0].header("authorization"),
        Some("Basic Z2F0ZXdheTpodW50ZXIy")
    );
    assert_eq!(
        asked[0].text(),
        "token=opaque-1&token_type_hint=access_token"
    );
    assert!(!gateway.log().contains("hunter2") && !gateway.log().contains("opaque-1"));
}

#[test]
fn only_true_is_a_yes() {
    let (gateway, idp, orders) = gateway("on-error = \"allow\"");
    for (number, answer) in [
        json!({ "active": false }),
        json!({ "active": "true", "sub": "1" }),
        json!({ "sub": "1" }),
        json!({ "active": true, "sub": "1", "exp": 1 }),
    ]
    .iter()
    .enumerate()
    {
        idp.always(says(answer));
        let refused = ask(&gateway, &format!("token-{number}"));
        assert_refused(&refused, 401, "auth.invalid");
        assert_eq!(
            refused.header("www-authenticate"),
            Some(r#"Bearer realm="opaque", error="invalid_token""#)
        );
    }
    assert_eq!(orders.connections(), 0);
}

#[test]
fn an_issuer_that_cannot_be_heard_is_503() {
    let (gateway, mut idp, orders) = gateway("timeout = \"200ms\"");
    let yes = json!({ "active": true, "sub": "1" }).to_string();
    for script in [
        Script::answer(200, "<html>").header("Content-Type", "text/html"),
        Script::answer(200, yes.clone()).header("Content-Type", "text/html"),
        Script::answer(401, yes.clone()).header("Content-Type", "application/json"),
        Script::answer(302, yes).header("Location", "/other"),
        Script::answer(200, "x".repeat((256 << 10) + 1)).header("Content-Type", "application/json"),
        Script::stall(),
        Script::close(),
    ] {
        idp.always(script);
        let answer = ask(&gateway, "opaque");
        assert_refused(&answer, 503, "auth.unavailable");
        assert!(answer.headers.has("retry-after"));
    }
    idp.stop();
    assert_refused(&ask(&gateway, "opaque"), 503, "auth.unavailable");
    assert_eq!(orders.connections(), 0);
}

#[test]
fn lets_pass_as_nobody_only_where_that_is_said() {
    let (gateway, mut idp, orders) = gateway("on-error = \"allow\"");
    idp.stop();
    assert_eq!(ask(&gateway, "opaque").status, 200);
    assert_eq!(orders.last().header("x-user"), None);
    assert_eq!(
        orders.last().header("authorization"),
        None,
        "nobody has checked it"
    );
    assert_refused(&gateway.get("/orders"), 401, "auth.missing");
}

#[test]
fn those_who_ask_the_same_share_a_call() {
    let (gateway, idp, _orders) = gateway("");
    let gate = harness::Gate::new();
    idp.always(says(&json!({ "active": true, "sub": "1" })).gated(&gate));
    let mut clients: Vec<_> = (0..5).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client
            .send(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer same\r\n\r\n")
            .unwrap();
    }
    idp.wait_requests(1);
    // Whoever were to ask by himself would wait at the gate, too.
    gate.open();
    for client in &mut clients {
        assert_eq!(client.receive("GET").status, 200);
    }
    assert_eq!(idp.requests().len(), 1);
}

#[test]
fn a_call_for_every_request_is_no_question_to_dns_for_every_request() {
    let (dns, idp, orders) = (Dns::start(), Backend::named("idp"), Backend::start());
    dns.addresses("idp.test", 60, &["127.0.0.1"]);
    idp.always(says(&json!({ "active": true, "sub": "1" })));
    let text = format!(
        r#"
        [server]
        workers = 1
        resolvers = ["{}"]
        [auth.opaque]
        introspection = {{ url = "http://idp.test:{}/", client-id = "gateway", client-secret = "env:X", cache = "0ms" }}
        [route.orders]
        match = "/**"
        upstream = "orders"
        auth = "opaque"
        "#,
        dns.addr(),
        idp.addr().port()
    );
    let gateway = Gateway::start(config(&text, &orders).env("X", "hunter2"));
    assert_eq!(ask(&gateway, "a").status, 200);
    let asked = dns.questions().len();
    dns.silent(true);
    assert_eq!(ask(&gateway, "b").status, 200);
    assert_eq!((idp.requests().len(), dns.questions().len()), (2, asked));
}
