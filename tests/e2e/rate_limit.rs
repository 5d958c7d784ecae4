//! Plans: a free consumer has 100 requests a minute, a premium one is untouched by it.

use std::time::{Duration, Instant};

use harness::{Backend, Config, Gateway, Response, wait};

use crate::conf::{conf, movable};
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

/// The demo's own configuration, with a backend of the test behind `/account`.
fn demo() -> (Gateway, Backend) {
    let users = Backend::start();
    let text = std::fs::read_to_string(conf().join("demo.toml")).unwrap();
    let text = movable(&text).replace("\"127.0.0.1:9103\"", "\"@upstream.users@\"");
    let config = Config::new(text).upstream("users", users.addr());
    (Gateway::start(config), users)
}

#[test]
fn of_101_quick_requests_of_the_demos_free_consumer_one_is_429() {
    let (gateway, users) = demo();
    let mut client = gateway.client();
    let mut ask = |key: &str| {
        let answer = client.try_request("GET", "/account/ada", &[("x-api-key", key)], b"");
        answer.unwrap()
    };
    let start = Instant::now();
    let mut passed = 0;
    let refused = loop {
        let answer = ask("demo-free-key");
        if answer.status != 200 {
            break answer;
        }
        passed += 1;
    };
    // The bucket's definition, whatever time the requests took: 100, and one for each 600 ms.
    let back = usize::try_from(start.elapsed().as_millis() / 600).unwrap();
    assert!(
        (100..=100 + back).contains(&passed),
        "{passed}, {back} came back"
    );
    assert_refused(&refused, 429, "rate-limit.exceeded");
    assert_eq!(users.requests().len(), passed);
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert_eq!(wait, 1, "600 ms in whole seconds");
    let told = Instant::now();
    for _ in 0..101 {
        assert_eq!(ask("demo-premium-key").status, 200);
    }
    wait::until(
        wait::DEADLINE,
        "the time that the refusal said is over",
        || told.elapsed() >= Duration::from_secs(wait),
    );
    assert_eq!(ask("demo-free-key").status, 200, "as it was told");
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
