//! How a route changes the request: the host and the path that its upstream sees.

use harness::{Backend, Gateway, H2Request, H2c, Recorded};

use crate::fixture::{assert_refused, assert_usable, config, forwarding, gateway};

fn all<'a>(request: &'a Recorded, name: &str) -> Vec<&'a str> {
    request.headers.all(name)
}

#[test]
fn the_upstream_says_which_host_its_targets_see() {
    for (upstream, expected) in [
        ("", "api.example.com:8080"),
        ("host = \"client\"", "api.example.com:8080"),
        ("host = \"target\"", "TARGET"),
        ("host = \"orders.internal\"", "orders.internal"),
    ] {
        let (gateway, orders) = forwarding("", upstream);
        gateway.request("GET", "/", &[("Host", "api.example.com:8080")], b"");
        let target = orders.addr().to_string();
        let expected = if expected == "TARGET" {
            target.as_str()
        } else {
            expected
        };
        assert_eq!(all(&orders.last(), "host"), [expected], "{upstream}");
        let h2 = H2Request::new("GET", "/").authority("api.example.com:8080");
        assert_eq!(H2c::connect(gateway.addr()).request(h2).status, 200);
        assert_eq!(all(&orders.last(), "host"), [expected], "{upstream}");
    }
}

#[test]
fn the_route_may_choose_the_host() {
    let orders = Backend::start();
    let routes = r#"
        [route.tenant]
        match = "{tenant}.example.com/**"
        upstream = "orders"
        host = "{host.tenant}.internal"
    "#;
    let gateway = Gateway::start(config(routes, &orders));
    gateway.request("GET", "/", &[("Host", "Acme.example.com:80")], b"");
    assert_eq!(all(&orders.last(), "host"), ["acme.internal"]);
    assert_eq!(
        all(&orders.last(), "x-forwarded-host"),
        ["Acme.example.com:80"]
    );
}

#[test]
fn strips_a_prefix() {
    let (gateway, orders) = gateway(
        "[route.api]\nmatch = \"/api/v1/**\"\nupstream = \"orders\"\nstrip-prefix = \"/api/v1\"\n",
    );
    let mut client = gateway.client();
    for (sent, received) in [
        ("/api/v1/orders/7?a=b", "/orders/7?a=b"),
        ("/api/v1", "/"),
        ("/api/v1/", "/"),
        ("/api/v1?a", "/?a"),
        ("/api//v1/./x%7e", "/x~"),
        ("/api/v1/api/v1", "/api/v1"),
    ] {
        assert_eq!(client.get(sent).status, 200, "{sent}");
        assert_eq!(orders.last().target, received, "{sent}");
    }
}

#[test]
fn rewrites_with_captures_and_keeps_the_query() {
    let (gateway, orders) = gateway(
        r#"
        [route.order]
        match = "/orders/{id}"
        upstream = "orders"
        rewrite = "/v2/{path.id}/details"
        [route.rest]
        match = "/files/{rest*}"
        upstream = "orders"
        rewrite = "/store/{path.rest}"
        [route.query]
        match = "/find/{what}"
        upstream = "orders"
        rewrite = "/search?q={path.what}"
        [route.parameter]
        match = "/by-query"
        upstream = "orders"
        rewrite = "/items/{query.id}"
        "#,
    );
    let mut client = gateway.client();
    for (sent, received) in [
        ("/orders/7", "/v2/7/details"),
        ("/orders/7?a=b&c", "/v2/7/details?a=b&c"),
        ("/orders/a%20b%3f", "/v2/a%20b%3F/details"),
        ("/files/a/b.txt", "/store/a/b.txt"),
        ("/find/x%26y?page=2", "/search?q=x%26y&page=2"),
        (
            "/by-query?id=a%3Fb%23c%20d",
            "/items/a%3Fb%23c%20d?id=a%3Fb%23c%20d",
        ),
    ] {
        assert_eq!(client.get(sent).status, 200, "{sent}");
        assert_eq!(orders.last().target, received, "{sent}");
    }
    let before = orders.requests().len();
    for (sent, code) in [
        ("/by-query", "request.value-missing"),
        ("/by-query?id=1&id=2", "request.value-unfit"),
        ("/by-query?id=..", "request.value-unfit"),
        ("/by-query?id=..%2F..%2Fadmin", "request.value-unfit"),
        ("/by-query?id=", "request.value-unfit"),
    ] {
        assert_refused(&client.get(sent), 400, code);
    }
    assert_eq!(orders.requests().len(), before);
    assert_usable(&mut client, "/orders/7");
}
