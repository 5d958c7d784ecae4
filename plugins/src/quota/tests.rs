//! Quotas by the wall clock.

use std::time::Duration;

use super::*;
use crate::contract::testing::{
    TestRequest, TestResponse, compiled_with, complaints, config, wait,
};
use crate::limit::policy::Taken;
use crate::limit::tests::clock::TestClock;

fn ask(quota: &Quota) -> Option<String> {
    let request = TestRequest::get("http://example.com/");
    match wait(quota.on_request(&request.view(), &mut Taken::default())) {
        Flow::Continue => None,
        Flow::Reply(reply) => {
            assert_eq!(reply.refusal, Some(&REFUSALS.exceeded));
            let wait = reply.headers.iter().find(|(name, _)| name == "retry-after");
            wait.map(|(_, value)| value.to_str().unwrap().to_owned())
        }
    }
}

#[test]
fn a_quota_lasts_until_midnight_in_its_zone() {
    let (clock, services) = TestClock::services();
    let table = "rate = '2/day'\nkey = 'client.ip'\ntime-zone = 'Asia/Kolkata'";
    let quota: Quota = compiled_with(&config::<Quota>(table), &services);
    assert_eq!(ask(&quota), None);
    assert_eq!(ask(&quota), None);
    // It is noon in Kolkata.
    assert_eq!(ask(&quota).as_deref(), Some("43200"));
    clock.pass(Duration::from_secs(43_199));
    assert_eq!(ask(&quota).as_deref(), Some("1"));
    clock.pass(Duration::from_secs(1));
    assert_eq!(ask(&quota), None);
    clock.jump_back(Duration::from_mins(1));
    assert_eq!(ask(&quota), None, "counts for the day that had begun");
    assert_eq!(ask(&quota).as_deref(), Some("86460"));
}

#[test]
fn says_what_is_left_of_the_month() {
    let (_, services) = TestClock::services();
    let quota: Quota = compiled_with(&config::<Quota>("rate = '100/month'\ncost = 30"), &services);
    let (request, mut state) = (TestRequest::get("http://example.com/"), Taken::default());
    drop(wait(quota.on_request(&request.view(), &mut state)));
    let mut response = TestResponse::new(200);
    quota.on_response(&request.view(), &mut response.view(), &mut state);
    assert_eq!(
        response.value("ratelimit-policy").unwrap(),
        "\"quota\";q=100;w=2592000"
    );
    // From 06:30 on the 22nd to the end of the 30th.
    assert_eq!(
        response.value("ratelimit").unwrap(),
        "\"quota\";r=70;t=754200"
    );
}

#[test]
fn is_for_hours_days_and_months() {
    for short in ["1/s", "1/min"] {
        assert_eq!(
            complaints::<Quota>(&format!("rate = '{short}'")),
            ["limit.period"]
        );
    }
    for long in ["1/h", "1/day", "1/month"] {
        assert_eq!(complaints::<Quota>(&format!("rate = '{long}'")), [""; 0]);
    }
}
