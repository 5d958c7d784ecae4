//! Routes that know who asks: answers are for whoever asked, unless somebody shares them.

use harness::{Backend, Gateway, Response, Script};

use super::{assert_cache, saying};
use crate::fixture::config;

const ALICE: &str = "key-of-alice-0123456789abcdef";
const BOB: &str = "key-of-bob-0123456789abcdef00";

fn gateway(cache: &str) -> (Gateway, Backend) {
    let orders = Backend::start();
    let routes = format!(
        "[auth.keys]\napi-key = {{ from = [\"header.x-api-key\"] }}\n         [consumer.alice]\napi-keys = [\"sha256:731ebda9833043f454092528fa6f6d9e6ee2f3568d851ccaf20036fbc66bd309\"]\n         [consumer.bob]\napi-keys = [\"sha256:aa8fe87392f46b94d723b432b06d198e1a16439d123be8816a084327e0db0322\"]\n         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\nauth = \"keys\"\ncache = {cache}\n"
    );
    (Gateway::start(config(&routes, &orders)), orders)
}

fn ask(gateway: &Gateway, key: &str) -> Response {
    gateway.request("GET", "/me", &[("x-api-key", key)], b"")
}

#[test]
fn an_answer_is_for_the_identity_that_asked() {
    let (gateway, orders) = gateway("\"60s\"");
    orders
        .once(Script::answer(200, "alice's"))
        .once(Script::answer(200, "bob's"));
    for _ in 0..2 {
        assert_eq!(ask(&gateway, ALICE).text(), "alice's");
        assert_eq!(ask(&gateway, BOB).text(), "bob's");
    }
    assert_eq!(orders.requests().len(), 2);
    assert_eq!(
        gateway.get("/me").status,
        401,
        "what is stored is for those who may have it"
    );
    assert_eq!(ask(&gateway, "wrong").status, 401);
}

#[test]
fn what_its_origin_calls_public_is_for_all_who_may_ask() {
    let (gateway, orders) = gateway("{}");
    orders.always(saying("public, max-age=60", "shared"));
    assert_cache(&ask(&gateway, ALICE), "fwd=uri-miss; stored");
    assert_cache(&ask(&gateway, BOB), "hit");
    assert_eq!(gateway.get("/me").status, 401);
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn a_route_may_share_its_answers() {
    let (gateway, orders) = gateway("{ ttl = \"60s\", shared = true }");
    assert_eq!(ask(&gateway, ALICE).status, 200);
    assert_cache(&ask(&gateway, BOB), "hit");
    assert_eq!(orders.requests().len(), 1);
}
