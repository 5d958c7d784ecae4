//! The admin listener: its pages, who may see them, and what they never show.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use harness::wait::DEADLINE;
use harness::{Backend, Client, Config, Gateway, Response, raw, wait};

const ROUTES: &str = r#"
    [listener.public]
    address = "@address.public@"
    [route.hello]
    match = "GET api.example.com/hello/{name}"
    respond = { status = 200, body = "hello" }
"#;

fn with_admin(keys: &str) -> Config {
    Config::new(format!(
        "{ROUTES}\n[admin]\naddress = \"@address.admin@\"\n{keys}\n"
    ))
    .env("READ", "read-4711")
    .env("WRITE", "write-0815")
}

fn ask(gateway: &Gateway, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    Client::connect(gateway.address("admin")).request(method, path, headers, b"")
}

fn bearer(token: &str) -> [(&str, String); 1] {
    [("authorization", format!("Bearer {token}"))]
}

fn ask_with(gateway: &Gateway, method: &str, path: &str, token: &str) -> Response {
    let [(name, value)] = bearer(token);
    ask(gateway, method, path, &[(name, &value)])
}

#[test]
fn every_page_answers() {
    let backend = Backend::start();
    let config = format!(
        "{ROUTES}\n[upstream.orders]\ntargets = [\"@upstream.orders@\"]\n[route.orders]\nmatch = \"/orders/**\"\nupstream = \"orders\"\n"
    );
    let gateway = Gateway::start(Config::new(config).upstream("orders", backend.addr()));
    let kinds = [
        ("/", "application/json"),
        ("/healthz", "text/plain; charset=utf-8"),
        ("/readyz", "application/json"),
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/config", "application/json"),
        ("/routes", "application/json"),
        ("/upstreams", "application/json"),
    ];
    for (path, kind) in kinds {
        let answer = gateway.admin_get(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(kind)),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        let head = ask(&gateway, "HEAD", path, &[]);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
    }
    let index = gateway.admin_get("/").json();
    for (path, _) in kinds.iter().skip(1) {
        assert!(
            index.get(format!("GET {path}")).is_some(),
            "{path} is not listed: {index}"
        );
    }
    let routes = gateway.admin_get("/routes").json();
    let hello = routes
        .as_array()
        .unwrap()
        .iter()
        .find(|route| route["name"] == "hello")
        .unwrap();
    assert_eq!(hello["match"], "GET api.example.com/hello/{name}");
    assert_eq!(hello["action"]["kind"], "respond");
    let upstreams = gateway.admin_get("/upstreams").json();
    assert_eq!(upstreams[0]["name"], "orders");
    assert_eq!(
        upstreams[0]["targets"][0]["address"],
        backend.addr().to_string()
    );
    assert_eq!(upstreams[0]["targets"][0]["healthy"], true);
}

#[test]
fn a_connection_serves_page_after_page() {
    let gateway = Gateway::start(ROUTES);
    let mut client = Client::connect(gateway.admin_addr());
    for path in ["/healthz", "/none", "/metrics", "/config", "/healthz"] {
        let expected = if path == "/none" { 404 } else { 200 };
        assert_eq!(client.get(path).status, expected, "{path}");
    }
}

#[test]
fn what_is_no_page_is_404_and_what_is_no_method_405() {
    let gateway = Gateway::start(ROUTES);
    for path in [
        "/nope",
        "/metrics/",
        "/Healthz",
        "/config/x",
        "/reload/",
        "//healthz",
    ] {
        let answer = gateway.admin_get(path);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (404, "admin.none"),
            "{path}"
        );
    }
    for (method, path, allow) in [
        ("POST", "/config", "GET, HEAD"),
        ("DELETE", "/metrics", "GET, HEAD"),
        ("PUT", "/healthz", "GET, HEAD"),
        ("GET", "/reload", "POST"),
        ("PUT", "/reload", "POST"),
    ] {
        let answer = ask(&gateway, method, path, &[]);
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (405, "admin.method"),
            "{method} {path}"
        );
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
    }
    assert_eq!(gateway.reloads().total(), 0);
}

#[test]
fn tokens_say_who_may_read_and_who_may_change() {
    let gateway = Gateway::start(with_admin(
        "tokens = { read = \"env:READ\", write = \"env:WRITE\" }",
    ));
    for path in ["/config", "/metrics", "/routes", "/upstreams", "/", "/none"] {
        let none = ask(&gateway, "GET", path, &[]);
        assert_eq!(
            (none.status, none.code().as_str()),
            (401, "admin.token"),
            "{path}"
        );
        assert_eq!(none.header("www-authenticate"), Some("Bearer"));
        for wrong in ["read-471", "read-47111", "", "READ-4711", "write-081"] {
            assert_eq!(
                ask_with(&gateway, "GET", path, wrong).status,
                401,
                "{path} {wrong:?}"
            );
        }
    }
    for token in ["read-4711", "write-0815"] {
        assert_eq!(
            ask_with(&gateway, "GET", "/config", token).status,
            200,
            "{token}"
        );
    }
    let basic = [("authorization", "Basic read-4711")];
    assert_eq!(ask(&gateway, "GET", "/config", &basic).status, 401);
    let twice = [
        ("authorization", "Bearer read-4711"),
        ("authorization", "Bearer read-4711"),
    ];
    assert_eq!(ask(&gateway, "GET", "/config", &twice).status, 401);
    assert_eq!(ask(&gateway, "POST", "/reload", &[]).status, 401);
    let reader = ask_with(&gateway, "POST", "/reload", "read-4711");
    assert_eq!(
        (reader.status, reader.code().as_str()),
        (403, "admin.read-only")
    );
    assert_eq!(
        ask_with(&gateway, "POST", "/reload", "write-0815").status,
        200
    );
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(
            ask(&gateway, "GET", probe, &[]).status,
            200,
            "{probe} needs no token"
        );
    }
}

#[test]
fn tokens_change_with_a_reload() {
    let mut gateway = Gateway::start(with_admin(
        "tokens = { read = \"env:READ\", write = \"env:WRITE\" }",
    ));
    gateway.rewrite_config(with_admin(
        "tokens = { read = \"env:WRITE\", write = \"env:WRITE\" }",
    ));
    assert_eq!(
        ask_with(&gateway, "POST", "/reload", "write-0815").status,
        200
    );
    assert_eq!(
        ask_with(&gateway, "GET", "/config", "read-4711").status,
        401
    );
    assert_eq!(
        ask_with(&gateway, "GET", "/config", "write-0815").status,
        200
    );
    gateway.rewrite_config(with_admin(
        "tokens = { read = \"env:NOBODY_SET_THIS\", write = \"env:WRITE\" }",
    ));
    let refused = ask_with(&gateway, "POST", "/reload", "write-0815");
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert!(
        refused.text().contains("NOBODY_SET_THIS"),
        "{}",
        refused.text()
    );
    assert_eq!(
        ask_with(&gateway, "GET", "/config", "write-0815").status,
        200
    );
}

#[test]
fn pages_of_other_sites_get_nothing() {
    let gateway = Gateway::start(ROUTES);
    let own = gateway.admin_addr().to_string();
    let origin = format!("http://{own}");
    let foreign: [&[(&str, &str)]; 6] = [
        &[("host", "gateway.example.com")],
        &[("host", "evil.example:9090")],
        &[("origin", "http://evil.example")],
        &[("origin", "null")],
        &[("origin", "http://localhost:1")],
        &[("origin", "file://")],
    ];
    for headers in foreign {
        for (method, path) in [("GET", "/config"), ("POST", "/reload")] {
            let answer = ask(&gateway, method, path, headers);
            assert_eq!(
                (answer.status, answer.code().as_str()),
                (403, "admin.foreign"),
                "{headers:?}"
            );
        }
    }
    let port = gateway.admin_addr().port();
    let localhost = format!("localhost:{port}");
    assert_eq!(
        ask(&gateway, "GET", "/config", &[("host", &localhost)]).status,
        200
    );
    assert_eq!(
        ask(&gateway, "GET", "/config", &[("origin", &origin)]).status,
        200
    );
    assert_eq!(gateway.reloads().total(), 0);
}

#[test]
fn addresses_of_their_own_offer_only_their_pages() {
    let gateway = Gateway::start(with_admin(
        "probes = \"@address.probes@\"\nmetrics = \"@address.metrics@\"\ntokens = { read = \"env:READ\", write = \"env:WRITE\" }",
    ));
    let status = |at: &str, method: &str, path: &str, headers: &[(&str, &str)]| {
        Client::connect(gateway.address(at))
            .request(method, path, headers, b"")
            .status
    };
    let read = [("authorization", "Bearer write-0815")];
    assert_eq!(status("probes", "GET", "/healthz", &[]), 200);
    assert_eq!(status("probes", "GET", "/readyz", &[]), 200);
    assert_eq!(status("metrics", "GET", "/metrics", &read), 200);
    for path in ["/", "/metrics", "/config", "/routes", "/upstreams"] {
        assert_eq!(status("probes", "GET", path, &read), 404, "{path}");
    }
    for path in [
        "/",
        "/healthz",
        "/readyz",
        "/config",
        "/routes",
        "/upstreams",
    ] {
        assert_eq!(status("metrics", "GET", path, &read), 404, "{path}");
    }
    for at in ["probes", "metrics"] {
        assert_eq!(status(at, "POST", "/reload", &read), 404, "{at}");
    }
    assert_eq!(status("admin", "GET", "/config", &read), 200);
    assert_eq!(status("public", "GET", "/config", &read), 404);
}

#[test]
fn no_page_shows_a_secret() {
    let config = with_admin("tokens = { read = \"env:READ\", write = \"file:write.token\" }")
        .file("write.token", "write-0815\n");
    let gateway = Gateway::start(config);
    for path in ["/config", "/routes", "/upstreams", "/metrics", "/"] {
        let page = ask_with(&gateway, "GET", path, "write-0815");
        assert_eq!(page.status, 200, "{path}");
        for secret in ["read-4711", "write-0815"] {
            assert!(!page.text().contains(secret), "{path}: {}", page.text());
        }
    }
    let log = gateway.log();
    assert!(!log.contains("read-4711") && !log.contains("write-0815"));
}

#[test]
fn config_has_a_hash_that_follows_the_text() {
    let mut gateway = Gateway::start(ROUTES);
    let before = gateway.config_hash();
    assert!(before.len() >= 16, "{before}");
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.config_hash(), before);
    gateway.rewrite_config(ROUTES.replace("\"hello\"", "\"good day\""));
    let answer = gateway.reload();
    assert_eq!(
        (answer.status, &answer.json()["result"]),
        (200, &"ok".into())
    );
    assert_ne!(gateway.config_hash(), before);
    assert_eq!(answer.json()["hash"], gateway.config_hash());
}

#[test]
fn an_admin_listener_that_everybody_reaches_needs_tokens() {
    let open = format!("{ROUTES}\n[admin]\naddress = \"0.0.0.0:@port.admin@\"\n");
    let exit = Gateway::try_start(open.as_str());
    assert_eq!(exit.code, Some(2), "{exit}");
    assert!(
        exit.stderr.contains("open to everybody") && exit.stderr.contains("tokens"),
        "{exit}"
    );
    let metrics = format!(
        "{ROUTES}\n[admin]\naddress = \"@address.admin@\"\nmetrics = \"0.0.0.0:@port.metrics@\"\n"
    );
    let exit = Gateway::try_start(metrics.as_str());
    assert_eq!(exit.code, Some(2), "{exit}");
    assert!(exit.stderr.contains("metrics"), "{exit}");
}

#[test]
fn a_literal_token_and_an_upstream_that_is_the_admin_are_refused() {
    let literal = with_admin("tokens = { read = \"hunter2\" }");
    let exit = Gateway::try_start(literal);
    assert_eq!(exit.code, Some(2), "{exit}");
    assert!(
        !exit.stderr.contains("hunter2"),
        "the secret is on the screen: {exit}"
    );
    let looped = format!(
        "{ROUTES}\n[upstream.loop]\ntargets = [\"localhost:@port.admin@\"]\n[admin]\naddress = \"@address.admin@\"\n"
    );
    let exit = Gateway::try_start(looped.as_str());
    assert_eq!(exit.code, Some(2), "{exit}");
    assert!(exit.stderr.contains("admin listener"), "{exit}");
}

#[test]
fn answers_on_a_unix_socket() {
    let directory = std::env::temp_dir();
    let path = directory.join(format!("gateway-admin-{}.sock", std::process::id()));
    let config = format!(
        "{ROUTES}\n[admin]\naddress = \"unix:{}\"\nprobes = \"@address.probes@\"\n",
        path.display()
    );
    // The harness asks `/readyz` at an address; here only `probes` has one.
    let mut gateway = Gateway::start_unready(config);
    let page = wait::until_some(DEADLINE, "an answer on the socket", || {
        let mut stream = UnixStream::connect(&path).ok()?;
        stream
            .write_all(b"GET /config HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    });
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    wait::until(DEADLINE, "the gateway to be ready", || {
        let probes = Client::try_connect(gateway.address("probes"));
        probes.is_ok_and(|mut client| client.get("/readyz").status == 200)
    });
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
    assert!(!path.exists(), "the socket's file was left behind");
}

#[test]
fn malformed_requests_are_refused_here_too() {
    let gateway = Gateway::start(ROUTES);
    for bytes in [
        &b"GET /config HTTP/1.1\r\n\r\n"[..],
        b"GET /config HTTP/1.1\nHost: localhost\n\n",
        b"POST /reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let answer = raw(gateway.admin_addr(), bytes);
        assert_eq!((answer.status(), answer.closed), (Some(400), true));
    }
    assert_eq!(gateway.reloads().total(), 0);
    assert_eq!(gateway.access_log().len(), 0);
}
