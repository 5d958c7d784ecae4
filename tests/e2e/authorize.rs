//! `authorize`: who is known may still not do everything.

use harness::tokens::{claims, secret_token};
use harness::{Backend, Gateway, Response, wait};
use serde_json::{Value, json};

use crate::fixture::{assert_refused, config};

const SECRET: &str = "a secret of at least thirty-two bytes";

fn text() -> String {
    let issuer = harness::tokens::ISSUER;
    format!(
        r#"
        [auth.idp]
        jwt = {{
          secret = "env:JWT_SECRET", issuer = "{issuer}", audience = ["orders"], algorithms = ["HS256"], groups = "claim.groups",
        }}
        [auth.keys]
        api-key = {{}}
        [route.orders]
        match = "GET,POST,DELETE /orders/{{tenant}}"
        upstream = "orders"
        auth = "idp"
        cors = {{ origins = ["https://app.example.com"] }}
        authorize = {{
          scopes = {{ GET = ["orders.read"], POST = ["orders.write"] }}, claims = {{ tenant = "{{path.tenant}}" }},
        }}
        [route.admin]
        match = "/admin"
        upstream = "orders"
        auth = "idp"
        authorize = {{ groups = ["admins"], when = "claims.level >= 3 && request.headers['x-why'] != ''" }}
        [route.maybe]
        match = "/maybe"
        upstream = "orders"
        auth = {{ any = ["idp", "keys"], optional = true }}
        authorize = {{ groups = ["admins"] }}
        [route.trial]
        match = "/trial"
        upstream = "orders"
        auth = "idp"
        authorize = {{ groups = ["nobody"], mode = "shadow", shadow-until = "2999-01-01" }}
        "#
    )
}

fn gateway() -> (Gateway, Backend) {
    let orders = Backend::start();
    let config = config(&text(), &orders).env("JWT_SECRET", SECRET);
    (Gateway::start(config), orders)
}

fn ask(
    gateway: &Gateway,
    method: &str,
    path: &str,
    changes: &Value,
    headers: &[(&str, &str)],
) -> Response {
    let token = format!(
        "Bearer {}",
        secret_token(SECRET.as_bytes(), &claims(changes))
    );
    let mut all = vec![("authorization", token.as_str())];
    all.extend_from_slice(headers);
    gateway.request(method, path, &all, b"")
}

#[test]
fn scopes_and_claims_must_fit_the_request() {
    let (gateway, orders) = gateway();
    let reader = json!({ "scope": "orders.read", "tenant": "acme" });
    let by = |method: &str, path: &str| ask(&gateway, method, path, &reader, &[]);
    assert_eq!(by("GET", "/orders/acme").status, 200);
    assert_eq!(by("HEAD", "/orders/acme").status, 200);
    for (method, path) in [
        ("POST", "/orders/acme"),
        ("DELETE", "/orders/acme"),
        ("GET", "/orders/globex"),
    ] {
        assert_refused(&by(method, path), 403, "authorize.denied");
    }
    assert_eq!(orders.requests().len(), 2);
}

#[test]
fn only_a_missing_scope_is_told() {
    let (gateway, _orders) = gateway();
    let origin = [("origin", "https://app.example.com")];
    let reader = json!({ "scope": "orders.read", "tenant": "acme" });
    let scope = ask(&gateway, "POST", "/orders/acme", &reader, &origin);
    assert_refused(&scope, 403, "authorize.denied");
    assert_eq!(
        scope.header("www-authenticate"),
        Some("Bearer error=\"insufficient_scope\"")
    );
    assert_eq!(
        scope.header("access-control-allow-origin"),
        Some("https://app.example.com")
    );
    let claim = ask(&gateway, "GET", "/orders/globex", &reader, &[]);
    assert_refused(&claim, 403, "authorize.denied");
    assert_eq!(claim.header("www-authenticate"), None);
    for secret in ["scope", "tenant", "acme", "orders.read"] {
        assert!(!claim.text().contains(secret), "{}", claim.text());
    }
}

#[test]
fn a_condition_and_a_group_must_both_hold() {
    let (gateway, _orders) = gateway();
    let why = [("x-why", "because")];
    let admin = json!({ "groups": ["staff", "admins"], "level": 3 });
    assert_eq!(ask(&gateway, "GET", "/admin", &admin, &why).status, 200);
    for (changes, headers) in [
        (json!({ "groups": ["staff"], "level": 3 }), &why[..]),
        (json!({ "groups": ["admins"], "level": 2 }), &why),
        (json!({ "groups": ["admins"], "level": "3" }), &why),
        (json!({ "groups": ["admins"] }), &why),
        (admin.clone(), &[]),
    ] {
        let answer = ask(&gateway, "GET", "/admin", &changes, headers);
        assert_refused(&answer, 403, "authorize.denied");
    }
    let twice = [("x-why", "a"), ("x-why", "b")];
    assert_refused(
        &ask(&gateway, "GET", "/admin", &admin, &twice),
        400,
        "authorize.value-repeated",
    );
}

#[test]
fn nobody_in_particular_is_asked_for_a_name() {
    let (gateway, _orders) = gateway();
    let answer = gateway.get("/maybe");
    assert_refused(&answer, 401, "authorize.anonymous");
    // The ways in which one can become somebody here.
    assert_eq!(
        answer.headers.all("www-authenticate"),
        [r#"Bearer realm="idp""#, r#"ApiKey in="header.x-api-key""#]
    );
    let admin = json!({ "groups": ["admins"] });
    assert_eq!(ask(&gateway, "GET", "/maybe", &admin, &[]).status, 200);
}

#[test]
fn a_shadow_lets_pass_and_is_counted() {
    let (gateway, _orders) = gateway();
    assert_eq!(ask(&gateway, "GET", "/trial", &json!({}), &[]).status, 200);
    let labels = [
        "code=\"authorize.denied\"",
        "mode=\"shadow\"",
        "route=\"trial\"",
    ];
    let refusals = || gateway.metric("gateway_refusals_total", &labels);
    wait::until(wait::DEADLINE, "the count", || refusals() == 1);
}
