//! Which route takes a request: hosts, paths, methods, conditions, listeners; and what is said when none does.

use harness::{Backend, Client, Config, Gateway, H2Request, H2c, Response};

use crate::fixture::{answering, assert_refused, assert_usable, gateway};

/// A request for a host on a new connection.
fn at_host(gateway: &Gateway, host: &str, path: &str) -> Response {
    gateway.request("GET", path, &[("Host", host)], b"")
}

#[test]
fn an_exact_host_goes_before_a_wildcard_and_that_before_any() {
    let gateway = answering(
        r#"
        [route.exact]
        match = "api.example.com/**"
        respond = { body = "exact" }
        [route.wildcard]
        match = "*.example.com/**"
        respond = { body = "wildcard" }
        [route.everyone]
        match = "/**"
        respond = { body = "any" }
        "#,
    );
    for (host, route) in [
        ("api.example.com", "exact"),
        ("API.Example.com:8080", "exact"),
        ("api.example.com.", "exact"),
        ("www.example.com", "wildcard"),
        ("a.b.example.com", "any"),
        ("example.com", "any"),
        ("127.0.0.1", "any"),
    ] {
        assert_eq!(at_host(&gateway, host, "/x").text(), route, "{host}");
    }
    let authority = H2Request::new("GET", "/x").authority("www.example.com");
    let answer = H2c::connect(gateway.addr()).request(authority);
    assert_eq!(answer.text(), "wildcard");
}

#[test]
fn a_host_without_the_path_leaves_it_to_less_specific_hosts() {
    let gateway = answering(
        r#"
        [route.exact]
        match = "api.example.com/only"
        respond = { body = "exact" }
        [route.everyone]
        match = "/{name}"
        respond = { body = "any" }
        "#,
    );
    assert_eq!(
        at_host(&gateway, "api.example.com", "/only").text(),
        "exact"
    );
    assert_eq!(at_host(&gateway, "api.example.com", "/else").text(), "any");
}

#[test]
fn captures_label_segment_and_rest() {
    let gateway = answering(
        r#"
        [route.file]
        match = "{tenant}.example.com/files/{id}/{rest*}"
        respond = {}
        headers = { response = { set = {
            x-tenant = "{host.tenant}", x-id = "{path.id}", x-rest = "{path.rest}"
        } } }
        "#,
    );
    let answer = at_host(&gateway, "Acme.example.com", "/files/7/a/b.txt");
    assert_eq!(answer.header("x-tenant"), Some("acme"));
    assert_eq!(answer.header("x-id"), Some("7"));
    assert_eq!(answer.header("x-rest"), Some("a/b.txt"));
}

#[test]
fn a_rest_matches_its_root_and_below_but_no_sibling() {
    let gateway = answering("[route.a]\nmatch = \"/a/**\"\nrespond = {}\n");
    let mut client = gateway.client();
    for path in ["/a", "/a/", "/a/b", "/a/b/c/"] {
        assert_eq!(client.get(path).status, 200, "{path}");
    }
    for path in ["/ab", "/", "/A", "/A/b", "/b/a"] {
        assert_refused(&client.get(path), 404, "route.none");
    }
}

#[test]
fn literals_go_before_parameters_and_those_before_rests() {
    let gateway = answering(
        r#"
        [route.literal]
        match = "/orders/new"
        respond = { body = "literal" }
        [route.parameter]
        match = "/orders/{id}"
        respond = { body = "parameter" }
        [route.rest]
        match = "/orders/**"
        respond = { body = "rest" }
        [route.deep]
        match = "/{kind}/new/lines"
        respond = { body = "deep" }
        "#,
    );
    let mut client = gateway.client();
    for (path, route) in [
        ("/orders/new", "literal"),
        ("/orders/7", "parameter"),
        ("/orders/new/", "rest"),
        ("/orders/7/lines", "rest"),
        ("/users/new/lines", "deep"),
    ] {
        assert_eq!(client.get(path).text(), route, "{path}");
    }
}

#[test]
fn goes_back_to_the_next_best_candidate() {
    let gateway = answering(
        r#"
        [route.literal]
        match = "/a/b/c"
        respond = { body = "literal" }
        [route.parameter]
        match = "/a/{x}/d"
        respond = { body = "parameter" }
        "#,
    );
    assert_eq!(gateway.get("/a/b/c").text(), "literal");
    assert_eq!(gateway.get("/a/b/d").text(), "parameter");
    assert_refused(&gateway.get("/a/b/e"), 404, "route.none");
}

#[test]
fn a_known_path_without_the_method_is_405_with_allow() {
    let (gateway, orders) = gateway(
        r#"
        [route.read]
        match = "GET /orders"
        upstream = "orders"
        [route.write]
        match = "POST,PUT /orders"
        upstream = "orders"
        [route.everything]
        match = "/**"
        upstream = "orders"
        "#,
    );
    let mut client = gateway.client();
    let answer = client.request("DELETE", "/orders", &[], b"");
    assert_refused(&answer, 405, "route.method");
    let mut allowed: Vec<&str> = answer.header("allow").unwrap().split(", ").collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST", "PUT"]);
    assert_eq!(orders.connections(), 0);
    assert_usable(&mut client, "/orders");
    assert_eq!(client.request("DELETE", "/other", &[], b"").status, 200);

    let answer = H2c::connect(gateway.addr()).request(H2Request::new("PATCH", "/orders"));
    assert_refused(&answer, 405, "route.method");
    assert!(answer.headers.has("allow"));
}

#[test]
fn get_brings_head() {
    let (gateway, orders) = gateway("[route.a]\nmatch = \"GET /a\"\nupstream = \"orders\"\n");
    let mut client = gateway.client();
    let answer = client.request("HEAD", "/a", &[], b"");
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert!(
        answer
            .header("content-length")
            .unwrap()
            .parse::<usize>()
            .unwrap()
            > 0
    );
    assert_eq!(orders.last().method, "HEAD");
    assert_usable(&mut client, "/a");
}

#[test]
fn methods_have_a_case() {
    let gateway = answering("[route.a]\nmatch = \"GET /a\"\nrespond = {}\n");
    assert_refused(&gateway.request("get", "/a", &[], b""), 405, "route.method");
}

const CONDITIONS: &str = r#"
    [route.tenant-v2]
    match = { path = "/x", header = { x-tenant = "acme" }, query = { v = "2" } }
    respond = { body = "tenant-v2" }
    [route.tenant]
    match = { path = "/x", header = { x-tenant = "acme" } }
    respond = { body = "tenant" }
    [route.beta]
    match = { path = "/y", cookie = { beta = "*" } }
    respond = { body = "beta" }
    [route.version]
    match = { path = "/z", query = { v = "~[0-9]+" } }
    respond = { body = "version" }
    [route.plain]
    match = "/**"
    respond = { body = "plain" }
"#;

#[test]
fn conditions_fall_through_to_the_next_candidate() {
    let gateway = answering(CONDITIONS);
    let mut client = gateway.client();
    let mut route =
        |path, headers: &[(&str, &str)]| client.request("GET", path, headers, b"").text();
    let acme = [("X-Tenant", "acme")];
    assert_eq!(route("/x?v=2", &acme), "tenant-v2");
    assert_eq!(route("/x?a=1&v=2", &acme), "tenant-v2");
    assert_eq!(route("/x?v=3", &acme), "tenant");
    assert_eq!(route("/x", &acme), "tenant");
    assert_eq!(route("/x?v=2", &[("x-tenant", "globex")]), "plain");
    assert_eq!(route("/x?v=2", &[("x_tenant", "acme")]), "plain");
    assert_eq!(route("/y", &[("Cookie", "a=b; beta=")]), "beta");
    assert_eq!(route("/y", &[("Cookie", "a=beta")]), "plain");
    assert_eq!(route("/z?v=42", &[]), "version");
    assert_eq!(route("/z?v=%34%32", &[]), "version");
    assert_eq!(route("/z?v=42a", &[]), "plain", "expressions are anchored");
}

#[test]
fn a_repeated_value_that_decides_is_400() {
    let gateway = answering(CONDITIONS);
    let mut client = gateway.client();
    for (path, headers) in [
        ("/x", &[("X-Tenant", "acme"), ("X-Tenant", "globex")][..]),
        ("/z?v=1&v=2", &[]),
        ("/z?v=1&%76=1", &[]),
        ("/y", &[("Cookie", "beta=1; beta=2")]),
        ("/y", &[("Cookie", "beta=1"), ("Cookie", "beta=2")]),
    ] {
        let answer = client.request("GET", path, headers, b"");
        assert_refused(&answer, 400, "route.ambiguous");
    }
    assert_usable(&mut client, "/elsewhere?v=1&v=2");
}

#[test]
fn redirects_to_the_form_with_or_without_slash_where_told() {
    let gateway = answering(
        r#"
        [route.without]
        match = "/without"
        respond = {}
        trailing-slash = "redirect"
        [route.with]
        match = "/with/"
        respond = {}
        trailing-slash = "redirect"
        [route.exact]
        match = "/exact"
        respond = {}
        "#,
    );
    let mut client = gateway.client();
    for (from, to) in [
        ("/without/", "/without"),
        ("/without/?a=%20b&c", "/without?a=%20b&c"),
        ("//with?x=1", "/with/?x=1"),
        ("/with?", "/with/?"),
    ] {
        let answer = client.get(from);
        assert_eq!(
            (answer.status, answer.header("location")),
            (308, Some(to)),
            "{from}"
        );
    }
    assert_eq!(client.get("/without").status, 200);
    assert_refused(&client.get("/exact/"), 404, "route.none");
}

#[test]
fn a_route_is_reached_by_its_listeners_only() {
    let gateway = Gateway::start(
        r#"
        [listener.public]
        address = "@address.public@"
        [listener.internal]
        address = "@address.internal@"
        [route.shop]
        match = "/**"
        listener = "public"
        respond = { body = "shop" }
        [route.reports]
        match = "/reports"
        listener = "internal"
        respond = { body = "reports" }
        [route.both]
        match = "/both"
        listener = "any"
        respond = { body = "both" }
        "#,
    );
    let mut public = Client::connect(gateway.addr_of("public"));
    let mut internal = Client::connect(gateway.addr_of("internal"));
    assert_eq!(public.get("/reports").text(), "shop");
    assert_eq!(internal.get("/reports").text(), "reports");
    assert_refused(&internal.get("/else"), 404, "route.none");
    assert_eq!(public.get("/both").text(), "both");
    assert_eq!(internal.get("/both").text(), "both");
    let listeners: Vec<_> = gateway
        .wait_access_log(5)
        .iter()
        .map(|line| line["listener"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        listeners.iter().filter(|name| *name == "internal").count(),
        3
    );
}

#[test]
fn a_preflight_takes_the_route_of_the_method_it_asks_about() {
    let gateway = answering(
        r#"
        [route.read]
        match = "GET /orders"
        respond = { body = "read" }
        [route.write]
        match = "PUT /orders"
        respond = { body = "write" }
        cors = { origins = ["https://app.example.com"], methods = ["PUT"] }
        "#,
    );
    let preflight = |method| {
        let headers = [
            ("Origin", "https://app.example.com"),
            ("Access-Control-Request-Method", method),
        ];
        gateway.request("OPTIONS", "/orders", &headers, b"")
    };
    assert_eq!(preflight("PUT").status, 204);
    assert_eq!(preflight("GET").text(), "read");
    assert_refused(&preflight("DELETE"), 405, "route.method");
    let plain = gateway.request("OPTIONS", "/orders", &[], b"");
    assert_refused(&plain, 405, "route.method");
}

#[test]
fn nothing_that_fits_is_404_and_reaches_no_upstream() {
    let orders = Backend::start();
    let gateway = Gateway::start(
        Config::new(
            r#"
            [listener.public]
            address = "@address.public@"
            [upstream.orders]
            targets = ["@upstream.orders@"]
            [route.orders]
            match = "api.example.com/orders/**"
            upstream = "orders"
            "#,
        )
        .upstream("orders", orders.addr()),
    );
    let mut client = gateway.client();
    let api = [("Host", "api.example.com")];
    let other = [("Host", "www.example.com")];
    assert_refused(
        &client.request("GET", "/users", &api, b""),
        404,
        "route.none",
    );
    assert_refused(
        &client.request("GET", "/orders", &other, b""),
        404,
        "route.none",
    );
    assert_eq!(client.request("GET", "/orders", &api, b"").status, 200);
    assert_eq!(orders.requests().len(), 1);
    let lines = gateway.wait_access_log(3);
    assert_eq!(
        (&lines[0]["status"], &lines[0]["code"]),
        (&404.into(), &"route.none".into())
    );
    assert!(lines[0].get("route").is_none() && lines[0].get("upstream").is_none());
}
