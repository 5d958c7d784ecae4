//! Answers that are kept: whose, for how long, and what clients and operators are told of it.

mod coalescing;
mod counts;
mod defaults;
mod directives;
mod identities;
mod lifetimes;
mod poisoning;
mod purges;
mod quick;
mod several;
mod stale;
mod under_way;
mod unkeyed;

use harness::{Backend, Gateway, H2Request, H2c, Response, Script};

use crate::fixture::config;

/// A gateway that keeps what this key says, before one upstream.
fn keeping(cache: &str) -> (Gateway, Backend) {
    let orders = Backend::start();
    let gateway = Gateway::start(config(&routes(cache), &orders));
    (gateway, orders)
}

fn routes(cache: &str) -> String {
    format!("[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\ncache = {cache}\n")
}

/// An answer with this `Cache-Control`.
fn saying(control: &str, body: &str) -> Script {
    Script::answer(200, body).header("cache-control", control)
}

/// What `Cache-Status` begins with.
#[track_caller]
fn assert_cache(answer: &Response, status: &str) {
    let told = answer.header("cache-status").unwrap_or_default();
    assert!(told.starts_with(&format!("gateway; {status}")), "{told}");
}

#[test]
fn an_answer_is_given_again_while_it_is_fresh() {
    let (gateway, orders) = keeping("\"60s\"");
    let first = gateway.get("/orders/1?a=1&b=2");
    assert_cache(&first, "fwd=uri-miss; stored");
    assert_eq!(first.header("age"), None);
    let second = gateway.get("/orders/1?b=2&a=1");
    assert_cache(&second, "hit; ttl=");
    assert_eq!(second.header("age"), Some("0"));
    assert_eq!(first.body, second.body);
    assert_ne!(first.header("x-request-id"), second.header("x-request-id"));
    assert_eq!(orders.requests().len(), 1);
    let lines = gateway.wait_access_log(2);
    assert_eq!(
        (&lines[0]["cache"], &lines[1]["cache"]),
        (&"miss".into(), &"hit".into())
    );
    assert_eq!(
        (&lines[1]["attempts"], &lines[1]["target"]),
        (&0.into(), &serde_json::Value::Null)
    );
    let count = |result: &str| {
        let result = format!("result=\"{result}\"");
        gateway.metric("gateway_cache_total", &["route=\"all\"", &result])
    };
    assert_eq!((count("miss"), count("hit")), (1, 1));
    assert_eq!(
        gateway.metric("gateway_cache_entries", &["zone=\"default\""]),
        1
    );
}

#[test]
fn head_conditions_and_ranges_are_answered_from_what_is_kept() {
    let (gateway, orders) = keeping("{}");
    let script = saying("max-age=60", "0123456789").header("etag", "\"one\"");
    orders.always(script.header("last-modified", "Mon, 01 Jan 2024 00:00:00 GMT"));
    assert_eq!(gateway.get("/").text(), "0123456789");
    let head = gateway.request("HEAD", "/", &[], b"");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("10"))
    );
    for condition in [
        ("if-none-match", "W/\"one\", \"two\""),
        ("if-modified-since", "Tue, 02 Jan 2024 00:00:00 GMT"),
    ] {
        let answer = gateway.request("GET", "/", &[condition], b"");
        assert_eq!(
            (answer.status, answer.header("etag")),
            (304, Some("\"one\"")),
            "{condition:?}"
        );
    }
    let part = gateway.request("GET", "/", &[("range", "bytes=2-4")], b"");
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(part.header("content-range"), Some("bytes 2-4/10"));
    let parts = gateway.request("GET", "/", &[("range", "bytes=0-1,8-9")], b"");
    let kind = parts.header("content-type").unwrap_or_default().to_owned();
    assert!(
        parts.status == 206 && kind.starts_with("multipart/byteranges"),
        "{kind}"
    );
    assert!(parts.text().contains("01") && parts.text().contains("89"));
    let beyond = gateway.request("GET", "/", &[("range", "bytes=10-")], b"");
    assert_eq!(beyond.status, 416);
    let other = [("range", "bytes=2-4"), ("if-range", "\"two\"")];
    assert_eq!(gateway.request("GET", "/", &other, b"").status, 200);
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn a_first_request_for_a_part_or_a_head_fetches_the_whole() {
    let (gateway, orders) = keeping("{}");
    orders.always(saying("max-age=60", "0123456789"));
    let part = gateway.request("GET", "/part", &[("range", "bytes=2-4")], b"");
    assert_eq!((part.status, part.text().as_str()), (206, "234"));
    assert_eq!(gateway.request("HEAD", "/head", &[], b"").status, 200);
    for (path, method) in [("/part", "GET"), ("/head", "GET")] {
        assert_eq!(gateway.get(path).text(), "0123456789");
        let asked = orders
            .requests()
            .into_iter()
            .find(|one| one.target == path)
            .unwrap();
        assert_eq!(
            (asked.method.as_str(), asked.header("range")),
            (method, None)
        );
    }
    assert_eq!(orders.requests().len(), 2);
}

#[test]
fn a_stale_answer_is_confirmed_and_takes_over_what_the_confirmation_says() {
    let (gateway, orders) = keeping("{}");
    let first = saying("max-age=0", "stored")
        .header("etag", "\"one\"")
        .header("x-a", "1");
    orders.once(first.header("x-b", "1"));
    assert_eq!(gateway.get("/").text(), "stored");
    let again = Script::status(304)
        .header("etag", "\"one\"")
        .header("x-a", "2");
    orders.once(again.header("cache-control", "max-age=60"));
    let confirmed = gateway.get("/");
    assert_eq!(
        (confirmed.status, confirmed.text().as_str()),
        (200, "stored")
    );
    assert_eq!(
        (confirmed.header("x-a"), confirmed.header("x-b")),
        (Some("2"), Some("1"))
    );
    assert_cache(&confirmed, "fwd=stale; fwd-status=304; stored");
    assert_eq!(orders.last().header("if-none-match"), Some("\"one\""));
    let hit = gateway.get("/");
    assert_eq!(
        (hit.text().as_str(), hit.header("x-a")),
        ("stored", Some("2"))
    );
    assert_cache(&hit, "hit");
    assert_eq!(orders.requests().len(), 2);
}

#[test]
fn clients_may_ask_for_more_than_what_is_kept() {
    let (gateway, orders) = keeping("\"60s\"");
    let ask = |control: &str| gateway.request("GET", "/", &[("cache-control", control)], b"");
    let none = ask("only-if-cached");
    assert_eq!(
        (none.status, none.code().as_str()),
        (504, "cache.nothing-stored")
    );
    assert_eq!(ask("max-age=60").status, 200);
    assert_cache(&ask("only-if-cached"), "hit");
    assert_cache(&ask("no-cache"), "fwd=request");
    assert_cache(&ask("min-fresh=100"), "fwd=request");
    let passed = ask("no-store");
    assert_cache(&passed, "fwd=bypass; detail=no-store");
    assert_eq!(orders.requests().len(), 4);
}

#[test]
fn what_changes_a_resource_takes_its_answers_out() {
    let (gateway, orders) = keeping("\"60s\"");
    let fill = || {
        for path in ["/a?x=1", "/b", "/c"] {
            assert_eq!(gateway.get(path).status, 200);
        }
    };
    fill();
    let host = gateway.addr();
    let moved = Script::status(201).header("location", &format!("http://{host}/b"));
    orders.once(moved.header("content-location", "http://elsewhere.example/c"));
    assert_eq!(gateway.request("POST", "/a?x=1", &[], b"").status, 201);
    let before = orders.requests().len();
    fill();
    assert_eq!(
        orders.requests().len(),
        before + 2,
        "`/c` is of another origin"
    );
    orders.once(Script::status(500));
    assert_eq!(gateway.request("DELETE", "/c", &[], b"").status, 500);
    assert_cache(&gateway.get("/c"), "hit");
}

#[test]
fn errors_are_kept_only_where_somebody_says_so() {
    let (gateway, orders) = keeping("{ ttl = \"60s\", ttl-by-status = { \"404\" = \"60s\" } }");
    for (status, asked) in [(404, 1), (500, 2), (403, 2)] {
        orders.always(Script::status(status));
        let before = orders.requests().len();
        for _ in 0..2 {
            assert_eq!(gateway.get(&format!("/{status}")).status, status);
        }
        assert_eq!(orders.requests().len() - before, asked, "{status}");
    }
}

#[test]
fn what_is_too_large_is_passed_on_whole_and_not_kept() {
    let (gateway, orders) = keeping("{ ttl = \"60s\", object-max = \"64KiB\" }");
    let large = vec![b'x'; 3 << 20];
    let pieces: Vec<&[u8]> = large.chunks(10_000).collect();
    for (path, script) in [
        ("/sized", Script::answer(200, large.clone())),
        ("/chunked", Script::chunks(pieces)),
    ] {
        orders.on(path, script);
        for _ in 0..2 {
            let answer = gateway.get(path);
            assert_eq!((answer.status, answer.body.len()), (200, large.len()));
        }
    }
    assert_eq!(orders.requests().len(), 4);
    assert_eq!(
        gateway.metric("gateway_cache_bytes", &["zone=\"default\""]),
        0
    );
    orders.on("/fits", Script::answer(200, vec![b'x'; 64 << 10]));
    orders.on("/over", Script::answer(200, vec![b'x'; (64 << 10) + 1]));
    for path in ["/fits", "/over"] {
        assert_cache(&gateway.get(path), "fwd=uri-miss");
    }
    assert_cache(&gateway.get("/fits"), "hit");
    assert_cache(&gateway.get("/over"), "fwd=");
}

#[test]
fn a_reload_keeps_answers_unless_it_changes_what_they_are() {
    let (mut gateway, orders) = keeping("\"60s\"");
    assert_eq!(gateway.get("/a").status, 200);
    gateway.rewrite_and_wait(config(&routes("{ ttl = \"30s\" }"), &orders));
    assert_cache(&gateway.get("/a"), "hit");
    let rewritten = format!("{}rewrite = \"/other\"\n", routes("\"60s\""));
    gateway.rewrite_and_wait(config(&rewritten, &orders));
    assert_cache(&gateway.get("/a"), "fwd=uri-miss");
    assert_eq!(orders.last().target, "/other");
    let none = "[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n";
    gateway.rewrite_and_wait(config(none, &orders));
    let plain = gateway.get("/a");
    assert_eq!(plain.header("cache-status"), None);
    assert_eq!(
        gateway.metric("gateway_cache_bytes", &["zone=\"default\""]),
        0
    );
}

#[test]
fn both_protocols_share_what_is_kept() {
    let (gateway, orders) = keeping("\"60s\"");
    assert_eq!(gateway.get("/a").status, 200);
    let authority = gateway.addr().to_string();
    let request = H2Request::new("GET", "/a").authority(&authority);
    let answer = H2c::connect(gateway.addr()).request(request);
    assert_cache(&answer, "hit");
    assert_eq!(orders.requests().len(), 1);
}
