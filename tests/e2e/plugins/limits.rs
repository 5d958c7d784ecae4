//! Limits, by the example of `rate-limit`: who is counted, what answers say, what a reload keeps.

use harness::{Backend, Gateway, Response};

use super::{both, refusals};
use crate::fixture::{assert_refused, config, gateway};

fn by_tenant(gateway: &Gateway, tenant: &str) -> Response {
    gateway.request("GET", "/", &[("x-tenant", tenant)], b"")
}

const TENANTS: &str = r#"
    [rate-limit.tenants]
    key = "header.x-tenant"
    rate = "3/h"
    [route.all]
    match = "/**"
    upstream = "orders"
    rate-limit = "tenants"
"#;

#[test]
fn the_request_beyond_the_limit_is_429_and_says_when_to_come_back() {
    let (gateway, orders) = gateway(TENANTS);
    for left in ["2", "1", "0"] {
        let answer = by_tenant(&gateway, "acme");
        assert_eq!(answer.status, 200);
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"tenants\";q=3;w=3600")
        );
        let told = answer.header("ratelimit").unwrap();
        assert!(
            told.starts_with(&format!("\"tenants\";r={left};t=")),
            "{told}"
        );
    }
    let refused = by_tenant(&gateway, "acme");
    assert_refused(&refused, 429, "rate-limit.exceeded");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    // A third of an hour after the first, which was a moment ago.
    assert!((1_100..=1_200).contains(&wait), "{wait}");
    assert!(
        refused
            .header("ratelimit")
            .unwrap()
            .starts_with("\"tenants\";r=0;")
    );
    assert_eq!(orders.requests().len(), 3, "what is refused reaches nobody");
    assert_eq!(
        by_tenant(&gateway, "globex").status,
        200,
        "others are untouched"
    );
    assert_eq!(refusals(&gateway, "rate-limit.exceeded", "enforce"), 1);
    let labels = ["policy=\"tenants\"", "result=\"refused\""];
    assert_eq!(gateway.metric("gateway_limit_decisions_total", &labels), 1);
    let mut client = gateway.client();
    let again = client.try_request("GET", "/", &[("x-tenant", "acme")], b"");
    assert_refused(&again.unwrap(), 429, "rate-limit.exceeded");
    let usable = client.try_request("GET", "/", &[("x-tenant", "initech")], b"");
    assert_eq!(
        usable.unwrap().status,
        200,
        "a refusal leaves the connection open"
    );
}

#[test]
fn a_request_without_its_key_is_400() {
    let (gateway, orders) = gateway(TENANTS);
    for answer in both(&gateway, "GET", "/", &[]) {
        assert_refused(&answer, 400, "rate-limit.key");
    }
    for answer in both(
        &gateway,
        "GET",
        "/",
        &[("x-tenant", "a"), ("x-tenant", "b")],
    ) {
        assert_refused(&answer, 400, "rate-limit.key");
    }
    assert_eq!(orders.requests().len(), 0);
}

#[test]
fn a_long_key_and_a_strange_one_are_keys_like_others() {
    let (gateway, _orders) = gateway(TENANTS);
    let long = "x".repeat(10 << 10);
    for tenant in [&*long, "}{:\"'", "a b"] {
        for _ in 0..3 {
            assert_eq!(by_tenant(&gateway, tenant).status, 200);
        }
        assert_refused(&by_tenant(&gateway, tenant), 429, "rate-limit.exceeded");
    }
    let other = format!("{}y", &long[1..]);
    assert_eq!(by_tenant(&gateway, &other).status, 200);
}

#[test]
fn a_limit_in_shadow_lets_pass_and_says_nothing() {
    let (gateway, orders) = gateway(&TENANTS.replace("3/h\"", "1/h\"\nmode = \"shadow\""));
    for _ in 0..3 {
        let answer = by_tenant(&gateway, "acme");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit"), None);
    }
    assert_eq!(orders.requests().len(), 3);
    assert_eq!(refusals(&gateway, "rate-limit.exceeded", "shadow"), 2);
    let labels = ["policy=\"tenants\"", "result=\"shadowed\""];
    assert_eq!(gateway.metric("gateway_limit_decisions_total", &labels), 2);
}

#[test]
fn counts_outlive_a_reload_that_does_not_change_the_limit() {
    let orders = Backend::start();
    let mut gateway = Gateway::start(config(TENANTS, &orders));
    for _ in 0..3 {
        assert_eq!(by_tenant(&gateway, "acme").status, 200);
    }
    let another_route =
        "[route.other]\nmatch = \"/other\"\nupstream = \"orders\"\nrate-limit = \"tenants\"\n";
    gateway.rewrite_and_wait(config(&format!("{TENANTS}{another_route}"), &orders));
    assert_refused(&by_tenant(&gateway, "acme"), 429, "rate-limit.exceeded");
    let there = gateway.request("GET", "/other", &[("x-tenant", "acme")], b"");
    assert_refused(&there, 429, "rate-limit.exceeded");
    gateway.rewrite_and_wait(config(&TENANTS.replace("3/h", "4/h"), &orders));
    assert_eq!(
        by_tenant(&gateway, "acme").status,
        200,
        "another limit, another count"
    );
}
