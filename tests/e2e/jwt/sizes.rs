//! Tokens and sets of keys that are as large as they may be, and larger.

use harness::tokens::{Issuer, claims, key_set_text, secret_token};
use harness::{Backend, Gateway, Script, raw};
use serde_json::{Value, json};

use super::{SECRET, ask, assert_invalid, bearer, provider};
use crate::fixture::{assert_refused, config};

/// A gateway whose provider takes tokens of so many bytes.
fn taking(bytes: usize) -> (Gateway, Backend) {
    let keys = format!("secret = \"env:JWT_SECRET\", size-max = \"{bytes}B\"");
    let text = provider(&keys, "\"HS256\"", "");
    let orders = Backend::start();
    let gateway = Gateway::start(config(&text, &orders).env("JWT_SECRET", SECRET));
    (gateway, orders)
}

#[test]
fn a_token_is_as_long_as_its_provider_says_and_no_longer() {
    let long = secret_token(
        SECRET.as_bytes(),
        &claims(&json!({ "x": "y".repeat(2_000) })),
    );
    let (wide, _orders) = taking(long.len());
    assert_eq!(ask(&wide, &long).status, 200);
    let (strict, _orders) = taking(long.len() - 1);
    assert_invalid(&ask(&strict, &long));
    assert_eq!(
        strict.metric("gateway_auth_total", &["verdict=\"too-large\""]),
        1
    );
}

#[test]
fn a_token_of_a_mebibyte_is_a_head_that_is_too_large() {
    let (gateway, _orders) = taking(16 << 10);
    let token = secret_token(
        SECRET.as_bytes(),
        &claims(&json!({ "x": "y".repeat(1 << 20) })),
    );
    let head = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\n\r\n",
        bearer(&token)
    );
    let answer = raw(gateway.addr(), head.as_bytes());
    assert_eq!(answer.status(), Some(431));
    assert!(
        answer.text().contains("head.too-large"),
        "{}",
        answer.text()
    );
    // Nobody has looked at it.
    assert_eq!(gateway.metric("gateway_auth_total", &[]), 0);
}

/// A set that holds the key of this issuer and is so many bytes long.
fn set_of(issuer: &Issuer, bytes: usize) -> Script {
    let mut text = key_set_text(&[issuer]);
    // Space before an object means nothing in JSON.
    text.insert_str(0, &" ".repeat(bytes - text.len()));
    assert!(serde_json::from_str::<Value>(&text).is_ok());
    Script::answer(200, text).header("Content-Type", "application/json")
}

#[test]
fn a_set_of_keys_beyond_a_mebibyte_is_none() {
    let issuer = Issuer::new("a", "ES256");
    let token = issuer.token(&claims(&json!({})));
    let text = provider("jwks = \"http://@upstream.idp@/keys\"", "\"ES256\"", "");
    let start = |bytes: usize| {
        let (idp, orders) = (Backend::named("idp"), Backend::start());
        idp.on("/keys", set_of(&issuer, bytes));
        let config = config(&text, &orders).upstream("idp", idp.addr());
        (Gateway::start_unready(config), idp, orders)
    };
    let (good, _idp, _orders) = start(1 << 20);
    good.wait_log(" Started ");
    assert_eq!(ask(&good, &token).status, 200);
    let (bad, _idp, _orders) = start((1 << 20) + 1);
    bad.wait_log("has none yet");
    bad.wait_log(" Started ");
    assert_refused(&ask(&bad, &token), 503, "auth.unavailable");
}

#[test]
fn a_consumer_is_known_by_the_subject_of_its_tokens() {
    let text = format!(
        "[consumer.acme]\nplan = \"premium\"\njwt-subject = \"auth0|7\"\n{}",
        provider(
            "secret = \"env:JWT_SECRET\"",
            "\"HS256\"",
            "identity-headers = { x-consumer = \"consumer.name\", x-plan = \"consumer.plan\" }"
        )
    );
    let orders = Backend::start();
    let gateway = Gateway::start(config(&text, &orders).env("JWT_SECRET", SECRET));
    let seen = |subject: &str| {
        let token = secret_token(SECRET.as_bytes(), &claims(&json!({ "sub": subject })));
        let headers = [("Authorization", &*bearer(&token)), ("X-Consumer", "acme")];
        let answer = gateway.request("GET", "/", &headers, b"");
        assert_eq!(answer.status, 200, "{subject}");
        let last = orders.last();
        let header = |name| last.header(name).map(str::to_owned);
        (header("x-consumer"), header("x-plan"))
    };
    let acme = (Some("acme".to_owned()), Some("premium".to_owned()));
    assert_eq!(seen("auth0|7"), acme);
    // A name is no subject, and nearly is not.
    for other in ["acme", "auth0|77", "AUTH0|7"] {
        assert_eq!(seen(other), (None, None), "{other}");
    }
}
