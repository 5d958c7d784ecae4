//! In shadow, and with a store.

use std::sync::Arc;

use super::*;
use crate::contract::services::Boxed;
use crate::contract::testing::TestStore;

/// Runs tasks where they are started.
struct AtOnce;

impl Tasks for AtOnce {
    fn spawn(&self, task: Boxed<'static, ()>) {
        wait(task);
    }
}

/// A policy of a gateway that has this store.
fn sharing(store: &Arc<TestStore>, table: &str) -> Scene {
    let (clock, services) = TestClock::services();
    let services = Services {
        tasks: Arc::new(AtOnce),
        ..store.among(services)
    };
    with(table, clock, &services)
}

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
    let store = Arc::new(TestStore::default());
    let [one, two] = [0, 1].map(|_| sharing(&store, "store = \"shared\""));
    let mut first = one.first(post("a"));
    assert_eq!(two.verdict(post("a")), "idempotency.running");
    first.gets(TestResponse::new(200), "ok");
    for scene in [&one, &two] {
        assert_eq!(scene.replay(post("a")).1.status, 200);
    }
    assert_eq!(store.kept().len(), 1);
}

#[test]
fn a_store_that_is_away_is_what_on_error_says() {
    let store = Arc::new(TestStore::default());
    let scene = |on_error| {
        let table = format!("store = \"shared\"\non-error = \"{on_error}\"");
        sharing(&store, &table)
    };
    let [deny, local, allow] = ["deny", "local", "allow"].map(scene);
    store.leave();
    assert_eq!(deny.verdict(post("a")), "idempotency.unavailable");
    let mut passing = allow.first(post("a"));
    assert!(passing.state.is_none() && !passing.request.facts().is_repeatable());
    passing.gets(TestResponse::new(200), "ok");
    assert_eq!(allow.verdict(post("a")), "");
    local.first(post("a")).gets(TestResponse::new(200), "ok");
    assert_eq!(local.verdict(post("a")), "replayed");
    store.come_back();
    assert_eq!(
        local.verdict(post("a")),
        "replayed",
        "what was done without the store is not forgotten"
    );
    assert_eq!(deny.verdict(post("a")), "");
}

#[test]
fn a_record_that_cannot_be_read_is_no_answer() {
    let store = Arc::new(TestStore::default());
    let deny = sharing(&store, "store = \"shared\"");
    drop(deny.first(post("a")));
    store.spoil();
    assert_eq!(deny.verdict(post("a")), "idempotency.unavailable");
    let allow = sharing(&store, "store = \"shared\"\non-error = \"allow\"");
    assert_eq!(allow.verdict(post("a")), "");
}
