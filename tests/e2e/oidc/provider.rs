//! Identity providers that are slow, away, or say what they should not.

use harness::tokens::{Issuer, key_set};
use harness::wait::{self, DEADLINE};
use harness::{Backend, Config, Gateway, Page, Script, Visitor};
use serde_json::{Value, json};

use super::{KEYS, keyed, text};
use crate::fixture::assert_refused;

/// A provider that says what a test lets it say.
struct Fake {
    idp: Backend,
    key: Issuer,
    gateway: Gateway,
    _orders: Backend,
}

fn issuer(idp: &Backend) -> String {
    format!("http://{}", idp.addr())
}

fn document(idp: &Backend) -> Value {
    let issuer = issuer(idp);
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
    })
}

fn answer(document: &Value) -> Script {
    Script::answer(200, document.to_string()).header("content-type", "application/json")
}

const DISCOVERY: &str = "/.well-known/openid-configuration";

fn config(idp: &Backend, orders: &Backend) -> Config {
    let text = text(&issuer(idp), "http://@address.public@", KEYS);
    keyed(Config::new(text).upstream("orders", orders.addr()))
}

impl Fake {
    fn new() -> Self {
        let (idp, orders) = (Backend::named("idp"), Backend::start());
        let key = Issuer::new("one", "RS256");
        idp.on(DISCOVERY, answer(&document(&idp)));
        idp.on("/keys", key_set(&[&key]));
        let gateway = Gateway::start(config(&idp, &orders));
        Self {
            idp,
            key,
            gateway,
            _orders: orders,
        }
    }

    /// Begins a login, lets the token endpoint say this of it, and comes back from the provider.
    fn logs_in(&self, tokens: impl FnOnce(&str) -> Script) -> Page {
        let mut visitor = Visitor::new();
        let page = visitor.get(&format!("http://{}/orders/7", self.gateway.addr()));
        let to = page.next().expect("the way to the login");
        let parameter = |name: &str| {
            let start = to.find(&format!("{name}=")).unwrap() + name.len() + 1;
            to[start..].split('&').next().unwrap().to_owned()
        };
        self.idp.on("/token", tokens(&parameter("nonce")));
        let state = parameter("state");
        visitor.get(&format!(
            "http://{}/oauth2/callback?code=c&state={state}",
            self.gateway.addr()
        ))
    }

    /// An ID token that is good but for these claims.
    fn id_token(&self, nonce: &str, changes: &Value) -> String {
        let mut claims = harness::tokens::claims(&json!({
            "iss": issuer(&self.idp), "aud": "app", "sub": "alice", "nonce": nonce,
        }));
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        self.key.token(&claims)
    }

    fn tokens(&self, nonce: &str, changes: &Value) -> Script {
        answer(&json!({
            "access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": self.id_token(nonce, changes),
        }))
    }
}

#[test]
fn only_an_id_token_of_this_login_counts() {
    let fake = Fake::new();
    let good = fake.logs_in(|nonce| fake.tokens(nonce, &json!({})));
    assert_eq!(good.response.status, 303, "{}", good.response.text());
    for changes in [
        json!({ "nonce": "another" }),
        json!({ "nonce": null }),
        json!({ "aud": "other" }),
        json!({ "aud": ["app", "other"] }),
        json!({ "aud": ["app", "other"], "azp": "other" }),
        json!({ "azp": "other" }),
        json!({ "iss": "https://evil.example" }),
        json!({ "exp": 1 }),
        json!({ "exp": "soon" }),
        json!({ "sub": null }),
        // Of another access token than "a".
        json!({ "at_hash": "77QmUPtjPfzWtF2AnpK9RQ" }),
        json!({ "at_hash": "ypeBEsobvcr6wjGzmiPcTQ==" }),
        json!({ "at_hash": null }),
    ] {
        let page = fake.logs_in(|nonce| fake.tokens(nonce, &changes));
        assert_refused(&page.response, 400, "auth.login-failed");
    }
    for changes in [
        json!({ "aud": ["app", "other"], "azp": "app" }),
        json!({ "at_hash": "ypeBEsobvcr6wjGzmiPcTQ" }),
    ] {
        let page = fake.logs_in(|nonce| fake.tokens(nonce, &changes));
        assert_eq!(page.response.status, 303, "{changes}");
    }
}

#[test]
fn a_forged_id_token_counts_for_nothing() {
    let fake = Fake::new();
    let other = Issuer::new("one", "RS256");
    let forged = |nonce: &str| {
        let claims = harness::tokens::claims(&json!({
            "iss": issuer(&fake.idp), "aud": "app", "sub": "admin", "nonce": nonce,
        }));
        answer(
            &json!({ "access_token": "a", "token_type": "Bearer", "id_token": other.token(&claims) }),
        )
    };
    assert_refused(&fake.logs_in(forged).response, 400, "auth.login-failed");
    let none = |_: &str| answer(&json!({ "access_token": "a", "token_type": "Bearer" }));
    assert_refused(&fake.logs_in(none).response, 400, "auth.login-failed");
}

#[test]
fn a_token_endpoint_may_say_anything() {
    let fake = Fake::new();
    let refused = |_: &str| Script::answer(400, r#"{"error":"invalid_grant"}"#);
    assert_refused(&fake.logs_in(refused).response, 400, "auth.login-failed");
    for odd in [
        Script::answer(200, "<!DOCTYPE html><title>Sorry</title>")
            .header("content-type", "text/html"),
        Script::status(302).header("location", "http://127.0.0.1:1/"),
        Script::status(500),
        Script::reset(),
        Script::answer(200, "x".repeat(300 << 10)),
        Script::answer(401, r#"{"error":"invalid_client"}"#),
        Script::answer(200, "{}"),
    ] {
        let page = fake.logs_in(|_| odd.clone());
        assert_refused(&page.response, 503, "auth.unavailable");
    }
}

#[test]
fn a_provider_that_is_away_is_asked_again() {
    let (idp, orders) = (Backend::named("idp"), Backend::start());
    idp.on(
        DISCOVERY,
        Script::answer(200, "<html>").header("content-type", "text/html"),
    );
    let gateway = Gateway::start_unready(config(&idp, &orders));
    let page = || {
        let client = harness::Client::try_connect(gateway.addr()).ok()?;
        let mut client = client;
        let headers = [("accept", "text/html"), ("sec-fetch-mode", "navigate")];
        client.try_request("GET", "/orders/7", &headers, b"").ok()
    };
    let first = wait::until_some(DEADLINE, "the gateway", page);
    assert_refused(&first, 503, "auth.unavailable");
    assert_eq!(gateway.admin_get("/readyz").status, 503);
    assert_eq!(gateway.get("/public").status, 200);
    let key = Issuer::new("one", "RS256");
    idp.on("/keys", key_set(&[&key]));
    let mut other = document(&idp);
    other["issuer"] = json!("https://evil.example");
    for bad in [
        answer(&other),
        Script::status(302).header("location", "/elsewhere"),
        answer(&json!({ "issuer": issuer(&idp) })),
    ] {
        let before = idp.requests().len();
        idp.on(DISCOVERY, bad);
        idp.wait_requests(before + 1);
        assert_refused(&page().unwrap(), 503, "auth.unavailable");
        // One more round would take twice as long: the pauses double.
        if before > 2 {
            break;
        }
    }
    idp.on(DISCOVERY, answer(&document(&idp)));
    let login = wait::until_some(DEADLINE, "the login", || {
        page().filter(|page| page.status == 302)
    });
    assert!(login.header("location").unwrap().starts_with(&issuer(&idp)));
}
