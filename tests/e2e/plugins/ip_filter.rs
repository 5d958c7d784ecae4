//! `ip-filter`: who is refused, whose address counts, and what shadow lets pass.

use harness::{Backend, Gateway};

use super::{both, refusals};
use crate::fixture::{assert_refused, assert_usable, config_with, gateway};

/// The test itself is a trusted proxy, so that it can come from anywhere.
fn from(routes: &str) -> (Gateway, Backend) {
    let orders = Backend::start();
    let trusting = "trusted-proxies = [\"127.0.0.1\"]";
    let gateway = Gateway::start(config_with(trusting, "", routes, &orders));
    (gateway, orders)
}

const ROUTES: &str = r#"
    [route.allow]
    match = "/allow"
    upstream = "orders"
    ip-filter = { allow = ["10.0.0.0/8", "2001:db8::/32"] }
    [route.deny]
    match = "/deny"
    upstream = "orders"
    ip-filter = { deny = ["192.0.2.0/24", "2001:db8:bad::/48"] }
    [route.both]
    match = "/both"
    upstream = "orders"
    ip-filter = { allow = ["10.0.0.0/8"], deny = ["10.9.0.0/16"] }
    [route.shadow]
    match = "/shadow"
    upstream = "orders"
    ip-filter = { allow = ["10.0.0.0/8"], mode = "shadow", shadow-until = "2999-01-01" }
    [route.over]
    match = "/over"
    upstream = "orders"
    ip-filter = { allow = ["10.0.0.0/8"], mode = "shadow", shadow-until = "2020-01-01" }
    [route.open]
    match = "/open"
    upstream = "orders"
"#;

#[test]
fn judges_the_client_behind_trusted_proxies() {
    let (gateway, orders) = from(ROUTES);
    for (path, client, passes) in [
        ("/allow", "10.0.0.0", true),
        ("/allow", "10.255.255.255", true),
        ("/allow", "11.0.0.0", false),
        ("/allow", "9.255.255.255", false),
        ("/allow", "::ffff:10.1.2.3", true),
        ("/allow", "2001:db8::1", true),
        ("/allow", "2001:db9::1", false),
        ("/deny", "192.0.2.0", false),
        ("/deny", "192.0.2.255", false),
        ("/deny", "192.0.3.0", true),
        ("/deny", "::ffff:192.0.2.1", false),
        ("/deny", "2001:db8:bad::1", false),
        ("/deny", "2001:db8:bac::1", true),
        ("/both", "10.8.0.1", true),
        ("/both", "10.9.0.1", false),
        ("/both", "192.0.2.1", false),
    ] {
        let before = orders.requests().len();
        for answer in both(&gateway, "GET", path, &[("X-Forwarded-For", client)]) {
            if passes {
                assert_eq!(answer.status, 200, "{path} from {client}");
            } else {
                assert_refused(&answer, 403, "ip-filter.denied");
            }
        }
        let seen = orders.requests().len() - before;
        assert_eq!(seen, if passes { 2 } else { 0 }, "{path} from {client}");
    }
}

#[test]
fn the_left_end_of_a_chain_helps_nobody() {
    let (gateway, _orders) = from(ROUTES);
    for chain in [
        "10.0.0.1, 192.0.2.1",
        "10.0.0.1, nonsense",
        "10.0.0.1, 192.0.2.1, 127.0.0.1",
    ] {
        for answer in both(&gateway, "GET", "/allow", &[("X-Forwarded-For", chain)]) {
            assert_refused(&answer, 403, "ip-filter.denied");
        }
    }
}

#[test]
fn an_untrusted_client_cannot_choose_its_address() {
    let (gateway, orders) = gateway(ROUTES);
    for name in [
        "X-Forwarded-For",
        "X-Real-IP",
        "Forwarded",
        "True-Client-IP",
    ] {
        let value = if name == "Forwarded" {
            "for=10.0.0.1"
        } else {
            "10.0.0.1"
        };
        for answer in both(&gateway, "GET", "/allow", &[(name, value)]) {
            assert_refused(&answer, 403, "ip-filter.denied");
        }
    }
    assert_eq!(orders.connections(), 0);
}

#[test]
fn shadow_passes_and_tells() {
    let (gateway, orders) = from(ROUTES);
    for answer in both(
        &gateway,
        "GET",
        "/shadow",
        &[("X-Forwarded-For", "192.0.2.1")],
    ) {
        assert_eq!(answer.status, 200);
    }
    assert_eq!(orders.requests().len(), 2);
    for line in gateway.wait_access_log(2) {
        assert_eq!(line["shadowed"], serde_json::json!(["ip-filter.denied"]));
        assert_eq!((&line["status"], line.get("code")), (&200.into(), None));
    }
    assert_eq!(refusals(&gateway, "ip-filter.denied", "shadow"), 2);
    assert_eq!(refusals(&gateway, "ip-filter.denied", "enforce"), 0);
    both(
        &gateway,
        "GET",
        "/shadow",
        &[("X-Forwarded-For", "10.0.0.1")],
    );
    assert!(gateway.wait_access_log(4)[2].get("shadowed").is_none());
}

#[test]
fn a_shadow_that_is_over_refuses() {
    let (gateway, orders) = from(ROUTES);
    for answer in both(
        &gateway,
        "GET",
        "/over",
        &[("X-Forwarded-For", "192.0.2.1")],
    ) {
        assert_refused(&answer, 403, "ip-filter.denied");
    }
    assert_eq!(orders.connections(), 0);
    assert_eq!(refusals(&gateway, "ip-filter.denied", "enforce"), 2);
}

#[test]
fn a_refused_client_keeps_its_connection() {
    let (gateway, _orders) = from(ROUTES);
    let mut client = gateway.client();
    for method in ["GET", "POST", "DELETE"] {
        let from = [("X-Forwarded-For", "192.0.2.1")];
        assert_refused(
            &client.request(method, "/allow", &from, b""),
            403,
            "ip-filter.denied",
        );
    }
    assert_usable(&mut client, "/open");
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["route"], &line["client"]),
        (&"allow".into(), &"192.0.2.1".into())
    );
}
