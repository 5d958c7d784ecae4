//! `[auth.NAME] forward`: a service that is asked about each request.

use harness::{Backend, Gateway, Script};

use crate::fixture::{assert_refused, config};

fn gateway(more: &str) -> (Gateway, Backend, Backend) {
    let (judge, orders) = (Backend::named("judge"), Backend::start());
    let text = format!(
        r#"
        [auth.outside]
        forward = {{ url = "http://@upstream.judge@/verify?for=orders", receive = ["x-user", "x-team"], {more} }}
        [route.orders]
        match = "/**"
        upstream = "orders"
        auth = "outside"
        "#
    );
    let config = config(&text, &orders).upstream("judge", judge.addr());
    (Gateway::start(config), judge, orders)
}

#[test]
fn asks_about_each_request_and_tells_the_upstream() {
    let (gateway, judge, orders) = gateway("subject = \"x-user\"");
    judge.always(
        Script::answer(200, "ignored")
            .header("X-User", "ada")
            .header("X-Other", "no"),
    );
    let headers = [
        ("Authorization", "Bearer abc"),
        ("X-User", "root"),
        ("X-Team", "wheel"),
        ("X-Forwarded-Uri", "/evil"),
        ("X-Unsent", "1"),
    ];
    let answer = gateway.request("PUT", "/orders/%37?a=b", &headers, b"body");
    assert_eq!(answer.status, 200);
    let asked = judge.last();
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("GET", "/verify?for=orders")
    );
    assert_eq!(asked.header("authorization"), Some("Bearer abc"));
    assert_eq!(asked.header("x-forwarded-method"), Some("PUT"));
    assert_eq!(asked.header("x-forwarded-uri"), Some("/orders/7?a=b"));
    assert_eq!(asked.header("x-forwarded-proto"), Some("http"));
    assert_eq!(asked.header("x-forwarded-for"), Some("127.0.0.1"));
    assert!(asked.headers.has("x-forwarded-host"));
    for absent in ["x-unsent", "x-user", "x-team", "content-length"] {
        assert_eq!(asked.header(absent), None, "{absent}");
    }
    let told = orders.last();
    assert_eq!(
        (
            told.header("x-user"),
            told.header("x-team"),
            told.header("x-other")
        ),
        (Some("ada"), None, None)
    );
    assert_eq!(told.text(), "body");
    gateway.get("/orders/8");
    assert_eq!(
        judge.requests().len(),
        2,
        "also about one who shows nothing"
    );
}

#[test]
fn a_no_is_the_services_own_answer() {
    let (gateway, judge, orders) = gateway("");
    let no = Script::answer(401, "who are you?")
        .header("WWW-Authenticate", "Negotiate")
        .header("Content-Type", "text/plain")
        .header("Set-Cookie", "attempt=1")
        .header("X-Inside", "secret");
    judge.always(no);
    let answer = gateway.get("/");
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (401, "who are you?")
    );
    assert_eq!(answer.header("www-authenticate"), Some("Negotiate"));
    assert_eq!(answer.header("content-type"), Some("text/plain"));
    assert_eq!(answer.header("set-cookie"), Some("attempt=1"));
    assert_eq!(answer.header("x-inside"), None);
    judge.always(Script::status(403));
    assert_refused(&gateway.get("/"), 403, "auth.refused");
    judge.always(Script::status(302).header("Location", "https://login.example.com/"));
    let answer = gateway.get("/");
    assert_eq!(
        (answer.status, answer.header("location")),
        (302, Some("https://login.example.com/"))
    );
    assert_eq!(orders.connections(), 0);
    let lines = gateway.wait_access_log(3);
    assert_eq!(lines[0]["refusal"], lines[1]["refusal"]);
    assert_eq!(
        gateway.metric("gateway_refusals_total", &["code=\"auth.refused\""]),
        2
    );
}

#[test]
fn a_service_that_cannot_be_heard_is_503() {
    let (gateway, mut judge, orders) = gateway("timeout = \"200ms\"");
    for script in [
        Script::status(500),
        Script::status(404),
        Script::status(301).header("Location", "/"),
        Script::answer(200, "x".repeat((64 << 10) + 1)),
        Script::answer(200, "")
            .header("X-User", "a")
            .header("X-User", "b"),
        Script::stall(),
        Script::close(),
    ] {
        judge.always(script);
        assert_refused(&gateway.get("/"), 503, "auth.unavailable");
    }
    judge.stop();
    assert_refused(&gateway.get("/"), 503, "auth.unavailable");
    assert_eq!(orders.connections(), 0);
}

#[test]
fn a_yes_is_remembered_for_the_very_same_only() {
    let (gateway, judge, orders) = gateway("cache = \"1h\"");
    judge.always(Script::answer(200, "").header("X-User", "ada"));
    let get = |path: &str, headers: &[(&str, &str)]| {
        assert_eq!(gateway.request("GET", path, headers, b"").status, 200);
        assert_eq!(orders.last().header("x-user"), Some("ada"));
        judge.requests().len()
    };
    let me = [("Authorization", "Bearer me")];
    assert_eq!(get("/a", &me), 1);
    assert_eq!(get("/a", &me), 1);
    assert_eq!(
        get("/a", &[me[0], ("Accept", "text/html")]),
        1,
        "it is not sent"
    );
    assert_eq!(get("/b", &me), 2);
    assert_eq!(get("/a?", &me), 3);
    assert_eq!(get("/a", &[("Authorization", "Bearer you")]), 4);
    assert_eq!(get("/a", &[]), 5);
    judge.always(Script::status(403));
    assert_refused(&gateway.get("/c"), 403, "auth.refused");
    judge.always(Script::answer(200, "").header("X-User", "ada"));
    assert_eq!(get("/c", &[]), 7, "a no is not remembered");
}

#[test]
fn lets_pass_as_nobody_only_where_that_is_said() {
    let (gateway, mut judge, orders) = gateway("on-error = \"allow\"");
    judge.always(Script::status(403));
    assert_refused(&gateway.get("/"), 403, "auth.refused");
    judge.stop();
    assert_eq!(
        gateway
            .request("GET", "/", &[("X-User", "root")], b"")
            .status,
        200
    );
    assert_eq!(orders.last().header("x-user"), None);
}
