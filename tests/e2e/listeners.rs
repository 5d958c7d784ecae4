//! Listeners: sockets of every kind, what each speaks, and whom each believes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use harness::wait::DEADLINE;
use harness::{Backend, Client, Config, Gateway, H2Request, H2c, raw, wait};

/// One exchange over a unix socket; the request must ask for a close.
fn over_unix(path: &Path, request: &str) -> String {
    let mut stream =
        UnixStream::connect(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// A gateway with one route to the backend and these lines in `[listener.public]`.
fn gateway(backend: &Backend, keys: &str) -> Gateway {
    let text = format!(
        "[listener.public]\n{keys}\n[upstream.all]\ntargets = [\"@upstream.all@\"]\n[route.all]\nmatch = \"/**\"\nupstream = \"all\"\n"
    );
    Gateway::start(Config::new(text).upstream("all", backend.addr()))
}

#[test]
fn serves_on_a_unix_socket_and_removes_it_at_the_end() {
    let backend = Backend::start();
    let mut gateway = gateway(&backend, "address = \"unix:@dir@/public.sock\"");
    let path = gateway.path("public.sock");
    let request =
        "GET /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.7\r\nConnection: close\r\n\r\n";
    let answer = over_unix(&path, request);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let seen = backend.last();
    assert_eq!(
        (seen.target.as_str(), seen.header("x-forwarded-for")),
        ("/a", None),
        "a unix peer has no address to tell"
    );
    let line = gateway.wait_access_log(1).swap_remove(0);
    assert_eq!(
        (&line["client"], &line["status"]),
        (&serde_json::Value::Null, &200.into())
    );
    let refused = over_unix(&path, "GET /a HTTP/1.1\r\n\r\n");
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
    assert!(!path.exists(), "the socket's file was left behind");
}

#[test]
fn a_unix_peer_is_believed_where_somebody_is() {
    let backend = Backend::start();
    let gateway = gateway(
        &backend,
        "address = \"unix:@dir@/public.sock\"\ntrusted-proxies = [\"10.0.0.0/8\"]",
    );
    let request =
        "GET /a HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 198.51.100.7\r\nConnection: close\r\n\r\n";
    over_unix(&gateway.path("public.sock"), request);
    assert_eq!(gateway.wait_access_log(1)[0]["client"], "198.51.100.7");
}

#[test]
fn a_stale_socket_is_taken_over_and_a_file_is_not() {
    let directory = std::env::temp_dir().join(format!("gateway-stale-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let socket = directory.join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let file = directory.join("file.sock");
    std::fs::write(&file, "precious").unwrap();
    let text = |path: &Path| {
        format!(
            "[listener.public]\naddress = \"unix:{}\"\n[route.all]\nmatch = \"/**\"\nrespond = {{ status = 204 }}\n",
            path.display()
        )
    };
    let gateway = Gateway::start(text(&socket));
    let answer = over_unix(
        &socket,
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let second = Gateway::try_start(text(&socket));
    assert_eq!(second.code, Some(1), "somebody serves there: {second}");
    let answer = over_unix(
        &socket,
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    );
    assert!(
        answer.starts_with("HTTP/1.1 204"),
        "the first serves on: {answer}"
    );
    let exit = Gateway::try_start(text(&file));
    assert_eq!(exit.code, Some(1), "{exit}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    drop(gateway);
    std::fs::remove_dir_all(&directory).ok();
}

#[test]
fn each_listener_has_its_own_routes() {
    let gateway = Gateway::start(
        r#"
        [listener.public]
        address = "@address.public@"
        [listener.internal]
        address = "@address.internal@"
        [route.outside]
        match = "/outside"
        listener = "public"
        respond = { status = 200, body = "outside" }
        [route.inside]
        match = "/inside"
        listener = ["internal"]
        respond = { status = 200, body = "inside" }
        [route.both]
        match = "/both"
        listener = "any"
        respond = { status = 200, body = "both" }
        [route.twin-a]
        match = "/twin"
        listener = "public"
        respond = { status = 200, body = "a" }
        [route.twin-b]
        match = "/twin"
        listener = "internal"
        respond = { status = 200, body = "b" }
    "#,
    );
    let mut public = Client::connect(gateway.addr_of("public"));
    let mut internal = Client::connect(gateway.addr_of("internal"));
    let mut texts = |path: &str| (public.get(path), internal.get(path));
    assert_eq!(texts("/outside").0.text(), "outside");
    assert_eq!(texts("/outside").1.status, 404);
    assert_eq!(texts("/inside").0.status, 404);
    assert_eq!(texts("/inside").1.text(), "inside");
    let (one, two) = texts("/both");
    assert_eq!((one.text(), two.text()), ("both".into(), "both".into()));
    let (one, two) = texts("/twin");
    assert_eq!((one.text(), two.text()), ("a".into(), "b".into()));
    let log = gateway.wait_access_log(12);
    let count = |name: &str| log.iter().filter(|line| line["listener"] == name).count();
    assert_eq!((count("public"), count("internal")), (6, 6));
    assert_eq!(
        gateway.metric("gateway_connections", &[r#"listener="public""#]),
        1
    );
    assert_eq!(
        gateway.metric("gateway_connections", &[r#"listener="internal""#]),
        1
    );
}

#[test]
fn with_two_listeners_a_route_must_name_one() {
    let exit = Gateway::try_start(
        "[listener.a]\naddress = \"@address.a@\"\n[listener.b]\naddress = \"@address.b@\"\n[route.all]\nmatch = \"/**\"\nrespond = { status = 204 }\n",
    );
    assert_eq!(exit.code, Some(2), "{exit}");
    assert!(exit.stderr.contains("listener"), "{exit}");
}

#[test]
fn speaks_http2_by_prior_knowledge_beside_http1() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "address = \"@address.public@\"");
    let mut h2c = H2c::connect(gateway.addr());
    let answers = h2c.together(
        (0..8)
            .map(|number| {
                H2Request::new("POST", &format!("/{number}"))
                    .authority("api.example.com")
                    .body("b")
            })
            .collect(),
    );
    for answer in answers {
        assert_eq!(answer.unwrap().status, 200);
    }
    assert_eq!(gateway.get("/one").version, "HTTP/1.1");
    let seen = backend.requests();
    assert_eq!(seen.len(), 9);
    assert_eq!(seen[0].header("host"), Some("api.example.com"));
    assert_eq!(seen[0].text(), "b");
}

#[test]
fn http2_can_be_turned_off() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "address = \"@address.public@\"\nhttp2 = false");
    let answer = raw(
        gateway.addr(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    );
    assert_eq!(
        (answer.status(), answer.closed),
        (Some(505), true),
        "{:?}",
        answer.text()
    );
    assert_eq!(gateway.wait_access_log(1)[0]["code"], "head.version");
    assert_eq!(gateway.get("/one").status, 200);
    assert_eq!(backend.requests().len(), 1);
}

/// `Upgrade: h2c` is a way around the checks of a head; it is not offered.
#[test]
fn does_not_upgrade_to_h2c() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "address = \"@address.public@\"");
    let headers = [
        ("connection", "Upgrade, HTTP2-Settings"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
    ];
    let answer = gateway.request("GET", "/one", &headers, b"");
    assert_eq!(answer.status, 200);
    assert_eq!(backend.last().header("http2-settings"), None);
    assert_eq!(
        backend.last().header("upgrade"),
        None,
        "an upstream could take the offer"
    );
}

#[test]
fn believes_forwarding_headers_of_trusted_proxies_alone() {
    let backend = Backend::start();
    let sent = [
        ("x-forwarded-for", "1.1.1.1, 198.51.100.7"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "from-proxy.1"),
    ];
    let trusting = gateway(
        &backend,
        "address = \"@address.public@\"\ntrusted-proxies = [\"127.0.0.0/8\"]",
    );
    assert_eq!(trusting.request("GET", "/", &sent, b"").status, 200);
    let line = trusting.wait_access_log(1).swap_remove(0);
    assert_eq!(
        (&line["client"], &line["request_id"]),
        (&"198.51.100.7".into(), &"from-proxy.1".into())
    );
    assert_eq!(backend.last().header("x-forwarded-proto"), Some("https"));
    assert_eq!(backend.last().header("x-request-id"), Some("from-proxy.1"));

    let strict = gateway(
        &backend,
        "address = \"@address.public@\"\ntrusted-proxies = [\"10.0.0.0/8\"]",
    );
    assert_eq!(strict.request("GET", "/", &sent, b"").status, 200);
    let line = strict.wait_access_log(1).swap_remove(0);
    assert_eq!(line["client"], "127.0.0.1");
    assert_ne!(line["request_id"], "from-proxy.1");
    let seen = backend.last();
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_ne!(seen.header("x-request-id"), Some("from-proxy.1"));
}

#[test]
fn a_request_id_that_is_no_plain_word_is_replaced() {
    let backend = Backend::start();
    let gateway = gateway(
        &backend,
        "address = \"@address.public@\"\ntrusted-proxies = [\"127.0.0.0/8\"]",
    );
    let long = "a".repeat(129);
    for id in ["", "a b", "a\"b", "a,b", &long] {
        let answer = gateway.request("GET", "/", &[("x-request-id", id)], b"");
        let own = answer.header("x-request-id").unwrap().to_owned();
        assert!(own != id && !own.is_empty(), "{id:?}");
        assert_eq!(backend.last().header("x-request-id"), Some(own.as_str()));
    }
    let twice = [("x-request-id", "one"), ("x-request-id", "two")];
    let answer = gateway.request("GET", "/", &twice, b"");
    assert!(!["one", "two"].contains(&answer.header("x-request-id").unwrap()));
}

#[test]
fn paths_follow_the_choices_of_their_listener() {
    let backend = Backend::start();
    let gateway = gateway(
        &backend,
        "address = \"@address.public@\"\nencoded-slash = \"keep\"\npath-params = \"keep\"",
    );
    assert_eq!(gateway.get("/a%2fb;c=d").status, 200);
    assert_eq!(backend.last().target, "/a%2Fb;c=d");
    for path in ["/a%2f../b", "/a/..;/b", "/%2e%2e%2fb"] {
        assert_eq!(gateway.get(path).status, 400, "{path}");
    }
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn an_ipv6_listener_serves() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let gateway = Gateway::start(
        "[listener.public]\naddress = \"[::1]:@port.public@\"\n[route.all]\nmatch = \"/**\"\nrespond = { status = 204 }\n",
    );
    assert_eq!(gateway.get("/").status, 204);
    let line = wait::until_some(DEADLINE, "a line", || gateway.access_log().pop());
    assert_eq!(line["client"], "::1");
}
