//! What a route does: redirect, respond, dispatch, split; and what it inherits by `like`, `[defaults]` and `[always]`.

use harness::{Backend, Config, Gateway, H2Request, H2c};

use crate::fixture::{answering, assert_refused, assert_usable, gateway};

/// A gateway in front of two backends that call themselves by their upstream's name.
fn two(routes: &str) -> (Gateway, Backend, Backend) {
    let (stable, canary) = (Backend::named("stable"), Backend::named("canary"));
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n\
         [upstream.stable]\ntargets = [\"@upstream.stable@\"]\n\
         [upstream.canary]\ntargets = [\"@upstream.canary@\"]\n{routes}"
    );
    let config = Config::new(text)
        .upstream("stable", stable.addr())
        .upstream("canary", canary.addr());
    (Gateway::start(config), stable, canary)
}

#[test]
fn redirects_with_values_of_the_request() {
    let gateway = answering(
        r#"
        [route.old]
        match = "GET /old/{rest*}"
        redirect = { to = "https://www.example.com/new/{path.rest}" }
        [route.moved]
        match = "/moved/{id}"
        redirect = { to = "/orders/{path.id}?from={query.ref}", status = 302 }
        [route.host]
        match = "/secure"
        redirect = { to = "https://{host}/secure", status = 301 }
        "#,
    );
    let mut client = gateway.client();
    for (path, status, location) in [
        ("/old/a/b", 308, "https://www.example.com/new/a/b"),
        ("/old/", 308, "https://www.example.com/new/"),
        (
            "/old//a%7e/./b?x=y",
            308,
            "https://www.example.com/new/a~/b",
        ),
        ("/moved/7?ref=a", 302, "/orders/7?from=a"),
        (
            "/moved/7?ref=a%26b%0d%0aSet-Cookie:x",
            302,
            "/orders/7?from=a%26b%0D%0ASet-Cookie:x",
        ),
        ("/moved/a%20b?ref=", 302, "/orders/a%20b?from="),
    ] {
        let answer = client.get(path);
        assert_eq!(
            (answer.status, answer.header("location")),
            (status, Some(location)),
            "{path}"
        );
        assert_eq!(answer.body.len(), 0);
        assert!(!answer.headers.has("set-cookie"));
    }
    let answer = client.request("GET", "/secure", &[("Host", "Shop.example.com:80")], b"");
    assert_eq!(
        answer.header("location"),
        Some("https://shop.example.com/secure")
    );
    assert_refused(&client.get("/moved/7"), 400, "request.value-missing");
    assert_refused(
        &client.get("/moved/7?ref=a&ref=b"),
        400,
        "request.value-unfit",
    );
    let h2 = H2c::connect(gateway.addr()).get("/moved/7?ref=a");
    assert_eq!(
        (h2.status, h2.header("location")),
        (302, Some("/orders/7?from=a"))
    );
}

#[test]
fn a_redirect_never_leads_where_the_client_wants() {
    let gateway =
        answering("[route.rest]\nmatch = \"/go/{rest*}\"\nredirect = { to = \"/{path.rest}\" }\n");
    let mut client = gateway.client();
    for path in [
        "/go//evil.example/x",
        "/go/%2f%2fevil.example",
        "/go/..//evil.example",
        "/go/%5Cevil",
    ] {
        let answer = client.get(path);
        let location = answer.header("location").unwrap_or_default();
        assert!(
            !location.starts_with("//") && !location.starts_with("/\\"),
            "{path}: {location}"
        );
    }
    assert_eq!(client.get("/go/a").header("location"), Some("/a"));
}

#[test]
fn responds_with_status_headers_and_body() {
    let text = r#"
        [listener.public]
        address = "@address.public@"
        [route.text]
        match = "/text"
        respond = { body = "hello" }
        [route.json]
        match = "/json"
        respond = { status = 503, body = "{}", headers = { content-type = "application/json", retry-after = "60" } }
        [route.empty]
        match = "/empty"
        respond = { status = 204 }
        [route.file]
        match = "/file"
        respond = { body-file = "file:pages/sorry.html", headers = { content-type = "text/html" } }
        [route.bytes]
        match = "/bytes"
        respond = { body-file = "file:pages/sorry.html" }
    "#;
    let page = "<h1>sorry</h1>\n".repeat(10_000);
    let gateway = Gateway::start(Config::new(text).file("pages/sorry.html", page.as_str()));
    let mut client = gateway.client();
    let mut h2 = H2c::connect(gateway.addr());
    for answer in [client.get("/text"), h2.get("/text")] {
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        assert_eq!(
            answer.header("content-type"),
            Some("text/plain; charset=utf-8")
        );
        assert_eq!(answer.headers.all("content-length"), ["5"]);
        assert_eq!(answer.headers.all("x-request-id").len(), 1);
    }
    for answer in [client.get("/json"), h2.get("/json")] {
        assert_eq!((answer.status, answer.text().as_str()), (503, "{}"));
        assert_eq!(answer.headers.all("content-type"), ["application/json"]);
        assert_eq!(answer.header("retry-after"), Some("60"));
    }
    for answer in [client.get("/empty"), h2.get("/empty")] {
        assert_eq!((answer.status, answer.body.len()), (204, 0));
        assert!(!answer.headers.has("content-length"));
    }
    for answer in [client.get("/file"), h2.get("/file")] {
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some("text/html"))
        );
        assert!(answer.text() == page);
    }
    let bytes = client.get("/bytes");
    assert_eq!(
        bytes.header("content-type"),
        Some("application/octet-stream")
    );
    let head = client.request("HEAD", "/text", &[], b"");
    assert_eq!(
        (head.status, head.header("content-length"), head.body.len()),
        (200, Some("5"), 0)
    );
    let posted = client.request("POST", "/text", &[], b"whatever");
    assert_eq!(posted.text(), "hello");
    assert_usable(&mut client, "/text");
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["route"], &line["status"]),
        (&"text".into(), &200.into())
    );
    assert!(line.get("upstream").is_none() && line.get("code").is_none());
}

#[test]
fn dispatches_by_a_value() {
    let (gateway, stable, canary) = two(r#"
        [route.tenant]
        match = "{tenant}.example.com/**"
        upstream = { by = "host.tenant", map = { acme = "stable", globex = "canary" } }
        [route.otherwise]
        match = "/by-header"
        upstream = { by = "header.x-to", map = { canary = "canary" }, otherwise = "stable" }
        "#);
    let mut client = gateway.client();
    let mut tenant = |host: &str| client.request("GET", "/", &[("Host", host)], b"");
    assert_eq!(
        tenant("acme.example.com").header("x-backend"),
        Some("stable")
    );
    assert_eq!(
        tenant("GLOBEX.example.com").header("x-backend"),
        Some("canary")
    );
    assert_refused(&tenant("initech.example.com"), 404, "dispatch.no-match");
    assert_eq!(tenant("acme.example.com").status, 200);

    let mut by_header =
        |headers: &[(&str, &str)]| client.request("GET", "/by-header", headers, b"");
    assert_eq!(
        by_header(&[("X-To", "canary")]).header("x-backend"),
        Some("canary")
    );
    assert_eq!(
        by_header(&[("X-To", "elsewhere")]).header("x-backend"),
        Some("stable")
    );
    assert_eq!(by_header(&[]).header("x-backend"), Some("stable"));
    let before = (stable.requests().len(), canary.requests().len());
    let repeated = by_header(&[("X-To", "canary"), ("X-To", "stable")]);
    assert_refused(&repeated, 400, "route.ambiguous");
    assert_eq!((stable.requests().len(), canary.requests().len()), before);
    let lines = gateway.wait_access_log(8);
    assert_eq!(
        (&lines[0]["upstream"], &lines[1]["upstream"]),
        (&"stable".into(), &"canary".into())
    );
    assert!(lines[2].get("upstream").is_none());
}

const SPLIT: &str = r#"
    [route.sticky]
    match = "/sticky"
    split = { to = { stable = 50, canary = 50 }, sticky = "cookie.user" }
    [route.all]
    match = "/all"
    split = { to = { stable = 100, canary = 0 } }
    [route.cohort]
    match = "/cohort"
    split = { to = { stable = 1, canary = 0 }, pick = { canary = { header = { x-cohort = "beta" } } } }
"#;

#[test]
fn a_split_sticks_to_its_value() {
    let (first, _stable, _canary) = two(SPLIT);
    let (second, _other_stable, _other_canary) = two(SPLIT);
    let mut arms = Vec::new();
    for user in 0..40 {
        let cookie = format!("theme=dark; user=user-{user}");
        let headers = [("Cookie", cookie.as_str())];
        let mut client = first.client();
        let arm = |answer: harness::Response| answer.header("x-backend").unwrap().to_owned();
        let one = arm(client.request("GET", "/sticky", &headers, b""));
        assert_eq!(
            arm(client.request("GET", "/sticky?again", &headers, b"")),
            one
        );
        // Another instance, that has never heard of the first, decides the same.
        assert_eq!(arm(second.request("GET", "/sticky", &headers, b"")), one);
        arms.push(one);
    }
    assert!(arms.contains(&"stable".to_owned()) && arms.contains(&"canary".to_owned()));
}

#[test]
fn a_weight_of_zero_gets_nothing_but_what_is_picked() {
    let (gateway, stable, canary) = two(SPLIT);
    let mut client = gateway.client();
    for _ in 0..30 {
        assert_eq!(client.get("/all").header("x-backend"), Some("stable"));
    }
    assert_eq!((stable.requests().len(), canary.requests().len()), (30, 0));
    let mut cohort = |headers: &[(&str, &str)]| client.request("GET", "/cohort", headers, b"");
    assert_eq!(
        cohort(&[("X-Cohort", "beta")]).header("x-backend"),
        Some("canary")
    );
    assert_eq!(
        cohort(&[("X-Cohort", "alpha")]).header("x-backend"),
        Some("stable")
    );
    assert_eq!(cohort(&[]).header("x-backend"), Some("stable"));
    let repeated = cohort(&[("X-Cohort", "beta"), ("X-Cohort", "alpha")]);
    assert_refused(&repeated, 400, "route.ambiguous");
    let h2 = H2Request::new("GET", "/cohort").header("x-cohort", "beta");
    assert_eq!(
        H2c::connect(gateway.addr()).request(h2).header("x-backend"),
        Some("canary")
    );
}

#[test]
fn like_copies_a_route_but_for_what_it_says_itself() {
    let (gateway, orders) = gateway(
        r#"
        [route.orders]
        match = "/orders/**"
        upstream = "orders"
        strip-prefix = "/orders"
        protect = { methods = ["GET"] }
        headers = { request = { set = { x-from = "orders" } } }
        [route.legacy]
        like = "orders"
        match = "/legacy/**"
        strip-prefix = "/legacy"
        headers = { request = { set = { x-from = "legacy" } } }
        "#,
    );
    let mut client = gateway.client();
    assert_eq!(client.get("/legacy/7").status, 200);
    let seen = orders.last();
    assert_eq!(
        (seen.target.as_str(), seen.header("x-from")),
        ("/7", Some("legacy"))
    );
    let refused = client.request("DELETE", "/legacy/7", &[], b"");
    assert_refused(&refused, 405, "protect.method");
    assert_eq!(client.get("/orders/7").status, 200);
    assert_eq!(orders.last().header("x-from"), Some("orders"));
}

#[test]
fn defaults_may_be_replaced_and_dropped_but_always_stays() {
    let (gateway, orders) = gateway(
        r#"
        [defaults]
        protect = { body-max = "4B" }
        headers = { response = { set = { x-default = "1", x-both = "default" } } }
        [always]
        protect = { methods = ["GET", "POST"] }
        [route.plain]
        match = "/plain"
        upstream = "orders"
        [route.replaced]
        match = "/replaced"
        upstream = "orders"
        protect = { body-max = "8B" }
        headers = { response = { set = { x-both = "own" } } }
        [route.dropped]
        match = "/dropped"
        upstream = "orders"
        protect = "none"
        headers = "none"
        "#,
    );
    let mut client = gateway.client();
    let mut post = |path: &str, body: &[u8]| client.request("POST", path, &[], body);
    assert_eq!(post("/plain", b"1234").status, 200);
    assert_refused(&post("/plain", b"12345"), 413, "protect.body-too-large");
    assert_eq!(post("/replaced", b"12345678").status, 200);
    assert_refused(
        &post("/replaced", b"123456789"),
        413,
        "protect.body-too-large",
    );
    assert_eq!(post("/dropped", b"123456789").status, 200);
    assert_eq!(orders.requests().len(), 3);
    for path in ["/plain", "/replaced", "/dropped"] {
        let answer = client.request("DELETE", path, &[], b"");
        assert_refused(&answer, 405, "protect.method");
    }
    let both = |path: &str| {
        let answer = gateway.get(path);
        let header = |name| answer.header(name).unwrap_or_default().to_owned();
        (header("x-default"), header("x-both"))
    };
    let pair = |one: &str, two: &str| (one.to_owned(), two.to_owned());
    assert_eq!(both("/plain"), pair("1", "default"));
    assert_eq!(both("/replaced"), pair("1", "own"), "headers merge by name");
    assert_eq!(both("/dropped"), pair("", ""));
}

#[test]
fn a_default_timeout_reaches_routes_that_say_none() {
    let orders = Backend::start();
    orders.always(harness::Script::stall());
    let gateway = Gateway::start(crate::fixture::config(
        "[defaults]\ntimeout = \"40ms\"\n[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n",
        &orders,
    ));
    assert_refused(&gateway.get("/"), 504, "request.timeout");
}
