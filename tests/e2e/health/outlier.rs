//! Outlier ejection.

use harness::{Backend, Gateway, Script};

use super::{config, healthy, served, target, wait_standing};

const KEYS: &str = "outlier = { consecutive-failures = 3, ejection-time = \"200ms\" }";

#[test]
fn a_target_whose_requests_fail_is_left_out_and_comes_back() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let long = KEYS.replace("200ms", "1h");
    let mut gateway = Gateway::start(config(&long, &[one.addr(), two.addr()]));
    one.always(Script::status(503));
    let statuses: Vec<u16> = (0..6).map(|_| gateway.get("/").status).collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 503).count(),
        3,
        "{statuses:?}"
    );
    let out = target(&gateway, 0);
    assert_eq!(
        (&out["standing"], &out["reason"]),
        (&"ejected".into(), &"too many failures in a row".into())
    );
    assert_eq!(
        (healthy(&gateway, one.addr()), healthy(&gateway, two.addr())),
        (0, 1)
    );
    for _ in 0..10 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_eq!((served(&one), served(&two)), (3, 13));
    assert_eq!(gateway.metric("gateway_upstream_ejections_total", &[]), 1);
    gateway.rewrite_config(config(
        &format!("idle-timeout = \"30s\"\n{long}"),
        &[one.addr(), two.addr()],
    ));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(
        target(&gateway, 0)["standing"],
        "ejected",
        "a reload changes nothing of it"
    );
    gateway.rewrite_config(config(KEYS, &[one.addr(), two.addr()]));
    assert_eq!(gateway.reload().status, 200);
    wait_standing(&gateway, 0, "good");
}

#[test]
fn an_ejected_target_is_back_in_its_time() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let gateway = Gateway::start(config(KEYS, &[one.addr(), two.addr()]));
    one.always(Script::close());
    while served(&one) < 3 {
        gateway.get("/");
    }
    gateway.wait_log("A target is ejected");
    one.always(Script::echo());
    gateway.wait_log("An ejected target is back");
    wait_standing(&gateway, 0, "good");
    let before = served(&one);
    (0..4).for_each(|_| assert_eq!(gateway.get("/").status, 200));
    assert!(served(&one) > before);
}

#[test]
fn connections_that_fail_eject_and_ordinary_errors_do_not() {
    let two = Backend::named("two");
    let long = KEYS.replace("200ms", "1h");
    let gateway = Gateway::start(config(&long, &[Backend::refusing(), two.addr()]));
    two.always(Script::status(500));
    let statuses: Vec<u16> = (0..16).map(|_| gateway.get("/").status).collect();
    assert_eq!(
        statuses.iter().filter(|status| **status == 502).count(),
        3,
        "{statuses:?}"
    );
    assert_eq!(
        statuses.iter().filter(|status| **status == 500).count(),
        13,
        "{statuses:?}"
    );
    assert_eq!(target(&gateway, 0)["standing"], "ejected");
    assert_eq!(target(&gateway, 1)["standing"], "good");
}

#[test]
fn not_all_are_ejected_at_once() {
    let (one, two) = (Backend::start(), Backend::start());
    one.always(Script::status(503));
    two.always(Script::status(503));
    let gateway = Gateway::start(config(
        &KEYS.replace("200ms", "1h"),
        &[one.addr(), two.addr()],
    ));
    for _ in 0..20 {
        assert_eq!(gateway.get("/").code(), "", "the upstream's own answer");
    }
    assert_eq!(served(&one) + served(&two), 20);
    let standings = [0, 1].map(|number| target(&gateway, number)["standing"].clone());
    assert_eq!(
        standings
            .iter()
            .filter(|standing| *standing == "ejected")
            .count(),
        1,
        "{standings:?}"
    );
}
