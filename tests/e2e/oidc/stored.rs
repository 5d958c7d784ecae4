//! Sessions in a real Redis: they outlive the gateway, and end where they are ended.

use harness::{Redis, wait};

use super::{KEYS, Place, config};
use crate::fixture::assert_refused;

/// Sessions are in this store. The time is long: a busy machine is not taken for a silent store.
fn stored(redis: &Redis) -> (String, String) {
    let table = format!(
        "[store.shared.redis]\nurl = \"redis://{}\"\ntimeout = \"5s\"\n",
        redis.addr()
    );
    (format!("{KEYS}, store = \"shared\""), table)
}

fn place(redis: &Redis) -> Place {
    let (keys, table) = stored(redis);
    Place::with(&keys, &table)
}

/// How many it keeps, as it says so.
fn sessions(redis: &Redis) -> String {
    redis.command(&["KEYS", "*session/browsers/*"])
}

#[test]
fn a_session_outlives_the_gateway_and_ends_with_its_logout() {
    let redis = Redis::start();
    let mut place = place(&redis);
    let mut visitor = place.visitor("alice");
    assert_eq!(sessions(&redis), "*1");
    let (keys, table) = stored(&redis);
    // Another process, on another port.
    place.gateway = harness::Gateway::start(config(&place.idp, &place.orders, &keys, &table));
    assert_eq!(place.fetch(&mut visitor).response.status, 200);
    let kept = visitor.snapshot();
    let out = visitor.post(&place.url("/oauth2/logout"), "");
    assert_eq!(out.response.status, 303);
    assert_eq!(sessions(&redis), "*0");
    visitor.restore(&kept);
    assert_refused(&place.fetch(&mut visitor).response, 401, "auth.invalid");
}

#[test]
fn sessions_go_to_the_store_that_is_configured_now() {
    let (first, second) = (Redis::start(), Redis::start());
    let mut place = place(&first);
    let mut visitor = place.visitor("alice");
    let (keys, table) = stored(&second);
    let moved = config(&place.idp, &place.orders, &keys, &table);
    place.gateway.rewrite_and_wait(moved);
    assert_refused(&place.fetch(&mut visitor).response, 401, "auth.invalid");
    let mut again = place.visitor("alice");
    assert_eq!(place.fetch(&mut again).response.status, 200);
    assert_eq!(sessions(&second), "*1");
}

#[test]
fn without_the_store_nobody_knows() {
    let mut redis = Redis::start();
    let place = place(&redis);
    let mut visitor = place.visitor("alice");
    redis.kill();
    let away = place.fetch(&mut visitor).response;
    assert_refused(&away, 503, "auth.unavailable");
    // A logout that is not one must not look like one.
    let out = visitor.post(&place.url("/oauth2/logout"), "").response;
    assert_refused(&out, 503, "auth.unavailable");
    assert!(visitor.cookie("session").is_some());
    // It comes back empty: the session is over.
    redis.restart();
    let answer = wait::until_some(wait::DEADLINE, "the store is asked again", || {
        let answer = place.fetch(&mut visitor).response;
        (answer.status != 503).then_some(answer)
    });
    assert_refused(&answer, 401, "auth.invalid");
}
