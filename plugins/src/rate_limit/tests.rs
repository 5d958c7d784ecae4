//! Limits from the table to the answer.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::contract::build::{Build, Pool};
use crate::contract::identity::Identity;
use crate::contract::services::Services;
use crate::contract::testing::{
    TestRequest, TestResponse, compiled_with, complaints, config, wait,
};
use crate::limit::policy::Taken;
use crate::limit::tests::clock::TestClock;

fn request() -> TestRequest {
    TestRequest::get("http://example.com/orders")
}

fn user(subject: &str, plan: Option<&str>) -> TestRequest {
    let mut identity = Identity::new("keys", None, subject);
    identity.plan = plan.map(Arc::from);
    request().identity(identity)
}

/// The refusal's code and `Retry-After`; `None` where the request passes.
fn ask(limit: &RateLimit, request: &TestRequest) -> Option<(&'static str, Option<String>)> {
    match wait(limit.on_request(&request.view(), &mut Taken::default())) {
        Flow::Continue => None,
        Flow::Reply(reply) => {
            let wait = reply.headers.iter().find(|(name, _)| name == "retry-after");
            let wait = wait.map(|(_, value)| value.to_str().unwrap().to_owned());
            Some((reply.refusal.unwrap().code, wait))
        }
    }
}

fn exceeded(wait: &str) -> (&'static str, Option<String>) {
    ("rate-limit.exceeded", Some(wait.to_owned()))
}

#[test]
fn a_plan_has_its_rate_and_unknown_ones_the_one_for_everybody_else() {
    let (clock, services) = TestClock::services();
    let table = "rates = { free = '2/min', premium = '4/min' }\notherwise = 'free'";
    let limit: RateLimit = compiled_with(&config::<RateLimit>(table), &services);
    for (name, plan, many) in [
        ("ann", Some("free"), 2),
        ("ben", Some("premium"), 4),
        ("cem", Some("gold"), 2),
        ("dee", None, 2),
    ] {
        for _ in 0..many {
            assert_eq!(ask(&limit, &user(name, plan)), None, "{name}");
        }
        let wait = if many == 4 { "15" } else { "30" };
        assert_eq!(
            ask(&limit, &user(name, plan)),
            Some(exceeded(wait)),
            "{name}"
        );
    }
    clock.pass(Duration::from_millis(29_999));
    assert_eq!(ask(&limit, &user("ann", Some("free"))), Some(exceeded("1")));
    clock.pass(Duration::from_millis(1));
    assert_eq!(ask(&limit, &user("ann", Some("free"))), None);
}

#[test]
fn the_anonymous_are_counted_by_address() {
    let limit: RateLimit =
        compiled_with(&config::<RateLimit>("rate = '1/min'"), &Services::nothing());
    let from = |address: &str| request().from(address);
    assert_eq!(ask(&limit, &from("2001:db8::1")), None);
    assert!(ask(&limit, &from("2001:db8::2")).is_some(), "the same /64");
    assert_eq!(ask(&limit, &from("192.0.2.1")), None);
    assert!(ask(&limit, &from("::ffff:192.0.2.1")).is_some());
    assert_eq!(ask(&limit, &request().from_nowhere()), None);
    assert!(ask(&limit, &request().from_nowhere()).is_some());
    assert_eq!(
        ask(&limit, &user("192.0.2.1", None)),
        None,
        "an identity is no address"
    );
}

#[test]
fn a_missing_or_repeated_key_is_a_refusal() {
    let table = "rate = '1/min'\nkey = ['header.x-tenant', 'method']";
    let limit: RateLimit = compiled_with(&config::<RateLimit>(table), &Services::nothing());
    let tenant = |name: &str| request().header("x-tenant", name);
    assert_eq!(ask(&limit, &tenant("a")), None);
    assert_eq!(ask(&limit, &tenant("b")), None);
    assert!(ask(&limit, &tenant("a")).is_some());
    let keyless = Some(("rate-limit.key", None));
    assert_eq!(ask(&limit, &request()), keyless);
    assert_eq!(ask(&limit, &tenant("a").header("x-tenant", "c")), keyless);
}

#[test]
fn a_request_may_cost_more() {
    let table = "rate = '10/min'\nkey = 'route'\ncost = 'query.n'";
    let limit: RateLimit = compiled_with(&config::<RateLimit>(table), &Services::nothing());
    let cost = |query: &str| TestRequest::get(&format!("http://example.com/orders?{query}"));
    assert_eq!(ask(&limit, &cost("n=7")), None);
    assert_eq!(ask(&limit, &cost("n=4")), Some(exceeded("6")));
    assert_eq!(
        ask(&limit, &cost("n=2")),
        None,
        "what was refused was not counted"
    );
    assert_eq!(ask(&limit, &cost("")), None, "without one it costs 1");
    assert_eq!(
        ask(&limit, &cost("n=11")),
        Some(("rate-limit.exceeded", None))
    );
    for wrong in [
        "n=0",
        "n=-1",
        "n=x",
        "n=",
        "n=1&n=1",
        "n=99999999999999999999",
    ] {
        assert_eq!(
            ask(&limit, &cost(wrong)),
            Some(("rate-limit.cost", None)),
            "{wrong}"
        );
    }
}

#[test]
fn every_answer_says_what_is_left() {
    let answer = |table: &str, asked: usize| {
        let limit: RateLimit = compiled_with(&config::<RateLimit>(table), &Services::nothing());
        let mut response = TestResponse::new(200);
        let mut state = Taken::default();
        for _ in 0..asked {
            drop(wait(limit.on_request(&request().view(), &mut state)));
        }
        limit.on_response(&request().view(), &mut response.view(), &mut state);
        response
    };
    let ietf = answer("rate = '60/min'\nburst = 3", 1);
    assert_eq!(
        ietf.value("ratelimit-policy").unwrap(),
        "\"rate-limit\";q=3;w=3"
    );
    assert_eq!(ietf.value("ratelimit").unwrap(), "\"rate-limit\";r=2;t=1");
    assert_eq!(ietf.value("x-ratelimit-limit"), None);
    let refused = answer("rate = '60/min'\nburst = 3", 4);
    assert_eq!(
        refused.value("ratelimit").unwrap(),
        "\"rate-limit\";r=0;t=3"
    );
    let both = answer("rate = '100/min'\nwindow = 'sliding'\nheaders = 'both'", 2);
    assert_eq!(
        both.value("ratelimit-policy").unwrap(),
        "\"rate-limit\";q=100;w=60"
    );
    assert_eq!(both.value("x-ratelimit-limit").unwrap(), "100");
    assert_eq!(both.value("x-ratelimit-remaining").unwrap(), "98");
    assert_eq!(both.value("x-ratelimit-reset").unwrap(), "60");
    for silent in [
        "rate = '1/s'\nheaders = 'none'",
        "rate = '1/s'\nmode = 'shadow'",
    ] {
        assert!(answer(silent, 1).head.headers.is_empty(), "{silent}");
    }
    assert!(
        answer("rate = '1/s'", 0).head.headers.is_empty(),
        "who was not counted is told nothing"
    );
}

#[test]
fn of_several_the_old_fields_tell_the_least() {
    let mut response = TestResponse::new(200);
    for table in ["rate = '9/s'", "rate = '5/s'", "rate = '7/s'"] {
        let table = format!("{table}\nheaders = 'both'");
        let limit: RateLimit = compiled_with(&config::<RateLimit>(&table), &Services::nothing());
        let mut state = Taken::default();
        drop(wait(limit.on_request(&request().view(), &mut state)));
        limit.on_response(&request().view(), &mut response.view(), &mut state);
    }
    assert_eq!(response.value("x-ratelimit-limit").unwrap(), "5");
    assert_eq!(response.value("x-ratelimit-remaining").unwrap(), "4");
    assert_eq!(response.head.headers.get_all("ratelimit").iter().count(), 3);
}

/// Compiles a limit of a name for a route, and hands over what went before.
fn named(table: &str, route: &str, shared: &mut Shared, before: Option<&Shared>) -> RateLimit {
    let mut build = Build {
        name: Some("plans"),
        route,
        timeout: std::time::Duration::from_mins(1),
        index: 0,
        previous: None,
        shared,
        before,
        services: &Services::nothing(),
    };
    RateLimit::compile(&config::<RateLimit>(table), &mut build).unwrap()
}

type Shared = <RateLimit as Plugin>::Shared;

#[test]
fn a_named_limit_is_one_count_and_outlives_a_reload_that_does_not_change_it() {
    let (mut first, mut second, mut third) = (Pool::default(), Pool::default(), Pool::default());
    let orders = named("rate = '2/h'", "orders", &mut first, None);
    let users = named("rate = '2/h'", "users", &mut first, None);
    assert_eq!(ask(&orders, &request()), None);
    assert_eq!(ask(&users, &request()), None);
    assert!(ask(&orders, &request()).is_some(), "both routes are one");
    let same = named(
        "rate = '2/h'\nheaders = 'none'",
        "orders",
        &mut second,
        Some(&first),
    );
    assert!(ask(&same, &request()).is_some(), "what is used stays used");
    let other = named("rate = '3/h'", "orders", &mut third, Some(&second));
    assert_eq!(ask(&other, &request()), None, "another rate, another count");
}

#[test]
fn complains_about_limits_that_cannot_be_meant() {
    for (table, code) in [
        ("", "limit.no-rate"),
        ("rate = '1/s'\nrates = { a = '1/s' }", "limit.two-rates"),
        ("rates = { a = '1/s' }", "limit.otherwise"),
        ("rates = { a = '1/s' }\notherwise = 'b'", "limit.otherwise"),
        ("rates = {}\notherwise = 'b'", "limit.otherwise"),
        ("rate = '1/s'\notherwise = 'b'", "limit.no-plans"),
        ("rate = '1/s'\nplan = 'claim.plan'", "limit.no-plans"),
        ("rate = '1/s'\nkey = []", "limit.no-key"),
        ("rate = '1/s'\nburst = 0", "limit.burst"),
        ("rate = '7/day'\nburst = 99999999", "limit.burst"),
        ("rate = '1/s'\nwindow = 'sliding'\nburst = 2", "limit.burst"),
        ("rate = '10001/day'\nwindow = 'sliding'", "limit.sliding"),
        ("rate = '1/month'", "limit.period"),
        ("rate = '1/s'\ncost = 0", "limit.cost"),
        ("rate = '1/s'\ncost = 2", "limit.cost"),
        ("rate = '1/s'\non-error = 'deny'", "limit.on-error"),
    ] {
        assert_eq!(complaints::<RateLimit>(table), [code], "{table}");
    }
    for table in [
        "rate = '1000000000/s'",
        "rate = '10000/day'\nwindow = 'sliding'",
        "rate = '1/s'\nburst = 5\ncost = 5",
    ] {
        assert_eq!(complaints::<RateLimit>(table), [""; 0], "{table}");
    }
}
