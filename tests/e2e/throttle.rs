//! `throttle`: counts addresses before anybody is asked who it is.

use harness::{Backend, Gateway, Response};

use crate::fixture::{assert_refused, config_with};

/// The test itself is a trusted proxy, so that it can come from anywhere.
fn from_anywhere(routes: &str) -> (Gateway, Backend) {
    let orders = Backend::start();
    let trusting = "trusted-proxies = [\"127.0.0.1\"]";
    let gateway = Gateway::start(config_with(trusting, "", routes, &orders));
    (gateway, orders)
}

fn from(gateway: &Gateway, path: &str, address: &str) -> Response {
    gateway.request("GET", path, &[("X-Forwarded-For", address)], b"")
}

#[test]
fn a_throttle_counts_addresses_behind_trusted_proxies() {
    let routes = r#"
        [route.all]
        match = "/**"
        upstream = "orders"
        throttle = { rate = "2/h" }
    "#;
    let (gateway, _orders) = from_anywhere(routes);
    for (first, second, third) in [
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:0:1::"),
    ] {
        assert_eq!(from(&gateway, "/", first).status, 200);
        assert_eq!(from(&gateway, "/", second).status, 200);
        assert_refused(&from(&gateway, "/", third), 429, "throttle.exceeded");
    }
    for other in ["192.0.2.2", "2001:db8:0:1::1"] {
        assert_eq!(from(&gateway, "/", other).status, 200, "{other}");
    }
}

#[test]
fn who_guesses_keys_is_throttled_before_any_key_is_looked_at() {
    let routes = r#"
        [auth.keys]
        api-key = {}
        [route.all]
        match = "/**"
        upstream = "orders"
        auth = "keys"
        throttle = { rate = "3/h" }
    "#;
    let (gateway, orders) = from_anywhere(routes);
    let guess = |address: &str| {
        let headers = [("X-Forwarded-For", address), ("X-Api-Key", "a guess")];
        gateway.request("GET", "/", &headers, b"")
    };
    for _ in 0..3 {
        assert_refused(&guess("192.0.2.1"), 401, "auth.invalid");
    }
    let refused = guess("192.0.2.1");
    assert_refused(&refused, 429, "throttle.exceeded");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    // A third of an hour after the first, which was a moment ago.
    assert!((1_100..=1_200).contains(&wait), "{wait}");
    assert_refused(&guess("192.0.2.2"), 401, "auth.invalid");
    assert!(orders.requests().is_empty());
}

#[test]
fn a_throttle_of_all_routes_cannot_be_dropped() {
    let routes = r#"
        [always]
        throttle = { rate = "2/h" }
        [route.one]
        match = "/one"
        upstream = "orders"
        throttle = "none"
        [route.two]
        match = "/two"
        upstream = "orders"
    "#;
    let (gateway, _orders) = from_anywhere(routes);
    for path in ["/one", "/two"] {
        for _ in 0..2 {
            assert_eq!(from(&gateway, path, "192.0.2.1").status, 200, "{path}");
        }
        assert_refused(&from(&gateway, path, "192.0.2.1"), 429, "throttle.exceeded");
    }
}
