//! What requests and responses say to caches, one directive after the other.

use harness::{Backend, Gateway, H2Request, H2c, Response, Script};

use super::{assert_cache, keeping, routes, saying};
use crate::fixture::config;

fn asking(gateway: &Gateway, path: &str, control: &str) -> Response {
    gateway.request("GET", path, &[("cache-control", control)], b"")
}

/// Stores an answer with these fields under this path.
fn stored(gateway: &Gateway, orders: &Backend, path: &str, fields: &[(&str, &str)]) {
    let script = Script::answer(200, "first");
    let add = |script: Script, (name, value): &(&str, &str)| script.header(name, value);
    orders.on(path, fields.iter().fold(script, add));
    assert_eq!(gateway.get(path).text(), "first");
    orders.on(path, saying("max-age=60", "second"));
}

#[test]
fn a_request_says_how_old_and_how_stale_an_answer_may_be() {
    let (gateway, orders) = keeping("{}");
    // It comes from another cache, where it has spent ten seconds.
    let aged = [("cache-control", "max-age=3600"), ("age", "100")];
    for (control, told, text) in [
        ("max-age=3000", "hit", "first"),
        ("max-age=99", "fwd=request", "second"),
        ("max-age=0", "fwd=request", "second"),
        ("min-fresh=3000", "hit", "first"),
        ("min-fresh=3600", "fwd=request", "second"),
        ("no-cache", "fwd=request", "second"),
    ] {
        let path = format!("/fresh/{}", control.replace([',', ' '], ""));
        stored(&gateway, &orders, &path, &aged);
        let answer = asking(&gateway, &path, control);
        assert_cache(&answer, told);
        assert_eq!(answer.text(), text, "{control}");
    }
    let stale = [
        ("cache-control", "max-age=60"),
        ("age", "100"),
        ("etag", "\"a\""),
    ];
    for (control, told, text) in [
        ("max-stale", "hit", "first"),
        ("max-stale=1000", "hit", "first"),
        ("max-stale=10", "fwd=stale", "second"),
        ("max-age=1000", "fwd=stale", "second"),
    ] {
        let path = format!("/stale/{control}");
        stored(&gateway, &orders, &path, &stale);
        let answer = asking(&gateway, &path, control);
        assert_cache(&answer, told);
        assert_eq!(answer.text(), text, "{control}");
    }
    let path = "/pragma";
    stored(&gateway, &orders, path, &aged);
    let answer = gateway.request("GET", path, &[("pragma", "no-cache")], b"");
    assert_cache(&answer, "fwd=request");
    stored(
        &gateway,
        &orders,
        "/strict",
        &[
            stale[1],
            stale[2],
            ("cache-control", "max-age=60, must-revalidate"),
        ],
    );
    assert_cache(&asking(&gateway, "/strict", "max-stale"), "fwd=stale");
}

type Field = (&'static str, &'static str);

const ETAG: Field = ("etag", "\"a\"");
const DATE: Field = ("date", "Mon, 01 Jan 2024 00:00:00 GMT");

/// Fields of an answer, and what `Cache-Status` says to the second request for it.
const RESPONSES: [(&str, &[Field], &str); 12] = [
    (
        "expires",
        &[("expires", "Thu, 01 Jan 2099 00:00:00 GMT")],
        "hit",
    ),
    ("expired", &[("expires", "0"), ETAG], "fwd=stale"),
    // It was made long ago, whatever its way here says (RFC 9111 section 4.2.3).
    (
        "apparent",
        &[("cache-control", "max-age=3600"), DATE, ETAG],
        "fwd=stale",
    ),
    (
        "aged",
        &[("cache-control", "max-age=3600"), ("age", "3600"), ETAG],
        "fwd=stale",
    ),
    (
        "immutable",
        &[("cache-control", "max-age=3600, immutable")],
        "hit",
    ),
    (
        "transform",
        &[("cache-control", "max-age=3600, no-transform")],
        "hit",
    ),
    (
        "no-cache",
        &[("cache-control", "max-age=3600, no-cache"), ETAG],
        "fwd=stale",
    ),
    (
        "no-store",
        &[("cache-control", "max-age=3600, no-store")],
        "fwd=uri-miss",
    ),
    (
        "private",
        &[("cache-control", "max-age=3600, private")],
        "fwd=uri-miss",
    ),
    (
        "understood",
        &[("cache-control", "max-age=3600, no-store, must-understand")],
        "hit",
    ),
    (
        "surrogate",
        &[
            ("cache-control", "no-store"),
            ("surrogate-control", "max-age=3600"),
        ],
        "hit",
    ),
    (
        "pragma",
        &[
            ("pragma", "no-cache"),
            ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
            ETAG,
        ],
        "fwd=stale",
    ),
];

#[test]
fn a_response_says_whether_and_how_it_is_kept() {
    let (gateway, orders) = keeping("{ stale-if-error = \"1h\" }");
    for (name, fields, told) in RESPONSES {
        let path = format!("/{name}");
        stored(&gateway, &orders, &path, fields);
        let told_is = gateway.get(&path);
        let status = told_is.header("cache-status").unwrap_or_default();
        assert!(
            status.starts_with(&format!("gateway; {told}")),
            "{name}: {status}"
        );
    }
    for name in ["must-revalidate", "proxy-revalidate", "s-maxage=0"] {
        let path = format!("/{name}");
        stored(
            &gateway,
            &orders,
            &path,
            &[("cache-control", &*format!("max-age=0, {name}")), ETAG],
        );
        orders.on(&path, Script::status(503));
        assert_eq!(gateway.get(&path).status, 503, "{name}");
    }
    let unknown = Script::answer(299, "").header("cache-control", "max-age=60, must-understand");
    orders.on("/unknown", unknown);
    for _ in 0..2 {
        assert_cache(
            &gateway.get("/unknown"),
            "fwd=uri-miss; detail=must-understand",
        );
    }
}

#[test]
fn fields_that_are_not_for_all_are_not_given_to_others() {
    let (gateway, orders) = keeping("{}");
    for directive in ["no-cache", "private"] {
        let path = format!("/{directive}");
        let control = format!("max-age=60, {directive}=\"x-secret, Set-Cookie\"");
        let script = saying(&control, "body").header("x-secret", "1");
        orders.on(
            &path,
            script.header("set-cookie", "a=b").header("x-open", "1"),
        );
        let first = gateway.get(&path);
        assert_eq!(
            (first.header("x-secret"), first.header("set-cookie")),
            (Some("1"), Some("a=b"))
        );
        let second = gateway.get(&path);
        assert_cache(&second, "hit");
        assert_eq!(
            (second.header("x-secret"), second.header("set-cookie")),
            (None, None)
        );
        assert_eq!(second.header("x-open"), Some("1"));
    }
}

#[test]
fn what_its_origin_shares_is_kept_for_those_with_credentials() {
    let (gateway, orders) = keeping("\"60s\"");
    let bearer = [("authorization", "Bearer 1")];
    for (control, shared) in [
        ("max-age=60", false),
        ("max-age=60, public", true),
        ("s-maxage=60", true),
        ("max-age=60, must-revalidate", true),
    ] {
        let path = format!("/{}", control.replace([',', ' '], ""));
        orders.on(&path, saying(control, "body"));
        gateway.request("GET", &path, &bearer, b"");
        let other = gateway.get(&path);
        assert_cache(&other, if shared { "hit" } else { "fwd=uri-miss" });
    }
}

#[test]
fn a_stale_answer_covers_for_an_origin_that_fails_for_http2_too() {
    let (gateway, mut orders) = keeping("{ stale-if-error = \"1h\" }");
    let authority = gateway.addr().to_string();
    let get = |path: &str| {
        let request = H2Request::new("GET", path).authority(&authority);
        H2c::connect(gateway.addr()).request(request)
    };
    for path in ["/500", "/reset", "/gone"] {
        orders.on(path, saying("max-age=0", "old").header("etag", "\"a\""));
        assert_eq!(get(path).text(), "old");
    }
    orders
        .on("/500", Script::status(500))
        .on("/reset", Script::reset());
    for path in ["/500", "/reset"] {
        let answer = get(path);
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "old"),
            "{path}"
        );
        assert_cache(&answer, "hit; fwd=stale");
    }
    orders.stop();
    assert_eq!(get("/gone").text(), "old");
}

#[test]
fn what_an_answer_says_it_has_changed_is_taken_out() {
    let (gateway, orders) = keeping("\"60s\"");
    let origin = format!("http://{}", gateway.addr());
    for (field, value) in [
        ("location", "/other".to_owned()),
        ("content-location", format!("{origin}/other")),
        ("location", "../other?".to_owned()),
    ] {
        let other = if value.ends_with('?') {
            "/other?"
        } else {
            "/other"
        };
        for path in ["/changed", other] {
            gateway.get(path);
            assert_cache(&gateway.get(path), "hit");
        }
        orders.once(Script::status(201).header(field, &value));
        let answer = gateway.request("PUT", "/changed", &[], b"x");
        assert_eq!(answer.status, 201);
        for path in ["/changed", other] {
            assert_cache(&gateway.get(path), "fwd=uri-miss");
        }
    }
}

#[test]
fn a_zone_that_comes_back_is_empty() {
    let (mut gateway, orders) = keeping("\"60s\"");
    gateway.get("/");
    assert_cache(&gateway.get("/"), "hit");
    let none = "[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n";
    gateway.rewrite_and_wait(config(none, &orders));
    assert_eq!(gateway.get("/").header("cache-status"), None);
    gateway.rewrite_and_wait(config(&routes("\"60s\""), &orders));
    assert_cache(&gateway.get("/"), "fwd=uri-miss; stored");
    assert_cache(&gateway.get("/"), "hit");
}

#[test]
fn the_log_says_what_the_cache_did_and_why() {
    let (gateway, orders) = keeping("{ stale-if-error = \"1h\" }");
    let etag = ("etag", "\"a\"");
    stored(
        &gateway,
        &orders,
        "/hit",
        &[("cache-control", "max-age=60")],
    );
    gateway.get("/hit");
    asking(&gateway, "/hit", "no-cache");
    asking(&gateway, "/hit", "no-store");
    gateway.request("DELETE", "/other", &[], b"");
    gateway.request("GET", "/hit", &[], b"body");
    stored(
        &gateway,
        &orders,
        "/private",
        &[("cache-control", "private")],
    );
    stored(
        &gateway,
        &orders,
        "/cookie",
        &[("cache-control", "max-age=60"), ("set-cookie", "a=b")],
    );
    stored(
        &gateway,
        &orders,
        "/stale",
        &[("cache-control", "max-age=60"), ("age", "100"), etag],
    );
    asking(&gateway, "/stale", "max-stale");
    orders.on("/stale", Script::status(503));
    gateway.get("/stale");
    orders.on(
        "/stale",
        Script::status(304).header("cache-control", "max-age=60, private"),
    );
    gateway.get("/stale");
    let lines = gateway.wait_access_log(12);
    let said: Vec<(&str, Option<&str>)> = lines
        .iter()
        .map(|line| {
            (
                line["cache"].as_str().unwrap_or_default(),
                line["cache_reason"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            ("miss", None),
            ("hit", None),
            ("miss", Some("request")),
            ("bypass", Some("no-store")),
            ("bypass", Some("method")),
            ("bypass", Some("body")),
            ("miss", Some("private")),
            ("miss", Some("set-cookie")),
            ("miss", None),
            ("stale", Some("max-stale")),
            ("stale", Some("error")),
            ("revalidated", Some("private")),
        ]
    );
}
