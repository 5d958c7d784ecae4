//! `gateway explain` foretells what the gateway then does: the same file, the same request, the same end.

use harness::{Authority, Backend, Client, Config, Gateway, Response, cli};
use serde_json::Value;

const TEXT: &str = r#"
    [listener.public]
    address = "@address.public@"
    [upstream.orders]
    targets = ["@upstream.orders@"]
    [route.orders]
    match = "GET,POST api.example.com/orders/{id}"
    upstream = "orders"
    protect = { body-max = "1KiB" }
    headers = { request = { set = { x-order = "{path.id}" }, remove = ["x-debug"] }, response = { set = { x-served-by = "gateway" } } }
    [route.beta]
    match = { path = "/orders/{id}", host = ["api.example.com"], method = ["GET"], header = { x-beta = "*" } }
    upstream = "orders"
    rewrite = "/beta/{path.id}"
    [route.static]
    match = "/static/**"
    upstream = "orders"
    strip-prefix = "/static"
    [route.old]
    match = "/old/{page}"
    redirect = { to = "/new/{path.page}", status = 308 }
    [route.hello]
    match = "GET /hello"
    respond = { status = 200, body = "hello", headers = { x-a = "b" } }
    [route.nobody]
    match = "/nobody"
    upstream = "orders"
    ip-filter = { deny = ["127.0.0.0/8"] }
    [route.nearly]
    match = "/nearly"
    upstream = "orders"
    ip-filter = { deny = ["127.0.0.0/8"], mode = "shadow", shadow-until = "2099-01-31" }
    [route.shared]
    match = "/shared"
    upstream = "orders"
    cors = { origins = ["https://app.example.com"], methods = ["GET", "PUT"] }
"#;

/// Method, host, target and header fields.
type Asked = (
    &'static str,
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

const REQUESTS: &[Asked] = &[
    ("GET", "api.example.com", "/orders/7?a=b", &[]),
    ("HEAD", "api.example.com", "/orders/7", &[]),
    (
        "GET",
        "API.example.com",
        "/orders/7",
        &[("x-debug", "1"), ("x-order", "forged")],
    ),
    ("GET", "api.example.com", "/orders/7", &[("x-beta", "yes")]),
    ("DELETE", "api.example.com", "/orders/7", &[]),
    ("GET", "api.example.com", "/orders/7/items", &[]),
    ("GET", "www.example.com", "/orders/7", &[]),
    ("GET", "www.example.com", "/static/a/../b%2ec", &[]),
    ("GET", "www.example.com", "/static", &[]),
    ("GET", "www.example.com", "/static/%2e%2e/%2e%2e/x", &[]),
    ("GET", "www.example.com", "/static/a%2fb", &[]),
    ("GET", "www.example.com", "/old/start?x=y", &[]),
    ("GET", "www.example.com", "/hello", &[]),
    ("PUT", "www.example.com", "/hello", &[]),
    ("GET", "www.example.com", "/nobody", &[]),
    ("GET", "www.example.com", "/nearly", &[]),
    ("GET", "www.example.com", "/none", &[]),
    (
        "GET",
        "www.example.com",
        "/shared",
        &[("origin", "https://app.example.com")],
    ),
    (
        "GET",
        "www.example.com",
        "/shared",
        &[("origin", "https://evil.example")],
    ),
    (
        "OPTIONS",
        "www.example.com",
        "/shared",
        &[
            ("origin", "https://app.example.com"),
            ("access-control-request-method", "PUT"),
        ],
    ),
    (
        "OPTIONS",
        "www.example.com",
        "/shared",
        &[
            ("origin", "https://evil.example"),
            ("access-control-request-method", "PUT"),
        ],
    ),
    (
        "GET",
        "www.example.com",
        "/static/x",
        &[
            ("x-forwarded-for", "1.2.3.4"),
            ("x-real-ip", "1.2.3.4"),
            ("a_b", "c"),
        ],
    ),
];

fn foretold(gateway: &Gateway, asked: &Asked) -> Value {
    let (method, host, target, fields) = asked;
    let file = gateway.path("gateway.toml").display().to_string();
    let request = format!("{method} http://{host}{target}");
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    let mut args = vec!["explain", &file, &request, "--format", "json"];
    for field in &fields {
        args.extend(["-H", field]);
    }
    let exit = cli(&args);
    assert_eq!(exit.code, Some(0), "{request}: {exit}");
    serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("{request}: {error}: {exit}"))
}

fn ask(gateway: &Gateway, asked: &Asked) -> Response {
    let (method, host, target, fields) = asked;
    let fields = [&[("host", *host)], *fields].concat();
    Client::connect(gateway.addr()).request(method, target, &fields, b"")
}

/// Names and values of a list of `{ name, KEY }`; the request id is another one each time.
fn pairs<'a>(list: &'a Value, key: &'a str) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
    let items = list.as_array().expect("a list").iter();
    items
        .map(move |item| (item["name"].as_str().expect("a name"), item[key].as_str()))
        .filter(|(name, _)| *name != "x-request-id")
}

#[test]
fn what_is_foretold_comes_to_pass() {
    let orders = Backend::start();
    let gateway = Gateway::start(Config::new(TEXT).upstream("orders", orders.addr()));
    for asked in REQUESTS {
        let story = foretold(&gateway, asked);
        let before = orders.requests().len();
        let answer = ask(&gateway, asked);
        let outcome = &story["outcome"];
        let forwarded = orders.requests().len() - before;
        match outcome["kind"].as_str() {
            Some("reply") => {
                assert_eq!(forwarded, 0, "{asked:?}: {outcome}");
                replied(asked, outcome, &answer);
            }
            Some("forward") => {
                assert_eq!((forwarded, answer.status), (1, 200), "{asked:?}: {outcome}");
                sent(asked, outcome, &orders);
                for (name, value) in pairs(&outcome["answer-gets"], "value") {
                    assert_eq!(answer.header(name), value, "{asked:?}: {name}");
                }
            }
            other => panic!("{asked:?}: {other:?}"),
        }
    }
}

fn replied(asked: &Asked, outcome: &Value, answer: &Response) {
    assert_eq!(outcome["status"], answer.status, "{asked:?}");
    if asked.0 != "HEAD" {
        assert_eq!(
            outcome["code"].as_str().unwrap_or_default(),
            answer.code(),
            "{asked:?}"
        );
    }
    for (name, value) in pairs(&outcome["headers"], "value") {
        // Several fields of one name are one list.
        let list = answer.headers.all(name).join(", ");
        assert_eq!(Some(list.as_str()), value, "{asked:?}: {name}");
    }
}

fn sent(asked: &Asked, outcome: &Value, orders: &Backend) {
    let received = orders.last();
    let line = format!(
        "{} {} {}",
        received.method, received.target, received.version
    );
    assert_eq!(outcome["request-line"], line, "{asked:?}");
    for (name, value) in pairs(&outcome["changes"], "after") {
        assert_eq!(received.header(name), value, "{asked:?}: {name}");
    }
}

#[test]
fn a_wrong_file_and_wrong_words_exit_with_2() {
    let orders = Backend::start();
    let gateway = Gateway::start(Config::new(TEXT).upstream("orders", orders.addr()));
    let file = gateway.path("gateway.toml").display().to_string();
    assert_eq!(cli(&["explain", "no/such.toml", "GET /"]).code, Some(2));
    assert_eq!(cli(&["explain", &file, "G@T / x"]).code, Some(2));
    assert_eq!(cli(&["explain", &file]).code, Some(2));
    assert_eq!(orders.connections(), 0, "explain opens no socket");
}

#[test]
fn the_time_that_the_upstream_is_told_is_foretold() {
    let orders = Backend::start();
    let route = "[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\ntimeout = \"3s\"\n\
                 deadline-from = \"header.x-request-timeout\"\n";
    let gateway = Gateway::start(crate::fixture::config(route, &orders));
    for (sent, told) in [
        (&[("x-request-timeout", "250ms")][..], "250ms"),
        (&[], "3000ms"),
    ] {
        let story = foretold(&gateway, &("GET", "x", "/", sent));
        let mut changes = pairs(&story["outcome"]["changes"], "after");
        let found = changes.find(|(name, _)| *name == "x-request-timeout");
        let shown = found.map_or(sent.first().map(|(_, value)| *value), |(_, value)| value);
        assert_eq!(shown, Some(told), "{story}");
    }
}

#[test]
fn a_host_that_no_certificate_covers_is_foretold() {
    let identity = Authority::new("site").issue(&["*.example.com"]);
    let text = "[listener.public]\naddress = \"@address.public@\"\n\
                tls = { certificates = [{ cert = \"file:site.pem\", key = \"file:site.key\" }] }\n\
                [route.all]\nmatch = \"/**\"\nrespond = { status = 204 }\n";
    let config = Config::new(text)
        .file("site.pem", identity.cert.as_str())
        .file("site.key", identity.key.as_str());
    let gateway = Gateway::start(config);
    for (host, status, code) in [
        ("api.example.com", 204, Value::Null),
        ("other.test", 421, "host.misdirected".into()),
    ] {
        let outcome = &foretold(&gateway, &("GET", host, "/", &[]))["outcome"];
        assert_eq!(
            (&outcome["status"], &outcome["code"]),
            (&status.into(), &code),
            "{host}"
        );
    }
}
