//! `cache` of `[defaults]`: what routes have that say nothing.

use harness::{Backend, Gateway};

use super::assert_cache;
use crate::fixture::config;

#[test]
fn routes_that_say_nothing_keep_what_the_defaults_say() {
    let orders = Backend::start();
    let text = r#"
        [defaults]
        cache = { ttl = "60s", vary-on = ["header.x-tenant"] }
        [route.plain]
        match = "/plain"
        upstream = "orders"
        [route.without]
        match = "/without"
        upstream = "orders"
        cache = "none"
        [route.own]
        match = "/own"
        upstream = "orders"
        cache = {}
        [route.like]
        like = "without"
        match = "/like"
        [route.answers]
        match = "/answers"
        respond = { status = 200, body = "here" }
    "#;
    let gateway = Gateway::start(config(text, &orders));
    let tenant = |name: &str| gateway.request("GET", "/plain", &[("x-tenant", name)], b"");
    assert_cache(&tenant("a"), "fwd=uri-miss; stored");
    assert_cache(&tenant("b"), "fwd=uri-miss; stored");
    assert_cache(&tenant("a"), "hit");
    assert_cache(&gateway.get("/own"), "fwd=uri-miss; detail=no-lifetime");
    for path in ["/without", "/like", "/answers"] {
        let answer = gateway.get(path);
        assert_eq!(
            (answer.status, answer.header("cache-status")),
            (200, None),
            "{path}"
        );
    }
}
