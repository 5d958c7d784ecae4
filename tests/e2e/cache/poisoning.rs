//! What must never be stored for others, nor be given to them.

use harness::Script;

use super::{assert_cache, keeping, saying};

#[test]
fn what_may_be_personal_is_not_kept_by_ttl() {
    let (gateway, orders) = keeping("\"60s\"");
    for personal in [("cookie", "session=1"), ("authorization", "Bearer 1")] {
        for path in ["/me", "/me"] {
            let answer = gateway.request("GET", path, &[personal], b"");
            assert_cache(&answer, "fwd=");
        }
    }
    assert_eq!(orders.requests().len(), 4);
    orders.always(Script::answer(200, "").header("set-cookie", "session=1"));
    for _ in 0..2 {
        assert_eq!(
            gateway.get("/login").header("set-cookie"),
            Some("session=1")
        );
    }
    assert_eq!(orders.requests().len(), 6);
}

#[test]
fn ignored_cookies_make_no_difference() {
    let (gateway, orders) = keeping("{ ttl = \"60s\", cookies = { ignore = [\"_ga*\"] } }");
    orders.always(Script::answer(200, "").header("set-cookie", "_ga=1"));
    let first = gateway.request("GET", "/", &[("cookie", "_gat=2; _ga=1")], b"");
    assert_eq!(first.header("set-cookie"), Some("_ga=1"));
    let second = gateway.get("/");
    assert_cache(&second, "hit");
    assert_eq!(second.header("set-cookie"), None);
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn what_is_not_in_the_key_does_not_reach_the_upstream() {
    let (gateway, orders) = keeping("{ ttl = \"60s\", query = { drop = [\"utm_*\"] } }");
    let forged = [
        ("x-forwarded-host", "evil.example"),
        ("x-original-url", "/admin"),
        ("x-rewrite-url", "/admin"),
        ("x-http-method-override", "DELETE"),
        ("forwarded", "host=evil.example"),
    ];
    let answer = gateway.request("GET", "/page?utm_source=evil&a=1&utm_x", &forged, b"");
    assert_eq!(answer.status, 200);
    let asked = orders.last();
    assert_eq!(asked.target, "/page?a=1");
    for (name, value) in forged {
        assert_ne!(asked.header(name), Some(value), "{name}");
    }
    assert_cache(&gateway.get("/page?a=1"), "hit");
    assert_cache(&gateway.get("/page?utm_a=1;a=2&a=1"), "fwd=uri-miss");
}

#[test]
fn a_get_with_a_body_passes_by() {
    let (gateway, orders) = keeping("\"60s\"");
    let answer = gateway.request("GET", "/", &[], b"report=evil");
    assert_cache(&answer, "fwd=bypass; detail=body");
    assert_cache(&gateway.get("/"), "fwd=uri-miss");
    assert_eq!(orders.requests().len(), 2);
}

#[test]
fn hosts_ports_and_paths_are_told_apart() {
    let (gateway, orders) = keeping("\"60s\"");
    let requests = [
        ("a.example", "/x"),
        ("b.example", "/x"),
        ("a.example:81", "/x"),
        ("a.example", "/x/"),
        ("a.example", "/X"),
        ("a.example", "/x?"),
        ("a.example", "/x?y"),
    ];
    for (count, (host, path)) in requests.into_iter().enumerate() {
        let answer = gateway.request("GET", path, &[("host", host)], b"");
        assert_cache(&answer, "fwd=uri-miss");
        assert_eq!(orders.requests().len(), count + 1);
    }
    let same = gateway.request("GET", "/y/../x", &[("host", "A.EXAMPLE")], b"");
    assert_cache(&same, "hit");
}

#[test]
fn a_path_that_looks_like_a_file_is_no_reason_to_keep() {
    let (gateway, orders) = keeping("\"60s\"");
    orders.always(saying("private", "account of somebody"));
    for _ in 0..2 {
        assert_eq!(
            gateway.get("/account/style.css").text(),
            "account of somebody"
        );
    }
    assert_eq!(orders.requests().len(), 2);
}

#[test]
fn variants_are_told_apart_and_limited() {
    let (gateway, orders) = keeping("{}");
    orders.always(saying("max-age=60", "").header("vary", "accept-language"));
    let ask = |language: &str| gateway.request("GET", "/", &[("accept-language", language)], b"");
    assert_cache(&ask("de"), "fwd=uri-miss");
    assert_cache(&ask("en"), "fwd=");
    assert_cache(&ask("DE"), "hit");
    for n in 0..200 {
        assert_eq!(ask(&format!("x-{n}")).status, 200);
    }
    assert_eq!(
        gateway.metric("gateway_cache_entries", &["zone=\"default\""]),
        64
    );
    orders.always(saying("max-age=60", "").header("vary", "*"));
    for _ in 0..2 {
        assert_cache(&gateway.get("/star"), "fwd=");
    }
    assert_eq!(
        gateway.metric("gateway_cache_entries", &["zone=\"default\""]),
        64
    );
}

#[test]
fn chosen_values_and_conditions_count() {
    let (gateway, orders) = keeping(
        "{ ttl = \"60s\", vary-on = [\"header.x-tenant\"], bypass = { header = { x-debug = \"*\" } } }",
    );
    let ask = |fields: &[(&str, &str)]| gateway.request("GET", "/", fields, b"");
    assert_cache(&ask(&[("x-tenant", "a")]), "fwd=uri-miss");
    assert_cache(&ask(&[("x-tenant", "b")]), "fwd=uri-miss");
    assert_cache(&ask(&[]), "fwd=uri-miss");
    assert_cache(&ask(&[("x-tenant", "a")]), "hit");
    assert_cache(
        &ask(&[("x-tenant", "a"), ("x-debug", "1")]),
        "fwd=bypass; detail=bypass",
    );
    assert_eq!(orders.requests().len(), 4);
}
