//! Where requests go when their upstream has failed for good, and how long clients say that they want to wait.

use harness::{Backend, Config, Gateway, H2Request, H2c, Script};

use crate::fixture::{assert_refused, config};

/// An upstream `orders` that refuses, an upstream `backup`, and a route with these keys.
fn refusing(keys: &str, backup: &Backend) -> Gateway {
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n\
         [upstream.orders]\ntargets = [\"@upstream.orders@\"]\n\
         [upstream.backup]\ntargets = [\"@upstream.backup@\"]\n\
         [route.spare]\nmatch = \"/spare\"\nupstream = \"backup\"\n\
         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n{keys}\n"
    );
    let config = Config::new(text)
        .upstream("orders", Backend::refusing())
        .upstream("backup", backup.addr());
    Gateway::start(config)
}

#[test]
fn another_upstream_takes_what_reached_nobody() {
    let backup = Backend::start();
    let gateway = refusing("fallback = \"backup\"", &backup);
    let large = vec![b'x'; 300_000];
    for (method, body) in [("GET", &b""[..]), ("POST", b"pay 5 EUR"), ("PUT", &large)] {
        let answer = gateway.request(method, "/", &[], body);
        assert_eq!(answer.status, 200, "{method}: {}", answer.text());
        assert_eq!(backup.last().body.len(), body.len());
    }
    assert_eq!(H2c::connect(gateway.addr()).get("/").status, 200);
    assert_eq!(backup.requests().len(), 4);
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["fallback"], &line["upstream"]),
        (&"upstream".into(), &"backup".into())
    );
    assert_eq!(
        (&line["status"], &line["attempts"]),
        (&200.into(), &2.into())
    );
}

#[test]
fn tries_come_before_the_fallback() {
    let backup = Backend::start();
    let keys = "fallback = \"backup\"\nretry = { attempts = 3, backoff = \"0ms\" }";
    let gateway = refusing(keys, &backup);
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(backup.requests().len(), 1);
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["attempts"], &line["not_retried"]),
        (&4.into(), &"attempts".into())
    );
}

#[test]
fn a_fallback_that_fails_is_the_end() {
    let mut backup = Backend::start();
    backup.stop();
    let gateway = refusing("fallback = \"backup\"", &backup);
    assert_refused(&gateway.get("/"), 502, "upstream.unreachable");
    assert_eq!(gateway.wait_access_log(1)[0]["attempts"], 2);
}

#[test]
fn an_answer_takes_the_place_of_a_failure() {
    let backup = Backend::start();
    let answer = "fallback = { status = 200, body = \"[]\", headers = { content-type = \"application/json\" } }";
    let gateway = refusing(answer, &backup);
    for method in ["GET", "POST"] {
        let answer = gateway.request(method, "/", &[], b"");
        assert_eq!((answer.status, answer.text().as_str()), (200, "[]"));
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(answer.header("x-request-id").is_some());
    }
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["fallback"], &line["code"]),
        (&"respond".into(), &"upstream.unreachable".into())
    );
}

#[test]
fn what_a_target_may_have_read_goes_nowhere_else_unless_it_is_safe() {
    let (orders, backup) = (Backend::start(), Backend::named("backup"));
    let text = "[upstream.backup]\ntargets = [\"@upstream.backup@\"]\n\
                [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\nfallback = \"backup\"\n";
    let gateway = Gateway::start(config(text, &orders).upstream("backup", backup.addr()));
    for script in [Script::reset(), Script::close()] {
        orders.always(script);
        let before = backup.requests().len();
        assert_eq!(gateway.get("/").status, 200);
        assert_refused(
            &gateway.request("POST", "/", &[], b"x"),
            502,
            "upstream.closed",
        );
        assert_eq!(backup.requests().len(), before + 1, "only the GET");
    }
    // An answer is an answer.
    orders.always(Script::status(503));
    assert_eq!(gateway.get("/").status, 503);
    let half = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc";
    orders.always(Script::raw(half));
    assert!(gateway.client().try_request("GET", "/", &[], b"").is_err());
    assert_eq!(backup.requests().len(), 2);
}

#[test]
fn a_name_that_leads_nowhere_has_a_fallback_too() {
    let backup = Backend::start();
    let text = "[listener.public]\naddress = \"@address.public@\"\n\
         [upstream.orders]\ntargets = [\"orders.invalid:80\"]\n\
         [upstream.backup]\ntargets = [\"@upstream.backup@\"]\n\
         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\nfallback = \"backup\"\n";
    let gateway = Gateway::start(Config::new(text).upstream("backup", backup.addr()));
    assert_eq!(gateway.request("POST", "/", &[], b"x").status, 200);
    assert_eq!(gateway.wait_access_log(1)[0]["attempts"], 1);
}

fn with_deadline(timeout: &str) -> (Gateway, Backend) {
    let orders = Backend::start();
    let route = format!(
        "[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\ntimeout = \"{timeout}\"\n\
         deadline-from = \"header.x-request-timeout\"\n"
    );
    let gateway = Gateway::start(config(&route, &orders));
    (gateway, orders)
}

fn millis(value: &str, unit: &str) -> u64 {
    value.strip_suffix(unit).unwrap().parse().unwrap()
}

#[test]
fn a_client_shortens_its_own_wait() {
    let (gateway, orders) = with_deadline("30s");
    orders.on("/stall", Script::stall());
    let asked = [("x-request-timeout", "50ms")];
    assert_refused(
        &gateway.request("GET", "/stall", &asked, b""),
        504,
        "request.timeout",
    );
    let request = H2Request::new("GET", "/stall").header("x-request-timeout", "50ms");
    assert_refused(
        &H2c::connect(gateway.addr()).request(request),
        504,
        "request.timeout",
    );
    let none = [("x-request-timeout", "0ms")];
    let before = orders.requests().len();
    assert_refused(
        &gateway.request("GET", "/", &none, b""),
        504,
        "request.timeout",
    );
    assert_eq!(orders.requests().len(), before, "no time, no attempt");
}

#[test]
fn the_upstream_is_told_how_much_time_is_left() {
    let (gateway, orders) = with_deadline("20s");
    for (asked, most) in [(Some("10s"), 10_000), (Some("1h"), 20_000), (None, 20_000)] {
        let headers: Vec<_> = asked
            .map(|time| ("x-request-timeout", time))
            .into_iter()
            .collect();
        assert_eq!(gateway.request("GET", "/", &headers, b"").status, 200);
        let left = millis(orders.last().header("x-request-timeout").unwrap(), "ms");
        assert!((1..=most).contains(&left), "{asked:?}: {left}");
    }
}

#[test]
fn a_deadline_that_cannot_be_read_is_400() {
    let (gateway, orders) = with_deadline("20s");
    for wrong in ["5", "-1s", "soon", "1.5s", "99999999999999999999s"] {
        let answer = gateway.request("GET", "/", &[("x-request-timeout", wrong)], b"");
        assert_refused(&answer, 400, "request.value-unfit");
    }
    let twice = [("x-request-timeout", "1s"), ("x-request-timeout", "2s")];
    let answer = gateway.request("GET", "/", &twice, b"");
    assert_refused(&answer, 400, "request.value-unfit");
    assert_eq!(orders.requests().len(), 0);
}

#[test]
fn grpc_says_its_deadline_itself() {
    let orders = Backend::start();
    let route = "[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\ntimeout = \"20s\"\n";
    let gateway = Gateway::start(config(route, &orders));
    let grpc = |timeout| {
        let headers = [
            ("content-type", "application/grpc"),
            ("grpc-timeout", timeout),
        ];
        gateway.request("POST", "/", &headers, b"")
    };
    assert_eq!(grpc("5S").status, 200);
    let left = millis(orders.last().header("grpc-timeout").unwrap(), "m");
    assert!((1..=5_000).contains(&left), "{left}");
    orders.always(Script::stall());
    assert_ne!(
        grpc("50m").header("content-type"),
        None,
        "an answer, in time"
    );
    // Elsewhere the name means nothing.
    orders.always(Script::echo());
    let plain = [("content-type", "text/plain"), ("grpc-timeout", "soon")];
    assert_eq!(gateway.request("POST", "/", &plain, b"").status, 200);
    assert_eq!(orders.last().header("grpc-timeout"), Some("soon"));
}
