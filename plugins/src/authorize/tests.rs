use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::contract::identity::Consumer;
use crate::contract::testing::{TestRequest, admit, compiled, complaints, config};

fn alice() -> Identity {
    let mut identity = Identity::new("idp", None, "alice");
    identity.scopes = vec!["orders.read".into(), "profile".into()];
    identity.groups = vec!["sales".into()];
    identity.claims = json!({ "tenant": "acme", "role": ["clerk", 7], "level": 3, "paid": true })
        .as_object()
        .unwrap()
        .clone();
    identity
}

fn of_consumer(name: &str) -> Identity {
    let mut identity = alice();
    identity.consumer = Some(Arc::new(Consumer {
        name: name.into(),
        ..Consumer::default()
    }));
    identity
}

fn request(method: &str) -> TestRequest {
    TestRequest::new(method, "https://acme.api.example.com/orders/7").capture_host("tenant", "acme")
}

/// The code of the refusal, or `passes`, and what the operator is told.
fn judged(table: &str, request: &TestRequest) -> (String, Vec<String>) {
    let authorize: Authorize = compiled(&config::<Authorize>(table));
    let code = match admit(&authorize, request) {
        Flow::Continue => "passes",
        Flow::Reply(reply) => reply.refusal.map_or("answers", |refusal| refusal.code),
    };
    (code.to_owned(), request.facts().take_notes())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "requests are made where they are used"
)]
fn code(table: &str, request: TestRequest) -> String {
    judged(table, &request).0
}

fn note(table: &str, request: TestRequest) -> String {
    let (code, notes) = judged(table, &request.explained_by(alice()));
    assert_eq!(code, "authorize.denied", "{table}");
    notes.join("; ")
}

trait ByAlice {
    fn explained_by(self, identity: Identity) -> Self;
}

impl ByAlice for TestRequest {
    fn explained_by(self, identity: Identity) -> Self {
        self.explained().identity(identity)
    }
}

#[test]
fn scopes_are_all_needed() {
    let get = || request("GET").identity(alice());
    assert_eq!(code("scopes = ['orders.read', 'profile']", get()), "passes");
    let missing = "scopes = ['orders.read', 'orders.write', 'orders.drop']";
    assert_eq!(code(missing, get()), "authorize.denied");
    assert_eq!(
        note(missing, request("GET")),
        "missing scopes `orders.write`, `orders.drop`; there are scopes `orders.read`, `profile`"
    );
    assert_eq!(code("scopes-any = ['x', 'profile']", get()), "passes");
    assert_eq!(code("scopes-any = ['x', 'y']", get()), "authorize.denied");
}

#[test]
fn a_method_without_scopes_is_refused() {
    let table = "scopes = { GET = ['orders.read'], POST = ['orders.write'], PUT = [] }";
    let by = |method: &str| code(table, request(method).identity(alice()));
    assert_eq!(by("GET"), "passes");
    assert_eq!(by("HEAD"), "passes");
    assert_eq!(by("PUT"), "passes");
    assert_eq!(by("POST"), "authorize.denied");
    assert_eq!(by("DELETE"), "authorize.denied");
    assert_eq!(
        note(table, request("DELETE")),
        "`scopes` says nothing of DELETE, so it is refused"
    );
    let strict = "scopes = { GET = [], HEAD = ['x'] }";
    assert_eq!(
        code(strict, request("HEAD").identity(alice())),
        "authorize.denied"
    );
}

#[test]
fn one_group_is_enough() {
    let by = |table: &str| code(table, request("GET").identity(alice()));
    assert_eq!(by("groups = ['support', 'sales']"), "passes");
    assert_eq!(by("groups = ['support']"), "authorize.denied");
    assert_eq!(
        note("groups = ['support']", request("GET")),
        "none of the groups `support`; there is group `sales`"
    );
}

#[test]
fn claims_are_compared_as_text() {
    let by = |table: &str| code(table, request("GET").identity(alice()));
    for holds in [
        "claims = { tenant = '{host.tenant}' }",
        "claims = { tenant = ['globex', 'acme'] }",
        "claims = { role = 'clerk' }",
        "claims = { role = '7', level = '3', paid = 'true' }",
    ] {
        assert_eq!(by(holds), "passes", "{holds}");
    }
    for fails in [
        "claims = { tenant = 'Acme' }",
        "claims = { tenant = ['globex', ''] }",
        "claims = { role = 'admin' }",
        "claims = { role = '[\"clerk\",7]' }",
        "claims = { none = '' }",
        "claims = { tenant = '{host.tenant}', level = '4' }",
        "claims = { tenant = '{header.x-tenant}' }",
    ] {
        assert_eq!(by(fails), "authorize.denied", "{fails}");
    }
    assert_eq!(
        note("claims = { level = ['4', '5'] }", request("GET")),
        "the claim `level` is 3 and should be `4, 5`"
    );
}

#[test]
fn a_text_is_compared_as_it_is_and_not_encoded() {
    let mut identity = alice();
    identity.claims = json!({ "tenant": "ä b%" }).as_object().unwrap().clone();
    let request = request("GET").header("x-tenant", "ä b%").identity(identity);
    assert_eq!(
        code("claims = { tenant = '{header.x-tenant}' }", request),
        "passes"
    );
}

#[test]
fn a_value_that_is_there_twice_is_a_bad_request() {
    let twice = request("GET")
        .header("x-tenant", "acme")
        .header("x-tenant", "globex");
    let table = "claims = { tenant = '{header.x-tenant}' }";
    assert_eq!(
        code(table, twice.identity(alice())),
        "authorize.value-repeated"
    );
    let bytes = request("GET").header("x-tenant", b"\xff").identity(alice());
    assert_eq!(code(table, bytes), "authorize.value-not-text");
}

#[test]
fn consumers_are_allowed_or_denied() {
    let by = |table: &str, who: Identity| code(table, request("GET").identity(who));
    let list = "consumers = ['shop', 'app']";
    assert_eq!(by(list, of_consumer("shop")), "passes");
    assert_eq!(by(list, of_consumer("batch")), "authorize.denied");
    assert_eq!(by(list, alice()), "authorize.denied");
    let both = "consumers = { allow = ['shop', 'batch'], deny = ['batch'] }";
    assert_eq!(by(both, of_consumer("shop")), "passes");
    assert_eq!(by(both, of_consumer("batch")), "authorize.denied");
    let deny = "consumers = { deny = ['batch'] }";
    assert_eq!(by(deny, of_consumer("shop")), "passes");
    assert_eq!(by(deny, alice()), "passes");
    assert_eq!(by(deny, of_consumer("batch")), "authorize.denied");
}

#[test]
fn a_condition_decides() {
    let by = |table: &str| code(table, request("GET").identity(alice()));
    assert_eq!(by("when = 'claims.level == 3'"), "passes");
    assert_eq!(by("when = 'claims.level == 4'"), "authorize.denied");
    assert_eq!(
        note("when = 'claims.none == 4'", request("GET")),
        "`when` cannot be told: No such key: none"
    );
}

#[test]
fn scopes_may_depend_on_a_value() {
    let table = "scopes = { by = 'header.x-tenant', map = { acme = ['orders.read'], globex = ['orders.all'], open = [] } }";
    let get = || request("GET").identity(alice());
    let by = |table: &str, tenant: &str| code(table, get().header("x-tenant", tenant));
    assert_eq!(by(table, "acme"), "passes");
    assert_eq!(by(table, "open"), "passes");
    assert_eq!(by(table, "globex"), "authorize.denied");
    assert_eq!(by(table, "initech"), "authorize.denied");
    assert_eq!(code(table, get()), "authorize.denied");
    assert_eq!(
        note(table, request("GET")),
        "`scopes` says nothing of this header.x-tenant, so it is refused"
    );
    let twice = get().header("x-tenant", "acme").header("x-tenant", "open");
    assert_eq!(code(table, twice), "authorize.value-repeated");
    let otherwise = table.replace("} }", "}, otherwise = ['profile'] }");
    assert_eq!(by(&otherwise, "initech"), "passes");
    assert_eq!(code(&otherwise, get()), "passes");
}

#[test]
fn nobody_is_asked_for_a_name() {
    let authorize: Authorize = compiled(&config::<Authorize>("groups = ['sales']"));
    let Flow::Reply(reply) = admit(&authorize, &request("GET")) else {
        panic!("nobody passed");
    };
    assert_eq!(reply.refusal, Some(&ANONYMOUS));
    // `auth` knows how to become somebody.
    assert!(reply.headers.is_empty());
}

#[test]
fn only_a_bearer_token_is_told_of_scopes() {
    let challenge = |table: &str, authorization: &str| {
        let authorize: Authorize = compiled(&config::<Authorize>(table));
        let request = request("GET")
            .header("authorization", authorization)
            .identity(alice());
        let Flow::Reply(reply) = admit(&authorize, &request) else {
            panic!("passed");
        };
        let challenge = reply.headers.first().cloned();
        challenge.map(|(_, value)| value.to_str().unwrap().to_owned())
    };
    let told = Some("Bearer error=\"insufficient_scope\"".to_owned());
    assert_eq!(challenge("scopes = ['x']", "bearer abc"), told);
    assert_eq!(challenge("scopes = ['x']", "Basic abc"), None);
    assert_eq!(challenge("groups = ['x']", "Bearer abc"), None);
}

#[test]
fn complains_about_what_cannot_be_meant() {
    for (table, code) in [
        ("", "authorize.empty"),
        ("claims = {}", "authorize.empty"),
        ("scopes = []", "authorize.empty-list"),
        ("scopes = {}", "authorize.empty-list"),
        ("scopes-any = []", "authorize.empty-list"),
        ("groups = []", "authorize.empty-list"),
        ("consumers = []", "authorize.empty-list"),
        ("consumers = {}", "authorize.empty-list"),
        ("consumers = { deny = [] }", "authorize.empty-list"),
        ("claims = { a = [] }", "authorize.empty-list"),
        ("claims = { 'a b' = 'c' }", "authorize.claim"),
        ("scopes = { get = ['a'] }", "authorize.method"),
        ("scopes = { by = 'host' }", "authorize.scopes-by"),
        ("scopes = { map = { a = [] } }", "authorize.scopes-by"),
        (
            "scopes = { by = 'host', map = { a = [] }, GET = [] }",
            "authorize.scopes-mixed",
        ),
        (
            "groups = ['a']\nmode = 'shadow'",
            "policy.shadow-without-end",
        ),
    ] {
        assert_eq!(complaints::<Authorize>(table), [code], "{table}");
    }
}

#[test]
fn it_needs_an_identity_and_what_its_texts_hold() {
    let needs = |table: &str| {
        let needs = Authorize::needs(&config::<Authorize>(table));
        needs
            .iter()
            .map(|value| value.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(needs("groups = ['a']"), ["identity"]);
    assert_eq!(
        needs("claims = { a = '{path.id}-{host.t}' }"),
        ["identity", "path.id", "host.t"]
    );
}
