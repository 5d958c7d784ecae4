//! In shadow, and with a store.

use std::sync::Arc;

use super::shelf::Shelf;
use super::*;

#[test]
fn in_shadow_everything_goes_on_and_is_compared() {
    let scene = scene("mode = \"shadow\"\nbody-max = \"7B\"");
    carry_out(&scene, "a", "pay 5");
    let mut same = scene.first(with_body("a", 5));
    assert!(!same.request.facts().is_repeatable());
    assert!(matches!(same.sends(&["pay 5"]), Flow::Continue));
    same.gets(TestResponse::new(200), "again");
    let mut other = scene.first(with_body("a", 5));
    let Flow::Reply(reply) = other.sends(&["pay ", "6"]) else {
        panic!("it is not compared");
    };
    assert_eq!(reply.refusal.unwrap().code, "idempotency.different");
    let mut large = scene.first(post("b").body(RequestBody::Unknown));
    assert!(matches!(large.sends(&["12345678"]), Flow::Reply(_)));
    assert!(matches!(large.sends(&["12345678"]), Flow::Continue), "once");
    large.gets(TestResponse::new(200), "");
    assert_eq!(
        scene.verdict(post("b")),
        "idempotency.unkept",
        "refused by name, let pass by the chain"
    );
}

#[test]
fn two_gateways_with_one_store_carry_out_once() {
    let shelf = Arc::new(Shelf::default());
    let [one, two] = [0, 1].map(|_| shelf.scene("store = \"shared\""));
    let mut first = one.first(post("a"));
    assert_eq!(two.verdict(post("a")), "idempotency.running");
    first.gets(TestResponse::new(200), "ok");
    for scene in [&one, &two] {
        assert_eq!(scene.replay(post("a")).1.status, 200);
    }
    assert_eq!(shelf.keys(), 1);
}

#[test]
fn a_store_that_is_away_is_what_on_error_says() {
    let shelf = Arc::new(Shelf::default());
    let scene = |on_error| shelf.scene(&format!("store = \"shared\"\non-error = \"{on_error}\""));
    let [deny, local, allow] = ["deny", "local", "allow"].map(scene);
    shelf.leave();
    assert_eq!(deny.verdict(post("a")), "idempotency.unavailable");
    let mut passing = allow.first(post("a"));
    assert!(passing.state.is_none() && !passing.request.facts().is_repeatable());
    passing.gets(TestResponse::new(200), "ok");
    assert_eq!(allow.verdict(post("a")), "");
    local.first(post("a")).gets(TestResponse::new(200), "ok");
    assert_eq!(local.verdict(post("a")), "replayed");
    shelf.come_back();
    assert_eq!(
        local.verdict(post("a")),
        "replayed",
        "what was done without the store is not forgotten"
    );
    assert_eq!(deny.verdict(post("a")), "");
}

#[test]
fn a_record_that_cannot_be_read_is_no_answer() {
    let shelf = Arc::new(Shelf::default());
    let deny = shelf.scene("store = \"shared\"");
    drop(deny.first(post("a")));
    shelf.spoil();
    assert_eq!(deny.verdict(post("a")), "idempotency.unavailable");
    let allow = shelf.scene("store = \"shared\"\non-error = \"allow\"");
    assert_eq!(allow.verdict(post("a")), "");
}
