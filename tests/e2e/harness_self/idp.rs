//! The identity provider of the harness does what tests expect of it.

use harness::{Client, Idp, Visitor};

#[test]
fn a_visitor_logs_in_and_gets_a_code() {
    let idp = Idp::start();
    let back = "http://127.0.0.1:1/callback";
    idp.register("app", "app-secret-of-at-least-32-characters", back, back);
    let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let url = idp.url(&format!(
        "/auth?client_id=app&response_type=code&scope=openid&state=s&redirect_uri={back}\
         &code_challenge={challenge}&code_challenge_method=S256"
    ));
    let mut visitor = Visitor::new();
    let page = visitor.visit(&url);
    let sent = visitor.post(&page.url, "login=alice");
    let resumed = visitor.get(&sent.next().unwrap());
    let callback = resumed.next().unwrap();
    assert!(callback.starts_with(back), "{callback}");
    assert!(
        callback.contains("code=") && callback.contains("iss="),
        "{callback}"
    );
}

#[test]
fn a_service_gets_tokens_and_can_take_them_back() {
    let idp = Idp::start();
    let jwt = idp.service_token("orders.read", true);
    assert_eq!(jwt.split('.').count(), 3);
    let opaque = idp.service_token("", false);
    let active = || {
        let answer = idp.post_as(
            "inspector",
            harness::idp::INSPECTOR_SECRET,
            "/token/introspection",
            &format!("token={opaque}"),
        );
        answer.json()["active"].clone()
    };
    assert_eq!(active(), true);
    idp.revoke(&opaque);
    assert_eq!(active(), false);
    assert_eq!(idp.answered("/token/introspection", 200), 2);
}

#[test]
fn keys_are_replaced_on_demand() {
    let idp = Idp::start();
    let kids = || {
        let set = Client::connect(idp.addr()).get("/jwks").json();
        let keys = set["keys"].as_array().unwrap().clone();
        keys.iter()
            .map(|key| key["kid"].to_string())
            .collect::<Vec<_>>()
    };
    let first = kids();
    idp.rotate_keys(true);
    assert_eq!(kids()[1..], first);
    idp.rotate_keys(false);
    assert_eq!(kids().len(), 1);
    idp.sign_with("ES256");
    let set = Client::connect(idp.addr()).get("/jwks").json();
    assert_eq!(set["keys"][0]["alg"], "ES256");
}
