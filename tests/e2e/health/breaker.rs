//! The circuit breaker.

use harness::{Backend, Gate, Gateway, Script, wait};

use super::{config, served, upstream};
use crate::fixture::assert_refused;

fn keys(open_for: &str) -> String {
    format!(
        "breaker = {{ failure-rate = \"50%\", requests-min = 4, window = \"1h\", open-for = \"{open_for}\" }}"
    )
}

fn state(gateway: &Gateway) -> String {
    upstream(gateway)["breaker-state"]["state"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn opens_when_too_many_requests_fail_and_refuses_at_once() {
    let orders = Backend::start();
    let gateway = Gateway::start(config(&keys("1h"), &[orders.addr()]));
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(gateway.get("/").status, 200);
    orders.always(Script::status(503));
    for _ in 0..2 {
        assert_eq!(gateway.get("/").status, 503);
    }
    for _ in 0..10 {
        let answer = gateway.get("/");
        assert_refused(&answer, 503, "upstream.breaker-open");
        let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((3_590..=3_600).contains(&seconds), "{seconds}");
    }
    assert_eq!(served(&orders), 4, "no target is touched");
    assert_eq!(state(&gateway), "open");
    let line = gateway.wait_access_log(14).remove(13);
    assert_eq!(
        (&line["code"], &line["attempts"]),
        (&"upstream.breaker-open".into(), &0.into())
    );
    assert!(line.get("target").is_none());
    for (metric, value) in [("state", 2), ("opened_total", 1), ("refused_total", 10)] {
        let name = format!("gateway_upstream_breaker_{metric}");
        assert_eq!(
            gateway.metric(&name, &["upstream=\"orders\""]),
            value,
            "{metric}"
        );
    }
    assert_eq!(
        gateway.log().matches("A breaker opened").count(),
        1,
        "said once"
    );
}

#[test]
fn an_open_breaker_has_a_fallback() {
    let (orders, backup) = (Backend::start(), Backend::named("backup"));
    let more = format!(
        "{}\n[upstream.backup]\ntargets = [\"@upstream.1@\"]\n\
         [route.spare]\nmatch = \"/spare\"\nupstream = \"orders\"\nfallback = \"backup\"\n\
         [route.told]\nmatch = \"/told\"\nupstream = \"orders\"\nfallback = {{ status = 200, body = \"later\" }}\n",
        keys("1h")
    );
    let config = config(&more, &[orders.addr()]).upstream("1", backup.addr());
    let gateway = Gateway::start(config);
    orders.always(Script::status(503));
    (0..4).for_each(|_| assert_eq!(gateway.get("/").status, 503));
    assert_refused(&gateway.get("/"), 503, "upstream.breaker-open");
    // Nothing was sent anywhere, so that even a POST goes on.
    for method in ["GET", "POST"] {
        let answer = gateway.request(method, "/spare", &[], b"");
        assert_eq!(answer.json()["backend"], "backup", "{method}");
        assert_eq!(gateway.request(method, "/told", &[], b"").text(), "later");
    }
    assert_eq!((served(&orders), backup.requests().len()), (4, 2));
    let lines = gateway.wait_access_log(9);
    assert_eq!(
        (&lines[6]["fallback"], &lines[6]["code"]),
        (&"respond".into(), &"upstream.breaker-open".into())
    );
}

#[test]
fn lets_a_few_through_to_try_and_closes_when_they_succeed() {
    let orders = Backend::start();
    let gateway = Gateway::start(config(&keys("100ms"), &[orders.addr()]));
    orders.always(Script::status(503));
    (0..4).for_each(|_| assert_eq!(gateway.get("/").status, 503));
    let gate = Gate::new();
    orders.always(Script::echo().gated(&gate));
    wait::until(wait::DEADLINE, "half-open", || {
        state(&gateway) == "half-open"
    });
    let request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut trials: Vec<_> = (0..3).map(|_| gateway.client()).collect();
    for client in &mut trials {
        client.send(request).unwrap();
    }
    wait::until(wait::DEADLINE, "three trials", || gate.waiting() == 3);
    let answer = gateway.get("/");
    assert_refused(&answer, 503, "upstream.breaker-open");
    assert_eq!(answer.header("retry-after"), Some("1"));
    gate.open();
    for client in &mut trials {
        assert_eq!(client.receive_head().0, 200);
    }
    wait::until(wait::DEADLINE, "closed", || state(&gateway) == "closed");
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(served(&orders), 4 + 3 + 1);
}

#[test]
fn a_trial_that_fails_opens_it_again_and_one_that_is_given_up_does_not_block() {
    let orders = Backend::start();
    let gateway = Gateway::start(config(&keys("100ms"), &[orders.addr()]));
    orders.always(Script::status(503));
    (0..4).for_each(|_| assert_eq!(gateway.get("/").status, 503));
    wait::until(wait::DEADLINE, "half-open", || {
        state(&gateway) == "half-open"
    });
    assert_eq!(gateway.get("/").code(), "", "the trial's own answer");
    let opened = || gateway.metric("gateway_upstream_breaker_opened_total", &[]);
    wait::until(wait::DEADLINE, "open again", || opened() == 2);
    let gate = Gate::new();
    orders.always(Script::echo().gated(&gate));
    for trial in 1..=4 {
        wait::until(wait::DEADLINE, "half-open", || {
            state(&gateway) == "half-open"
        });
        let before = served(&orders);
        let mut client = gateway.client();
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        orders.wait_requests(before + 1);
        drop(client);
        gateway.wait_access_log(5 + trial);
    }
    gate.open();
    (0..3).for_each(|_| assert_eq!(gateway.get("/").status, 200));
    assert_eq!(state(&gateway), "closed");
}

#[test]
fn a_reload_keeps_it_unless_its_definition_changes() {
    let orders = Backend::start();
    let mut gateway = Gateway::start(config(&keys("1h"), &[orders.addr()]));
    orders.always(Script::status(503));
    (0..4).for_each(|_| assert_eq!(gateway.get("/").status, 503));
    gateway.rewrite_config(config(
        &format!("idle-timeout = \"30s\"\n{}", keys("1h")),
        &[orders.addr()],
    ));
    assert_eq!(gateway.reload().status, 200);
    assert_refused(&gateway.get("/"), 503, "upstream.breaker-open");
    orders.always(Script::echo());
    gateway.rewrite_config(config(&keys("2h"), &[orders.addr()]));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(
        gateway.metric("gateway_upstream_breaker_opened_total", &[]),
        1,
        "a counter never falls"
    );
}
