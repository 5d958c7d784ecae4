//! Routes that know who asks: answers are for whoever asked, unless somebody shares them.

use harness::tokens::{ISSUER, claims, secret_token};
use harness::{Backend, Gateway, Response, Script};
use serde_json::json;

use super::{assert_cache, saying};
use crate::fixture::config;

const SECRET: &str = "a secret of at least thirty-two bytes";

fn gateway(cache: &str) -> (Gateway, Backend) {
    let orders = Backend::start();
    let routes = format!(
        "[auth.idp]\njwt = {{ secret = \"env:JWT_SECRET\", issuer = \"{ISSUER}\", audience = [\"orders\"], \
         algorithms = [\"HS256\"] }}\n\
         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\nauth = \"idp\"\ncache = {cache}\n"
    );
    let gateway = Gateway::start(config(&routes, &orders).env("JWT_SECRET", SECRET));
    (gateway, orders)
}

fn ask(gateway: &Gateway, subject: &str) -> Response {
    ask_for(gateway, subject, "/me")
}

fn ask_for(gateway: &Gateway, subject: &str, path: &str) -> Response {
    let token = secret_token(SECRET.as_bytes(), &claims(&json!({ "sub": subject })));
    let bearer = format!("Bearer {token}");
    gateway.request("GET", path, &[("authorization", &bearer)], b"")
}

#[test]
fn an_answer_is_for_the_identity_that_asked() {
    let (gateway, orders) = gateway("\"60s\"");
    orders.once(Script::answer(200, "alice's"));
    orders.once(Script::answer(200, "bob's"));
    for _ in 0..2 {
        assert_eq!(ask(&gateway, "alice").text(), "alice's");
        assert_eq!(ask(&gateway, "bob").text(), "bob's");
    }
    assert_eq!(orders.requests().len(), 2);
    let nobody = gateway.get("/me");
    assert_eq!(
        nobody.status, 401,
        "what is stored is for those who may have it"
    );
}

#[test]
fn what_its_origin_calls_public_is_for_all_who_may_ask() {
    let (gateway, orders) = gateway("{}");
    orders.always(saying("public, max-age=60", "shared"));
    assert_cache(&ask(&gateway, "alice"), "fwd=uri-miss; stored");
    assert_cache(&ask(&gateway, "bob"), "hit");
    assert_eq!(gateway.get("/me").status, 401);
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn a_route_may_share_its_answers() {
    let (gateway, orders) = gateway("{ ttl = \"60s\", shared = true }");
    assert_eq!(ask(&gateway, "alice").status, 200);
    assert_cache(&ask(&gateway, "bob"), "hit");
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn an_account_behind_the_name_of_a_file_is_its_owners_alone() {
    let (gateway, orders) = gateway("\"60s\"");
    for path in ["/me/style.css", "/me/x.js?logo.png"] {
        orders.once(Script::answer(200, "alice's"));
        assert_eq!(ask_for(&gateway, "alice", path).text(), "alice's");
        orders.once(Script::answer(200, "bob's"));
        assert_eq!(ask_for(&gateway, "bob", path).text(), "bob's");
        assert_eq!(ask_for(&gateway, "alice", path).text(), "alice's");
        assert_eq!(gateway.get(path).status, 401);
    }
    assert_eq!(orders.requests().len(), 4);
}
