//! `[auth.NAME] jwt`: tokens that are signed, by keys of files, of the environment and of a provider that changes them.

mod sizes;

use harness::tokens::{self, Issuer, claims, key_set, secret_token};
use harness::{Backend, Config, Gateway, Response, Script};
use serde_json::json;

use crate::fixture::{assert_refused, config};

const SECRET: &str = "a secret of at least thirty-two bytes";

const ROUTES: &str = r#"
    [route.orders]
    match = "/**"
    upstream = "orders"
    auth = "idp"
"#;

/// `[auth.idp]` with these keys, beside issuer and audience.
fn provider(keys: &str, algorithms: &str, more: &str) -> String {
    let issuer = tokens::ISSUER;
    format!(
        "[auth.idp]\njwt = {{ {keys}, issuer = \"{issuer}\", audience = [\"orders\"], algorithms = [{algorithms}] }}\n\
         {more}\n{ROUTES}"
    )
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn ask(gateway: &Gateway, token: &str) -> Response {
    gateway.request(
        "GET",
        "/orders/7",
        &[("Authorization", &bearer(token))],
        b"",
    )
}

#[track_caller]
fn assert_invalid(answer: &Response) {
    assert_refused(answer, 401, "auth.invalid");
    assert_eq!(
        answer.header("www-authenticate"),
        Some(r#"Bearer realm="idp", error="invalid_token""#)
    );
}

/// A gateway whose provider publishes these keys, with both backends: the provider and the upstream.
fn published(issuers: &[&Issuer], algorithms: &str, more: &str) -> (Gateway, Backend, Backend) {
    let (idp, orders) = (Backend::named("idp"), Backend::start());
    idp.on("/keys", key_set(issuers));
    let text = provider("jwks = \"http://@upstream.idp@/keys\"", algorithms, more);
    let gateway = Gateway::start(config(&text, &orders).upstream("idp", idp.addr()));
    (gateway, idp, orders)
}

#[test]
fn a_good_token_passes_and_is_not_forwarded() {
    let text = provider(
        "secret = \"env:JWT_SECRET\"",
        "\"HS256\"",
        "identity-headers = { x-user = \"claim.sub\" }",
    );
    let orders = Backend::start();
    let gateway = Gateway::start(config(&text, &orders).env("JWT_SECRET", SECRET));
    for _ in 0..2 {
        let token = secret_token(SECRET.as_bytes(), &claims(&json!({})));
        assert_eq!(ask(&gateway, &token).status, 200);
        assert_eq!(orders.last().header("x-user"), Some("me"));
        assert_eq!(orders.last().header("authorization"), None);
    }
    assert_eq!(
        gateway.metric(
            "gateway_auth_total",
            &["provider=\"idp\"", "verdict=\"accepted\""]
        ),
        2
    );
    let missing = gateway.get("/orders/7");
    assert_refused(&missing, 401, "auth.missing");
    assert_eq!(
        missing.header("www-authenticate"),
        Some(r#"Bearer realm="idp""#)
    );
    let token = bearer(&secret_token(SECRET.as_bytes(), &claims(&json!({}))));
    let twice = [("Authorization", &*token), ("Authorization", &*token)];
    assert_refused(
        &gateway.request("GET", "/", &twice, b""),
        400,
        "auth.ambiguous",
    );
    assert_eq!(orders.requests().len(), 2);
}

#[test]
fn what_is_wrong_with_a_token_is_not_said_to_the_client() {
    let text = provider("secret = \"env:JWT_SECRET\"", "\"HS256\"", "");
    let orders = Backend::start();
    let gateway = Gateway::start(config(&text, &orders).env("JWT_SECRET", SECRET));
    let signed = |changes| secret_token(SECRET.as_bytes(), &claims(&changes));
    let good = signed(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("a token has three parts");
    };
    let tokens = [
        ("expired", signed(json!({ "exp": 1 }))),
        ("claim", signed(json!({ "exp": "9999999999" }))),
        ("claim", signed(json!({ "exp": null }))),
        ("claim", signed(json!({ "sub": 7 }))),
        ("not-yet", signed(json!({ "nbf": 9_999_999_999_u64 }))),
        (
            "issuer",
            signed(json!({ "iss": "https://idp.example.com" })),
        ),
        ("audience", signed(json!({ "aud": ["billing"] }))),
        (
            "signature",
            secret_token(b"another secret of thirty-two bytes", &claims(&json!({}))),
        ),
        ("signature", format!("{header}.{payload}.")),
        // {"alg":"none"}
        ("algorithm", format!("eyJhbGciOiJub25lIn0.{payload}.")),
        ("malformed", format!("{header}.{payload}.{signature}=")),
        ("malformed", format!("{good}.{payload}.{signature}")),
        ("malformed", format!("{header}.{payload}")),
        ("malformed", "opaque".to_owned()),
    ];
    for (number, (reason, token)) in tokens.iter().enumerate() {
        let answer = ask(&gateway, token);
        assert_invalid(&answer);
        assert_eq!(
            answer.json()["title"],
            "The credential is not valid.",
            "{reason}"
        );
        let so_far = tokens[..=number]
            .iter()
            .filter(|(other, _)| other == reason)
            .count();
        let verdict = format!("verdict=\"{reason}\"");
        assert_eq!(
            gateway.metric("gateway_auth_total", &[&verdict]),
            so_far as u64,
            "{reason} {number}"
        );
    }
    for value in [
        "Bearer",
        "Bearer ",
        "Bearer  x",
        "Basic eDp5",
        &format!("Bearer {good} {good}"),
    ] {
        assert_invalid(&gateway.request("GET", "/", &[("Authorization", value)], b""));
    }
    assert_eq!(orders.connections(), 0);
    assert!(!gateway.log().contains(payload) && !gateway.log().contains(SECRET));
}

#[test]
fn reads_tokens_where_it_is_told_to() {
    let keys = "secret = \"env:JWT_SECRET\", size-max = \"1KiB\", from = [\"cookie.token\", \"query.t\", \"header.x-token\"]";
    let orders = Backend::start();
    let text = provider(keys, "\"HS256\"", "");
    let gateway = Gateway::start(config(&text, &orders).env("JWT_SECRET", SECRET));
    let token = secret_token(SECRET.as_bytes(), &claims(&json!({})));
    let (cookie, query) = (format!("a=b; token={token}"), format!("/x?y=1&t={token}"));
    assert_eq!(
        gateway
            .request("GET", "/", &[("Cookie", &cookie)], b"")
            .status,
        200
    );
    assert_eq!(
        gateway
            .request("GET", "/", &[("X-Token", &token)], b"")
            .status,
        200
    );
    assert_eq!(gateway.get(&query).status, 200);
    assert_refused(&ask(&gateway, &token), 401, "auth.missing");
    let both = gateway.request("GET", &query, &[("Cookie", &cookie)], b"");
    assert_refused(&both, 400, "auth.ambiguous");
    let long = secret_token(
        SECRET.as_bytes(),
        &claims(&json!({ "x": "y".repeat(1000) })),
    );
    assert_invalid(&gateway.request("GET", "/", &[("X-Token", &long)], b""));
    assert_eq!(
        gateway.metric("gateway_auth_total", &["verdict=\"too-large\""]),
        1
    );
}

#[test]
fn verifies_by_published_keys_of_every_kind() {
    let [es256, es384, rs256, ps512] = [
        ("a", "ES256"),
        ("b", "ES384"),
        ("c", "RS256"),
        ("d", "PS512"),
    ]
    .map(|(kid, name)| Issuer::new(kid, name));
    let stranger = Issuer::new("a", "ES256");
    let all = [&es256, &es384, &rs256, &ps512];
    let (gateway, idp, orders) = published(&all, "\"ES256\", \"ES384\", \"RS256\", \"PS512\"", "");
    for issuer in all {
        assert_eq!(
            ask(&gateway, &issuer.token(&claims(&json!({})))).status,
            200
        );
    }
    assert_eq!(
        ask(&gateway, &es256.nameless_token(&claims(&json!({})))).status,
        200,
        "only one can be meant"
    );
    assert_invalid(&ask(&gateway, &stranger.token(&claims(&json!({})))));
    // Signed with what everybody knows.
    assert_invalid(&ask(
        &gateway,
        &secret_token(rs256.public_pem().as_bytes(), &claims(&json!({}))),
    ));
    assert_eq!(orders.requests().len(), 5);
    let asked = idp.requests();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].method.as_str(), asked[0].target.as_str()),
        ("GET", "/keys")
    );
}

#[test]
fn verifies_by_a_public_key_in_a_file() {
    let issuer = Issuer::new("any", "RS256");
    let orders = Backend::start();
    let text = provider(
        "public-key = \"file:issuer.pem\"",
        "\"RS256\", \"PS256\"",
        "",
    );
    let gateway = Gateway::start(config(&text, &orders).file("issuer.pem", issuer.public_pem()));
    assert_eq!(
        ask(&gateway, &issuer.token(&claims(&json!({})))).status,
        200
    );
    assert_invalid(&ask(
        &gateway,
        &Issuer::new("any", "RS256").token(&claims(&json!({}))),
    ));
    assert_invalid(&ask(
        &gateway,
        &secret_token(issuer.public_pem().as_bytes(), &claims(&json!({}))),
    ));
}

#[test]
fn claims_name_the_plan_and_clients_cannot() {
    let more = "identity-headers = { x-plan = \"consumer.plan\" }";
    let orders = Backend::start();
    let text = provider(
        "secret = \"env:JWT_SECRET\", plan = \"claim.app.plan\"",
        "\"HS256\"",
        more,
    );
    let gateway = Gateway::start(config(&text, &orders).env("JWT_SECRET", SECRET));
    let token = |changes| bearer(&secret_token(SECRET.as_bytes(), &claims(&changes)));
    let free = token(json!({ "app": { "plan": "free" } }));
    let forged = [("Authorization", &*free), ("X-Plan", "gold")];
    assert_eq!(gateway.request("GET", "/", &forged, b"").status, 200);
    assert_eq!(orders.last().header("x-plan"), Some("free"));
    let none = token(json!({}));
    let forged = [("Authorization", &*none), ("X-Plan", "gold")];
    assert_eq!(gateway.request("GET", "/", &forged, b"").status, 200);
    assert_eq!(orders.last().header("x-plan"), None);
}

#[test]
fn a_new_key_is_fetched_once_however_many_tokens_name_it() {
    let (old, new) = (Issuer::new("old", "ES256"), Issuer::new("new", "ES256"));
    let (gateway, idp, _orders) = published(&[&old], "\"ES256\"", "");
    let before = old.token(&claims(&json!({})));
    assert_eq!(ask(&gateway, &before).status, 200);
    idp.on("/keys", key_set(&[&new]));
    assert_eq!(ask(&gateway, &new.token(&claims(&json!({})))).status, 200);
    assert_eq!(idp.requests().len(), 2);
    // Remembered under keys that are gone, and the name is unknown: nobody is asked again so soon.
    assert_invalid(&ask(&gateway, &before));
    for number in 0..50 {
        let stranger = Issuer::new(&format!("../{number}"), "ES256");
        assert_invalid(&ask(&gateway, &stranger.token(&claims(&json!({})))));
    }
    assert_eq!(idp.requests().len(), 2);
}

#[test]
fn a_new_key_is_found_though_tokens_name_none() {
    let (old, new) = (Issuer::new("old", "ES256"), Issuer::new("new", "ES256"));
    let (gateway, idp, _orders) = published(&[&old], "\"ES256\"", "");
    idp.on("/keys", key_set(&[&new]));
    let token = new.nameless_token(&claims(&json!({})));
    assert_eq!(ask(&gateway, &token).status, 200);
    for _ in 0..10 {
        assert_invalid(&ask(&gateway, &old.nameless_token(&claims(&json!({})))));
    }
    assert_eq!(idp.requests().len(), 2);
}

#[test]
fn the_last_good_keys_stay_when_the_provider_goes_wrong() {
    let issuer = Issuer::new("a", "ES256");
    let (gateway, mut idp, _orders) = published(&[&issuer], "\"ES256\"", "");
    idp.on(
        "/keys",
        Script::answer(200, "<!doctype html><title>Sign in</title>"),
    );
    let unknown = Issuer::new("b", "ES256").token(&claims(&json!({})));
    assert_invalid(&ask(&gateway, &unknown));
    assert_eq!(
        idp.requests().len(),
        2,
        "it was asked, and said nothing of use"
    );
    gateway.wait_log("last good ones stay");
    assert_eq!(
        ask(&gateway, &issuer.token(&claims(&json!({ "sub": "you" })))).status,
        200
    );
    idp.stop();
    assert_eq!(
        ask(&gateway, &issuer.token(&claims(&json!({ "sub": "them" })))).status,
        200
    );
}

#[test]
fn is_not_ready_before_it_has_keys() {
    let issuer = Issuer::new("a", "ES256");
    let (mut idp, orders) = (Backend::named("idp"), Backend::start());
    let address = idp.addr();
    idp.stop();
    let text = provider("jwks = \"http://@upstream.idp@/keys\"", "\"ES256\"", "");
    let gateway = Gateway::start_unready(config(&text, &orders).upstream("idp", address));
    gateway.wait_log("has none yet");
    harness::wait::until(
        harness::wait::DEADLINE,
        "the admin listener answers",
        || harness::Client::try_connect(gateway.admin_addr()).is_ok(),
    );
    let probe = gateway.admin_get("/readyz");
    assert_eq!(probe.status, 503);
    assert!(
        probe.text().contains("the keys of `idp`"),
        "{}",
        probe.text()
    );
    assert_refused(
        &ask(&gateway, &issuer.token(&claims(&json!({})))),
        503,
        "auth.unavailable",
    );
    let idp = Backend::at(address);
    idp.on("/keys", key_set(&[&issuer]));
    harness::wait::until(harness::wait::DEADLINE, "keys", || {
        gateway.admin_get("/readyz").status == 200
    });
    assert_eq!(
        ask(&gateway, &issuer.token(&claims(&json!({})))).status,
        200
    );
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn follows_no_redirect_to_other_keys() {
    let (issuer, evil) = (Issuer::new("a", "ES256"), Issuer::new("a", "ES256"));
    let (idp, elsewhere, orders) = (
        Backend::named("idp"),
        Backend::named("evil"),
        Backend::start(),
    );
    elsewhere.on("/keys", key_set(&[&evil]));
    let to = format!("http://{}/keys", elsewhere.addr());
    idp.once(Script::status(302).header("Location", &to));
    idp.on("/keys", key_set(&[&issuer]));
    let text = provider("jwks = \"http://@upstream.idp@/keys\"", "\"ES256\"", "");
    // Returns once there are keys: at the second fetch, a second later.
    let gateway = Gateway::start(config(&text, &orders).upstream("idp", idp.addr()));
    assert_eq!(elsewhere.connections(), 0);
    assert_invalid(&ask(&gateway, &evil.token(&claims(&json!({})))));
    assert_eq!(
        ask(&gateway, &issuer.token(&claims(&json!({})))).status,
        200
    );
}

#[test]
fn a_reload_keeps_the_keys_and_takes_new_files() {
    let (old, new) = (Issuer::new("a", "ES256"), Issuer::new("a", "ES256"));
    let (mut gateway, idp, orders) = published(&[&old], "\"ES256\"", "");
    let text = provider(
        "jwks = \"http://@upstream.idp@/keys\"",
        "\"ES256\"",
        "[route.more]\nmatch = \"/more\"\nlike = \"orders\"",
    );
    gateway.rewrite_and_wait(config(&text, &orders).upstream("idp", idp.addr()));
    assert_eq!(ask(&gateway, &old.token(&claims(&json!({})))).status, 200);
    assert_eq!(idp.requests().len(), 1);
    let text = provider("public-key = \"file:issuer.pem\"", "\"ES256\"", "");
    let with = |pem: &str| config(&text, &orders).file("issuer.pem", pem);
    gateway.rewrite_and_wait(with(old.public_pem()));
    let (before, after) = (
        old.token(&claims(&json!({}))),
        new.token(&claims(&json!({}))),
    );
    assert_eq!(
        (ask(&gateway, &before).status, ask(&gateway, &after).status),
        (200, 401)
    );
    gateway.rewrite_config(with(new.public_pem()));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(
        (ask(&gateway, &before).status, ask(&gateway, &after).status),
        (401, 200)
    );
}

#[test]
fn refuses_keys_that_are_none_or_do_not_fit() {
    let refused = |keys: &str, algorithms: &str, secret: &str| {
        let text = format!(
            "[listener.public]\naddress = \"127.0.0.1:0\"\n{}",
            provider(keys, algorithms, "")
        )
        .replace("upstream = \"orders\"", "respond = { status = 204 }");
        let config = Config::new(text).env("JWT_SECRET", secret);
        let issuer = Issuer::new("a", "RS256");
        let exit = Gateway::try_start(
            config
                .file("issuer.pem", issuer.public_pem())
                .file("set.json", "{\"keys\":[]}"),
        );
        exit.stderr
    };
    let said = refused("secret = \"env:JWT_SECRET\"", "\"HS256\"", "short");
    assert!(
        said.contains("a secret of 5 bytes: HS256 asks for at least 32") && !said.contains("short"),
        "{said}"
    );
    let said = refused(
        "public-key = \"file:issuer.pem\"",
        "\"RS256\", \"ES256\"",
        SECRET,
    );
    assert!(said.contains("the key is not for ES256"), "{said}");
    let said = refused("jwks = \"file:set.json\"", "\"RS256\"", SECRET);
    assert!(said.contains("none of its keys can be used"), "{said}");
}

#[test]
fn whoever_was_ready_stays_so_when_a_reload_brings_in_an_absent_provider() {
    let issuer = Issuer::new("a", "ES256");
    let (mut gateway, idp, orders) = published(&[&issuer], "\"ES256\"", "");
    let issuer_url = tokens::ISSUER;
    let away = format!(
        "[auth.away]\njwt = {{ jwks = \"http://{}/keys\", issuer = \"{issuer_url}\", audience = [\"orders\"], \
         algorithms = [\"ES256\"] }}\n[route.away]\nmatch = \"/away\"\nupstream = \"orders\"\nauth = \"away\"\n",
        Backend::refusing()
    );
    let text = provider("jwks = \"http://@upstream.idp@/keys\"", "\"ES256\"", &away);
    gateway.rewrite_and_wait(config(&text, &orders).upstream("idp", idp.addr()));
    let probe = gateway.admin_get("/readyz");
    assert_eq!(probe.status, 200);
    assert!(
        probe.text().contains("the keys of `away`"),
        "{}",
        probe.text()
    );
    let token = bearer(&issuer.token(&claims(&json!({}))));
    let away = gateway.request("GET", "/away", &[("Authorization", &token)], b"");
    assert_refused(&away, 503, "auth.unavailable");
    assert_eq!(
        ask(&gateway, &issuer.token(&claims(&json!({})))).status,
        200
    );
}

#[test]
fn a_provider_that_never_ends_holds_nobody_up() {
    let (idp, orders) = (Backend::named("idp"), Backend::start());
    idp.always(Script::stall());
    let text = provider("jwks = \"http://@upstream.idp@/keys\"", "\"ES256\"", "");
    let gateway = Gateway::start_unready(config(&text, &orders).upstream("idp", idp.addr()));
    gateway.wait_log(" Started ");
    let token = Issuer::new("a", "ES256").token(&claims(&json!({})));
    assert_refused(&ask(&gateway, &token), 503, "auth.unavailable");
    assert_invalid(&ask(&gateway, "nonsense"));
    assert_eq!(orders.connections(), 0);
}
