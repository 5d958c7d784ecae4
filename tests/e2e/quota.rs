//! `quota`: what may be used in an hour, a day or a month of the calendar.

use harness::{Backend, Gateway, H2Request, H2c, Redis};

use crate::fixture::{assert_refused, config, gateway};

#[test]
fn a_quota_outlives_a_restart_of_the_gateway() {
    let (redis, orders) = (Redis::start(), Backend::start());
    let text = format!(
        r#"
        [store.shared.redis]
        url = "redis://{}/3"
        timeout = "5s"
        [route.all]
        match = "/**"
        upstream = "orders"
        quota = {{ rate = "3/month", key = "header.x-tenant", store = "shared", time-zone = "Europe/Berlin" }}
        "#,
        redis.addr()
    );
    let first = Gateway::start(config(&text, &orders));
    for _ in 0..2 {
        assert_eq!(by_tenant(&first, "acme"), 200);
    }
    drop(first);
    let second = Gateway::start(config(&text, &orders));
    let statuses = [0, 1].map(|_| by_tenant(&second, "acme"));
    assert_eq!(statuses, [200, 429]);
}

#[test]
fn a_quota_and_a_rate_limit_stand_beside_each_other() {
    let routes = r#"
        [route.all]
        match = "/**"
        upstream = "orders"
        quota = { rate = "2/month", key = "client.ip", headers = "both" }
        rate-limit = { rate = "100/s", key = "client.ip", window = "sliding", headers = "both" }
    "#;
    let (gateway, _orders) = gateway(routes);
    for answer in on_both(&gateway) {
        assert_eq!(answer.status, 200);
        let policies = answer
            .headers
            .0
            .iter()
            .filter(|(name, _)| name == "ratelimit-policy");
        let policies: Vec<_> = policies.map(|(_, value)| &**value).collect();
        assert_eq!(
            policies,
            ["\"quota\";q=2;w=2592000", "\"rate-limit\";q=100;w=1"]
        );
        assert_eq!(
            answer.header("x-ratelimit-limit"),
            Some("2"),
            "the one of which least is left"
        );
    }
    for answer in on_both(&gateway) {
        assert_refused(&answer, 429, "quota.exceeded");
        let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!(wait <= 31 * 86_400, "{wait}");
    }
}

#[test]
fn requests_use_what_they_say_until_nothing_is_left() {
    let routes = r#"
        [route.all]
        match = "/**"
        upstream = "orders"
        quota = { rate = "10/day", key = "header.x-tenant", cost = "header.x-pages" }
    "#;
    let (gateway, orders) = gateway(routes);
    let print = |pages: &str| {
        let headers = [("x-tenant", "acme"), ("x-pages", pages)];
        gateway.request("GET", "/", &headers, b"")
    };
    assert_eq!(print("7").status, 200);
    assert_refused(&print("4"), 429, "quota.exceeded");
    assert_eq!(print("3").status, 200, "what was refused used nothing");
    assert_refused(&print("1"), 429, "quota.exceeded");
    for wrong in ["0", "-1", "many"] {
        assert_refused(&print(wrong), 400, "quota.cost");
    }
    assert_eq!(by_tenant(&gateway, "globex"), 200);
    assert_eq!(orders.requests().len(), 3);
}

fn by_tenant(gateway: &Gateway, tenant: &str) -> u16 {
    gateway
        .request("GET", "/", &[("x-tenant", tenant)], b"")
        .status
}

/// On HTTP/1.1 and on HTTP/2.
fn on_both(gateway: &Gateway) -> [harness::Response; 2] {
    [
        gateway.get("/"),
        H2c::connect(gateway.addr()).request(H2Request::new("GET", "/")),
    ]
}
