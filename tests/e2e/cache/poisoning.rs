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
    let same = gateway.request("GET", "/y/../x", &[("host", "a.example")], b"");
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

#[test]
fn spellings_of_a_path_share_what_they_share_at_the_upstream() {
    let (gateway, orders) = keeping("\"60s\"");
    assert_cache(&gateway.get("/account/style.css"), "fwd=uri-miss");
    for same in [
        "/account/%73tyle.css",
        "/account/x/../style.css",
        "/account//style.css",
        "/./account/style.css",
    ] {
        assert_cache(&gateway.get(same), "hit");
    }
    assert_eq!(orders.last().target, "/account/style.css");
    for refused in [
        "/account/..%2fstyle.css",
        "/account;/style.css",
        "/account%5cstyle.css",
        "/account%00.css",
        "/account%252fstyle.css",
        "/../style.css",
    ] {
        assert_eq!(gateway.get(refused).status, 400, "{refused}");
    }
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn parameters_cannot_hide_in_each_other() {
    let (gateway, orders) = keeping("{ ttl = \"60s\", query = { keep = [\"id\"] } }");
    let seen = |query: &str| {
        gateway.get(&format!("/x{query}"));
        orders.last().target.clone()
    };
    // What the upstream sees is what the key holds, to the letter.
    for (query, forwarded) in [
        ("?id=1&evil=2", "/x?id=1"),
        ("?evil=2", "/x"),
        ("?evil=2;id=3", "/x?evil=2;id=3"),
        ("?id=3;evil=2", "/x?id=3;evil=2"),
        ("?id=4&id=5", "/x?id=4&id=5"),
        ("?%69d=6", "/x?%69d=6"),
    ] {
        let told = seen(query);
        assert_eq!(told, forwarded, "{query}");
    }
    let before = orders.requests().len();
    // Names of parameters are told apart by case, so this is the request without any.
    assert_cache(&gateway.get("/x?ID=7"), "hit");
    assert_cache(&gateway.get("/x?id=5&id=4"), "fwd=uri-miss");
    assert_eq!(orders.requests().len(), before + 1);
}

#[test]
fn an_answer_that_depends_on_too_much_is_not_kept() {
    let (gateway, orders) = keeping("\"60s\"");
    let names: Vec<String> = (0..17).map(|n| format!("x-{n}")).collect();
    orders.always(Script::answer(200, "").header("vary", &names.join(", ")));
    for _ in 0..2 {
        assert_cache(&gateway.get("/flood"), "fwd=uri-miss; detail=vary");
    }
    orders.always(Script::answer(200, "").header("vary", &names[..16].join(", ")));
    assert_cache(&gateway.get("/many"), "fwd=uri-miss; stored");
    assert_cache(&gateway.get("/many"), "hit");
}

#[test]
fn heads_that_are_too_large_are_neither_kept_nor_given() {
    let (gateway, orders) = keeping("\"60s\"");
    let large = "x".repeat(70 << 10);
    orders.always(Script::answer(200, "").header("x-large", &large));
    for _ in 0..2 {
        assert_eq!(gateway.get("/answer").status, 502);
    }
    assert_eq!(
        gateway.metric("gateway_cache_entries", &["zone=\"default\""]),
        0
    );
    orders.always(Script::answer(200, "fine"));
    let mut fields: Vec<(String, String)> = Vec::new();
    for n in 0..300 {
        fields.push((format!("x-{n}"), "y".to_owned()));
    }
    let fields: Vec<(&str, &str)> = fields.iter().map(|(a, b)| (&**a, &**b)).collect();
    assert_eq!(gateway.request("GET", "/request", &fields, b"").status, 431);
    let before = orders.requests().len();
    assert_eq!(
        gateway.get("/request").text(),
        "fine",
        "a refusal is nobody else's answer"
    );
    assert_eq!(orders.requests().len(), before + 1);
}

#[test]
fn what_an_upstream_says_of_errors_and_of_others_is_not_kept_for_all() {
    let (gateway, orders) = keeping("\"60s\"");
    // The upstream chokes on a field that is in no key.
    orders.once(Script::answer(400, "bad header"));
    let poisoned = gateway.request("GET", "/", &[("x-oversized", "y")], b"");
    assert_eq!(poisoned.status, 400);
    let next = gateway.get("/");
    assert_eq!(next.status, 200);
    assert_cache(&next, "fwd=uri-miss");
    // It reflects a host that only this client has named.
    orders.once(Script::status(302).header("location", "https://evil.example/"));
    let moved = gateway.request("GET", "/moved", &[("x-host", "evil.example")], b"");
    assert_eq!(moved.status, 302);
    assert_cache(&gateway.get("/moved"), "fwd=uri-miss");
}
