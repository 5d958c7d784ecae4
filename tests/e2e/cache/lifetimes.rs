//! How long answers are kept: what origins, their caches' fields and routes say, and whose word counts.

use super::*;

/// What an answer with these fields does to the second request for it.
fn second(cache: &str, fields: &[(&str, &str)]) -> (Response, usize) {
    let (gateway, orders) = keeping(cache);
    let script = fields
        .iter()
        .fold(Script::answer(200, "a"), |script, (name, value)| {
            script.header(name, value)
        });
    orders.always(script);
    gateway.get("/");
    (gateway.get("/"), orders.requests().len())
}

#[track_caller]
fn kept_for(cache: &str, fields: &[(&str, &str)], seconds: &str) {
    let (answer, requests) = second(cache, fields);
    assert_cache(&answer, "hit; ttl=");
    let told = answer.header("cache-status").unwrap_or_default();
    let ttl: u64 = told
        .split("ttl=")
        .nth(1)
        .and_then(|rest| rest.split(';').next()?.trim().parse().ok())
        .unwrap_or_else(|| panic!("{told}"));
    let expected: u64 = seconds.parse().unwrap();
    // Time passes between the two requests.
    assert!((expected - 20..=expected).contains(&ttl), "{told}");
    assert_eq!(requests, 1);
}

#[track_caller]
fn not_kept(cache: &str, fields: &[(&str, &str)]) {
    let (answer, requests) = second(cache, fields);
    let told = answer.header("cache-status").unwrap_or_default();
    assert!(!told.contains("hit"), "{told}");
    assert_eq!(requests, 2);
}

#[test]
fn a_route_overrides_its_origin_but_not_what_is_nobody_elses() {
    let route = "{ ttl-override = \"10min\" }";
    kept_for(route, &[("cache-control", "max-age=60")], "600");
    kept_for(route, &[("cache-control", "max-age=0")], "600");
    kept_for(route, &[], "600");
    not_kept(route, &[("cache-control", "no-store")]);
    not_kept(route, &[("cache-control", "private, max-age=60")]);
    not_kept(route, &[("set-cookie", "a=b")]);
}

#[test]
fn the_field_for_caches_like_this_one_counts_before_the_one_for_all() {
    let short = ("cache-control", "max-age=5");
    let long = ("cdn-cache-control", "max-age=300");
    kept_for("{}", &[short, long], "300");
    not_kept(
        "{}",
        &[
            ("cache-control", "max-age=60"),
            ("cdn-cache-control", "no-store"),
        ],
    );
    // A lifetime that cannot be read is none (RFC 9111 section 4.2.1).
    let broken = ("cdn-cache-control", "max-age=(");
    not_kept("{}", &[("cache-control", "max-age=60"), broken]);
}

#[test]
fn shared_caches_have_a_lifetime_of_their_own() {
    kept_for("{}", &[("cache-control", "max-age=5, s-maxage=100")], "100");
    kept_for("\"30s\"", &[("cache-control", "s-maxage=100")], "100");
}

#[test]
fn lifetimes_are_guessed_only_where_that_is_asked_for() {
    let long_ago = [("last-modified", "Mon, 01 Jan 2001 00:00:00 GMT")];
    not_kept("{}", &long_ago);
    let (answer, requests) = second("{ heuristic = true }", &long_ago);
    assert_cache(&answer, "hit; ttl=");
    assert_eq!(requests, 1);
}

#[test]
fn arms_of_a_split_have_answers_of_their_own() {
    let stable = Backend::start();
    let canary = Backend::start();
    stable.always(saying("max-age=60", "stable"));
    canary.always(saying("max-age=60", "canary"));
    let text = r#"
        [listener.public]
        address = "@address.public@"
        [upstream.stable]
        targets = ["@upstream.stable@"]
        [upstream.canary]
        targets = ["@upstream.canary@"]
        [route.all]
        match = "/**"
        cache = {}
        split = { to = { stable = 100, canary = 0 }, pick = { canary = { header = { x-cohort = "beta" } } } }
    "#;
    let config = harness::Config::new(text)
        .upstream("stable", stable.addr())
        .upstream("canary", canary.addr());
    let gateway = Gateway::start(config);
    let beta = [("x-cohort", "beta")];
    for _ in 0..3 {
        assert_eq!(gateway.get("/").text(), "stable");
        assert_eq!(gateway.request("GET", "/", &beta, b"").text(), "canary");
    }
    assert_eq!((stable.requests().len(), canary.requests().len()), (1, 1));
}
