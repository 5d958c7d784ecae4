//! Plans: a free consumer has 100 requests a minute, a premium one is untouched by it.

use harness::{Backend, Gateway, Response};

use crate::fixture::{assert_refused, config};

/// A limit by plan; the test says who asks and with which plan.
fn plans() -> (Gateway, Backend) {
    let users = Backend::start();
    let text = r#"
        [rate-limit.plans]
        key = "header.x-user"
        plan = "header.x-plan"
        rates = { free = "100/min", premium = "1000/min" }
        otherwise = "free"
        [route.account]
        match = "/account/**"
        upstream = "orders"
        rate-limit = "plans"
    "#;
    (Gateway::start(config(text, &users)), users)
}

const FREE: &[(&str, &str)] = &[("x-user", "hobbyist"), ("x-plan", "free")];
const PREMIUM: &[(&str, &str)] = &[("x-user", "acme"), ("x-plan", "premium")];

fn account(gateway: &Gateway, who: &[(&str, &str)]) -> Response {
    gateway.request("GET", "/account/me", who, b"")
}

#[test]
fn the_101st_request_of_a_free_consumer_is_429_and_a_premium_one_is_untouched() {
    let (gateway, users) = plans();
    let mut client = gateway.client();
    let mut passed = 0;
    let refused = loop {
        let answer = client.try_request("GET", "/account/me", FREE, b"");
        let answer = answer.unwrap();
        match answer.status {
            200 => passed += 1,
            _ => break answer,
        }
    };
    assert_refused(&refused, 429, "rate-limit.exceeded");
    // One comes back every 600 ms, also while we ask.
    assert!((100..=130).contains(&passed), "{passed}");
    assert_eq!(
        users.requests().len(),
        passed,
        "what is refused reaches nobody"
    );
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(
        refused.header("ratelimit-policy"),
        Some("\"plans\";q=100;w=60")
    );
    for _ in 0..150 {
        let answer = client.try_request("GET", "/account/me", PREMIUM, b"");
        assert_eq!(answer.unwrap().status, 200);
    }
    let premium = account(&gateway, PREMIUM);
    assert_eq!(
        premium.header("ratelimit-policy"),
        Some("\"plans\";q=1000;w=60")
    );
    let labels = ["policy=\"plans\"", "plan=\"free\"", "result=\"refused\""];
    assert_eq!(gateway.metric("gateway_limit_decisions_total", &labels), 1);
}

#[test]
fn an_unknown_plan_is_the_one_for_everybody_else() {
    let (gateway, _users) = plans();
    for who in [
        &[("x-user", "a"), ("x-plan", "gold")][..],
        &[("x-user", "b")],
    ] {
        let answer = account(&gateway, who);
        let policy = answer.header("ratelimit-policy");
        assert_eq!(policy, Some("\"plans\";q=100;w=60"));
    }
}

#[test]
fn the_admin_page_shows_who_has_used_most() {
    let (gateway, _users) = plans();
    for _ in 0..3 {
        assert_eq!(account(&gateway, FREE).status, 200);
    }
    let page = gateway.admin_get("/limits").json();
    let plans = &page["rate-limit"]["plans"]["plans"];
    assert_eq!(plans["free"]["keys"], 1);
    assert_eq!(plans["premium"]["keys"], 0);
    let busiest = &plans["free"]["busiest"][0];
    assert!(
        busiest["key"].as_str().unwrap().contains("hobbyist"),
        "{page}"
    );
    let sum = busiest["used"].as_u64().unwrap() + busiest["left"].as_u64().unwrap();
    assert_eq!(sum, 100);
}
