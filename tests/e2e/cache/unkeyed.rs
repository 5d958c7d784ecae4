//! What shapes an answer and is in no key: it chooses no answer of somebody else's, nor is what it shaped given to others.

use harness::{Authority, Backend, Client, Gateway, H2Request, H2c, Response, Script, Tls, raw};

use harness::tokens::{ISSUER, claims, secret_token};
use serde_json::json;

use super::{assert_cache, keeping, routes, saying};
use crate::fixture::{config, config_with};

const SECRET: &str = "a secret of at least thirty-two bytes";

fn trusting(cache: &str) -> (Gateway, Backend) {
    let orders = Backend::start();
    let trusted = "trusted-proxies = [\"127.0.0.0/8\"]";
    let gateway = Gateway::start(config_with(trusted, "", &routes(cache), &orders));
    (gateway, orders)
}

fn ask(gateway: &Gateway, fields: &[(&str, &str)]) -> Response {
    gateway.request("GET", "/", fields, b"")
}

#[test]
fn a_field_that_ends_at_this_hop_chooses_no_answer() {
    let (gateway, orders) = keeping("{}");
    let script = saying("max-age=60", "for nobody's language");
    orders.once(script.header("vary", "accept-language"));
    // The origin does not see the language, and answers as if there were none.
    let german = ("accept-language", "de");
    let poisoned = ask(&gateway, &[german, ("connection", "accept-language")]);
    assert_cache(&poisoned, "fwd=bypass; detail=connection");
    assert_eq!(orders.last().header("accept-language"), None);
    let script = saying("max-age=60", "German");
    orders.once(script.header("vary", "accept-language"));
    assert_eq!(ask(&gateway, &[german]).text(), "German");
    assert_cache(&ask(&gateway, &[german]), "hit");
}

#[test]
fn a_value_that_ends_at_this_hop_makes_no_key() {
    let (gateway, orders) = keeping("{ ttl = \"60s\", vary-on = [\"header.x-tenant\"] }");
    let tenant = ("x-tenant", "a");
    let poisoned = ask(&gateway, &[tenant, ("connection", "X-Tenant")]);
    assert_cache(&poisoned, "fwd=bypass; detail=connection");
    assert_eq!(orders.last().header("x-tenant"), None);
    assert_cache(&ask(&gateway, &[tenant]), "fwd=uri-miss; stored");
    // Nor does it get what is stored for others.
    let asked = ask(&gateway, &[tenant, ("connection", "close, x-tenant")]);
    assert_cache(&asked, "fwd=bypass; detail=connection");
    assert_cache(
        &ask(&gateway, &[tenant, ("connection", "keep-alive")]),
        "hit",
    );
}

#[test]
fn credentials_that_end_at_this_hop_are_credentials() {
    let (gateway, orders) = keeping("\"60s\"");
    for name in ["cookie", "authorization"] {
        let answer = ask(&gateway, &[(name, "secret"), ("connection", name)]);
        assert_cache(&answer, "fwd=bypass; detail=connection");
    }
    assert_cache(&ask(&gateway, &[]), "fwd=uri-miss; stored");
    assert_eq!(orders.requests().len(), 3);
}

#[test]
fn what_the_gateway_says_itself_is_nobodys_choice() {
    let (gateway, orders) = keeping("{}");
    let varying = |on: &str| saying("max-age=60", "").header("vary", on);
    for on in ["x-forwarded-for", "X-Request-Id", "via"] {
        orders.always(varying(on));
        let path = format!("/{on}");
        for _ in 0..3 {
            let told = gateway.get(&path);
            let told = told.header("cache-status").unwrap_or_default();
            assert!(
                told.starts_with("gateway; fwd=") && !told.contains("stored;"),
                "{told}"
            );
            assert!(!told.ends_with("stored"), "{told}");
        }
    }
    // These two are in every key.
    orders.always(varying("x-forwarded-proto, X-Forwarded-Host, host"));
    assert_cache(&ask(&gateway, &[]), "fwd=uri-miss; stored");
    let forged = [("x-forwarded-host", "b"), ("x-forwarded-proto", "https")];
    ask(&gateway, &forged);
    assert_cache(&ask(&gateway, &[]), "hit");
}

#[test]
fn what_the_gateway_says_of_who_asks_is_nobodys_choice() {
    let orders = Backend::start();
    let text = format!(
        "[auth.idp]\nidentity-headers = {{ x-user = \"claim.sub\" }}\n\
         jwt = {{ secret = \"env:JWT_SECRET\", issuer = \"{ISSUER}\", audience = [\"orders\"], \
         algorithms = [\"HS256\"] }}\n{}auth = \"idp\"\n",
        routes("{}")
    );
    let gateway = Gateway::start(config(&text, &orders).env("JWT_SECRET", SECRET));
    for (subject, forged) in [("alice", "bob"), ("bob", "alice")] {
        let token = secret_token(SECRET.as_bytes(), &claims(&json!({ "sub": subject })));
        let bearer = format!("Bearer {token}");
        // An origin that believes in `Vary`, and in the field that the gateway sends it.
        let script = saying("public, max-age=60", subject);
        orders.once(script.header("vary", "x-user"));
        let fields = [("authorization", &*bearer), ("x-user", forged)];
        let answer = gateway.request("GET", "/me", &fields, b"");
        assert_eq!(answer.text(), subject);
        assert_eq!(orders.last().header("x-user"), Some(subject));
    }
    assert_eq!(orders.requests().len(), 2);
}

#[test]
fn what_a_trusted_proxy_says_of_the_url_is_part_of_it() {
    let (gateway, orders) = trusting("\"60s\"");
    for name in [
        "x-forwarded-host",
        "x-original-url",
        "x-rewrite-url",
        "x-original-host",
        "x-http-method-override",
        "x-forwarded-prefix",
        "x-forwarded-port",
    ] {
        let path = format!("/{name}");
        let ask = |fields: &[(&str, &str)]| gateway.request("GET", &path, fields, b"");
        orders.on(&path, Script::answer(200, "one"));
        assert_eq!(ask(&[(name, "one")]).text(), "one");
        assert_eq!(orders.last().header(name), Some("one"));
        orders.on(&path, Script::answer(200, "two"));
        assert_eq!(ask(&[(name, "two")]).text(), "two", "{name}");
        orders.on(&path, Script::answer(200, "none"));
        assert_eq!(ask(&[]).text(), "none", "{name}");
        assert_eq!(ask(&[(name, "one")]).text(), "one", "{name}");
        assert_eq!(ask(&[(name, "two")]).text(), "two", "{name}");
    }
    let ask = |element: &str| gateway.request("GET", "/forwarded", &[("forwarded", element)], b"");
    orders.on("/forwarded", Script::answer(200, "a"));
    assert_eq!(ask("for=192.0.2.1;host=a.example").text(), "a");
    orders.on("/forwarded", Script::answer(200, "b"));
    assert_eq!(ask("for=192.0.2.1;Host=b.example").text(), "b");
    assert_eq!(ask("for=192.0.2.2;host=a.example").text(), "a");
}

#[test]
fn what_is_not_in_the_key_stays_away_where_nothing_was_stored_lately() {
    let (gateway, orders) = keeping("{ query = { drop = [\"utm_*\"] } }");
    orders.once(saying("private", "yours"));
    assert_cache(&gateway.get("/"), "fwd=uri-miss; detail=private");
    // The cache expects to be of no use here, and is surprised.
    orders.once(saying("max-age=60", "for all"));
    assert_eq!(gateway.get("/?utm_source=evil").text(), "for all");
    assert_eq!(orders.last().target, "/");
    assert_cache(&gateway.get("/"), "hit");
}

#[test]
fn a_value_said_twice_makes_no_key() {
    let (gateway, orders) = keeping("{ ttl = \"60s\", vary-on = [\"header.x-tenant\"] }");
    let asked = ask(&gateway, &[("x-tenant", "a"), ("x-tenant", "b")]);
    assert_cache(&asked, "fwd=bypass; detail=ambiguous");
    assert_cache(&ask(&gateway, &[("x-tenant", "a")]), "fwd=uri-miss");
    assert_cache(&ask(&gateway, &[("x-tenant", "b")]), "fwd=uri-miss");
    assert_eq!(orders.requests().len(), 3);
}

#[test]
fn a_body_of_any_framing_passes_by() {
    let (gateway, orders) = keeping("\"60s\"");
    let host = format!("host: {}\r\nconnection: close\r\n", gateway.addr());
    for (head, body) in [
        (
            "GET / HTTP/1.1\r\ntransfer-encoding: chunked\r\n",
            "1\r\nx\r\n0\r\n\r\n",
        ),
        ("HEAD / HTTP/1.1\r\ncontent-length: 4\r\n", "evil"),
        ("GET / HTTP/1.1\r\ncontent-length: 4\r\n", "evil"),
    ] {
        let said = raw(gateway.addr(), format!("{head}{host}\r\n{body}").as_bytes());
        assert_eq!(said.status(), Some(200), "{head}");
        assert!(
            said.text().contains("fwd=bypass; detail=body"),
            "{}",
            said.text()
        );
    }
    let request = H2Request::new("GET", "/").authority(&gateway.addr().to_string());
    let answer = H2c::connect(gateway.addr()).request(request.body("evil"));
    assert_cache(&answer, "fwd=bypass; detail=body");
    assert_cache(&gateway.get("/"), "fwd=uri-miss");
    assert_eq!(orders.requests().len(), 5);
}

#[test]
fn a_condition_of_one_client_is_not_the_answer_of_all() {
    let (gateway, orders) = keeping("\"60s\"");
    orders.always(saying("max-age=60", "whole").header("etag", "\"a\""));
    for (name, value) in [
        ("if-none-match", "\"a\""),
        ("if-modified-since", "Tue, 02 Jan 2024 00:00:00 GMT"),
        ("if-match", "\"z\""),
        ("if-unmodified-since", "Mon, 01 Jan 2001 00:00:00 GMT"),
        ("range", "bytes=1-2"),
        ("if-range", "\"a\""),
    ] {
        let path = format!("/{name}");
        gateway.request("GET", &path, &[(name, value)], b"");
        let asked = orders.last();
        let next = gateway.get(&path);
        assert_eq!(
            (next.status, next.text().as_str()),
            (200, "whole"),
            "{name}"
        );
        assert_eq!(
            asked.header(name).filter(|_| name != "if-range"),
            None,
            "{name}"
        );
    }
}

#[test]
fn the_host_that_counts_is_the_host_that_is_sent() {
    let (gateway, orders) = keeping("\"60s\"");
    let get = |target: &str, host: &str| {
        let head = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        raw(gateway.addr(), head.as_bytes())
    };
    // Two names for one request: refused, or the one that counts is the one that is sent.
    let told = get("http://a.example/x", "b.example");
    if told.status() == Some(200) {
        assert_eq!(orders.last().header("host"), Some("a.example"));
    }
    let asked = orders.requests().len();
    let honest = get("/x", "b.example");
    assert!(honest.text().contains("fwd=uri-miss"), "{}", honest.text());
    assert_eq!(orders.requests().len(), asked + 1);
    let mixed = H2Request::new("GET", "/y").authority("a.example");
    let answer = H2c::connect(gateway.addr()).try_request(mixed.header("host", "c.example"));
    if answer.is_ok_and(|answer| answer.status == 200) {
        assert_eq!(orders.last().header("host"), Some("a.example"));
    }
    let honest = get("/y", "c.example");
    assert!(honest.text().contains("fwd=uri-miss"), "{}", honest.text());
    for odd in [
        "a.example:80:80",
        "a.example@b.example",
        "a.example/b",
        "a.example, b.example",
    ] {
        assert_eq!(get("/z", odd).status(), Some(400), "{odd}");
    }
}

#[test]
fn a_host_in_another_spelling_is_what_the_upstream_sees() {
    let (gateway, orders) = keeping("\"60s\"");
    let get = |host: &str| gateway.request("GET", "/", &[("host", host)], b"");
    // An upstream that knows its name in one spelling only.
    for odd in ["A.example", "a.example.", "a.EXAMPLE:80"] {
        orders.once(Script::answer(200, "no such site"));
        assert_eq!(get(odd).text(), "no such site");
        assert_eq!(orders.last().header("host"), Some(odd));
    }
    orders.always(Script::answer(200, "the site"));
    for host in ["a.example", "a.example:80"] {
        assert_eq!(get(host).text(), "the site");
        assert_cache(&get(host), "hit");
    }
    assert_cache(&get("A.example"), "hit");
    let purged = gateway.admin_post("/purge?url=http://a.example/");
    assert_eq!(purged.json()["purged"], 3, "in all spellings");
}

#[test]
fn the_order_of_parameters_that_may_be_one_counts() {
    let (gateway, orders) = keeping("\"60s\"");
    for query in [
        "a=1&%61=2",
        "%61=2&a=1",
        "a=1&A=2",
        "A=2&a=1",
        "a=1;b=2&b=3;a=4",
        "b=3;a=4&a=1;b=2",
    ] {
        assert_cache(&gateway.get(&format!("/?{query}")), "fwd=uri-miss");
        assert!(orders.last().target.ends_with(query));
    }
    assert_cache(&gateway.get("/?x=1&b=2&a=3"), "fwd=uri-miss");
    assert_cache(&gateway.get("/?a=3&b=2&x=1"), "hit");
}

#[test]
fn schemes_and_routes_have_answers_of_their_own() {
    let (authority, orders) = (Authority::new("site"), Backend::start());
    let identity = authority.issue(&["a.example"]);
    let text = "[listener.public]\naddress = \"@address.public@\"\n\
        [listener.secure]\naddress = \"@address.secure@\"\n\
        [listener.secure.tls]\ncertificates = [{ cert = \"file:cert.pem\", key = \"file:key.pem\" }]\n\
        [upstream.orders]\ntargets = [\"@upstream.orders@\"]\n\
        [route.beta]\nlistener = \"any\"\nmatch = { path = \"/**\", header = { x-beta = \"1\" } }\n\
        upstream = \"orders\"\ncache = \"60s\"\n\
        [route.all]\nlistener = \"any\"\nmatch = \"/**\"\nupstream = \"orders\"\ncache = \"60s\"\n";
    let config = harness::Config::new(text)
        .upstream("orders", orders.addr())
        .file("cert.pem", identity.cert.clone())
        .file("key.pem", identity.key.clone());
    let gateway = Gateway::start(config);
    let host = ("host", "a.example");
    let connect = || Client::connect(gateway.addr_of("public"));
    let secure = || Tls::new(&authority, "a.example").connect(gateway.addr_of("secure"));
    for told in ["fwd=uri-miss", "hit"] {
        assert_cache(&connect().request("GET", "/", &[host], b""), told);
        assert_cache(&secure().request("GET", "/", &[host], b""), told);
        let beta = [host, ("x-beta", "1")];
        assert_cache(&connect().request("GET", "/", &beta, b""), told);
    }
    assert_eq!(orders.requests().len(), 3);
}

#[test]
fn a_hit_counts_against_limits_like_a_miss() {
    let orders = Backend::start();
    let limited = format!(
        "{}rate-limit = {{ rate = \"3/h\", key = \"client.ip\" }}\n",
        routes("\"60s\"")
    );
    let gateway = Gateway::start(config(&limited, &orders));
    let statuses: Vec<u16> = (0..5).map(|_| gateway.get("/").status).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    assert_eq!(orders.requests().len(), 1);
}
