//! Limits of a listener: each at its value and one beyond it, and deadlines that end who dawdles and nobody else.

use std::net::SocketAddr;

use harness::wait::DEADLINE;
use harness::{Backend, Client, Gate, Gateway, H2Request, H2c, Script, raw, raw_until, wait};

use crate::fixture::{EVERYTHING, config_with};

/// A gateway with one route to a backend and these keys in `[listener.public]`.
fn gateway(backend: &Backend, keys: &str) -> Gateway {
    Gateway::start(config_with(keys, "", EVERYTHING, backend))
}

/// A complete head of exactly this many bytes.
fn head_of(bytes: usize) -> String {
    let (before, after) = (
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\na: ",
        "\r\n\r\n",
    );
    let filling = "b".repeat(bytes - before.len() - after.len());
    format!("{before}{filling}{after}")
}

fn status_and_code(addr: SocketAddr, bytes: &str) -> (Option<u16>, String) {
    let answer = raw(addr, bytes.as_bytes());
    assert!(answer.closed, "{:?}", answer.text());
    let text = answer.text();
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    (
        answer.status(),
        problem["code"].as_str().unwrap_or_default().to_owned(),
    )
}

#[test]
fn takes_a_head_at_its_limit_and_none_beyond() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "header-bytes-max = \"2KiB\"\nuri-max = \"1KiB\"");
    assert_eq!(status_and_code(gateway.addr(), &head_of(2048)).0, Some(200));
    let (status, code) = status_and_code(gateway.addr(), &head_of(2049));
    assert_eq!((status, code.as_str()), (Some(431), "head.too-large"));
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn takes_as_many_fields_as_it_may_and_no_more() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "headers-max = 5");
    let head = |fields: usize| {
        let others = "a: b\r\n".repeat(fields - 2);
        format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{others}\r\n")
    };
    assert_eq!(status_and_code(gateway.addr(), &head(5)).0, Some(200));
    let (status, code) = status_and_code(gateway.addr(), &head(6));
    assert_eq!((status, code.as_str()), (Some(431), "head.too-many-fields"));
    assert_eq!(backend.requests().len(), 1);
}

#[test]
fn takes_a_target_at_its_limit_and_none_beyond() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "uri-max = \"100B\"");
    let head =
        |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let path = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
    let query = |bytes: usize| format!("/?{}", "a".repeat(bytes - 2));
    assert_eq!(
        status_and_code(gateway.addr(), &head(&path(100))).0,
        Some(200)
    );
    assert_eq!(
        status_and_code(gateway.addr(), &head(&query(100))).0,
        Some(200)
    );
    for target in [path(101), query(101), path(400)] {
        let (status, code) = status_and_code(gateway.addr(), &head(&target));
        assert_eq!((status, code.as_str()), (Some(414), "head.uri-too-long"));
    }
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn limits_hold_for_http2_too() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "headers-max = 10\nuri-max = \"100B\"");
    let mut client = H2c::connect(gateway.addr());
    let path = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
    let fields = |count: usize| {
        (0..count).fold(H2Request::new("GET", "/fields"), |request, number| {
            request.header(&format!("x-{number}"), "y")
        })
    };
    assert_eq!(client.get(&path(100)).status, 200);
    let answer = client.get(&path(101));
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (414, "head.uri-too-long")
    );
    let many = client.request(fields(40));
    assert_eq!(
        (many.status, many.code().as_str()),
        (431, "head.too-many-fields")
    );
    assert_eq!(client.request(fields(5)).status, 200);
    assert_eq!(backend.requests().len(), 2);
    let log = gateway.wait_access_log(4);
    let codes: Vec<&str> = log
        .iter()
        .filter_map(|line| line["code"].as_str())
        .collect();
    assert_eq!(codes, ["head.uri-too-long", "head.too-many-fields"]);
}

/// The library refuses a field list that is beyond the whole head's limit before we see it.
#[test]
fn the_limit_of_a_head_holds_for_http2_too() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "header-bytes-max = \"2KiB\"\nuri-max = \"1KiB\"");
    let mut client = H2c::connect(gateway.addr());
    let with = |bytes: usize| H2Request::new("GET", "/").header("a", &"b".repeat(bytes));
    assert_eq!(client.request(with(1500)).status, 200);
    let refused = client.try_request(with(4000));
    assert!(refused.map_or(true, |answer| answer.status == 431));
    assert_eq!(H2c::connect(gateway.addr()).get("/").status, 200);
    assert_eq!(backend.requests().len(), 2);
}

#[test]
fn a_full_listener_turns_away_until_somebody_leaves() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "connections-max = 2");
    let (mut one, mut two) = (gateway.client(), gateway.client());
    assert_eq!((one.get("/").status, two.get("/").status), (200, 200));
    assert_eq!(
        gateway.metric("gateway_connections", &[r#"listener="public""#]),
        2
    );
    gateway.client().wait_closed();
    wait::until(DEADLINE, "a connection counted as refused", || {
        gateway.metric(
            "gateway_connections_refused_total",
            &[r#"listener="public""#, r#"reason="listener-full""#],
        ) == 1
    });
    assert_eq!(one.get("/still").status, 200);
    drop(two);
    wait::until(DEADLINE, "a free place", || {
        gateway.metric("gateway_connections", &[r#"listener="public""#]) == 1
    });
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_full_server_turns_away_at_every_listener_but_the_admin() {
    let gateway = Gateway::start(
        r#"
        [server]
        connections-max = 2
        [listener.public]
        address = "@address.public@"
        [listener.other]
        address = "@address.other@"
        [route.all]
        match = "/**"
        listener = "any"
        respond = { status = 204 }
    "#,
    );
    let (mut one, mut two) = (
        Client::connect(gateway.addr()),
        Client::connect(gateway.addr_of("other")),
    );
    assert_eq!((one.get("/").status, two.get("/").status), (204, 204));
    Client::connect(gateway.addr_of("public")).wait_closed();
    Client::connect(gateway.addr_of("other")).wait_closed();
    assert_eq!(gateway.admin_get("/healthz").status, 200);
    assert_eq!((one.get("/").status, two.get("/").status), (204, 204));
}

#[test]
fn a_head_that_does_not_come_in_time_is_answered_408() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "header-timeout = \"200ms\"");
    let (status, code) = status_and_code(gateway.addr(), "GET / HTTP/1.1\r\nHost: x\r\na: ");
    assert_eq!((status, code.as_str()), (Some(408), "head.timeout"));
    let line = gateway.wait_access_log(1).swap_remove(0);
    assert_eq!(
        (&line["status"], &line["code"]),
        (&408.into(), &"head.timeout".into())
    );
    assert_eq!(
        (&line["method"], &line["path"]),
        (&"GET".into(), &"/".into())
    );
    assert!(backend.requests().is_empty());
}

/// One byte now and then does not buy more time: the deadline is for the whole head.
#[test]
fn a_head_that_trickles_gets_no_more_time() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "header-timeout = \"200ms\"");
    let mut client = gateway.client();
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\na: ").unwrap();
    // It may be written on until the end; the answer is on its way all the same.
    wait::until(DEADLINE, "the gateway to give up", || {
        client.send(b"b").ok();
        gateway.access_log().len() == 1
    });
    assert!(backend.requests().is_empty());
    assert_eq!(gateway.wait_access_log(1)[0]["code"], "head.timeout");
}

#[test]
fn deadlines_of_waiting_do_not_touch_requests_in_flight() {
    let backend = Backend::start();
    let gate = Gate::new();
    backend.on("/slow", Script::echo().gated(&gate));
    let gateway = gateway(
        &backend,
        "header-timeout = \"200ms\"\nidle-timeout = \"200ms\"",
    );
    let mut busy = gateway.client();
    busy.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    backend.wait_requests(1);
    // Both deadlines pass on connections that were opened later.
    assert_eq!(raw(gateway.addr(), b"GET /").status(), Some(408));
    gateway.client().wait_closed();
    gate.open();
    assert_eq!(busy.receive("GET").status, 200);
    assert_eq!(busy.get("/again").status, 200);
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "idle-timeout = \"200ms\"");
    let mut never_asked = gateway.client();
    let mut asked = gateway.client();
    assert_eq!(asked.get("/").status, 200);
    asked.wait_closed();
    never_asked.wait_closed();
    let h2c = H2c::connect(gateway.addr());
    h2c.wait_closed().ok();
    assert_eq!(
        gateway.wait_access_log(1).len(),
        1,
        "idle connections are no requests"
    );
}

#[test]
fn a_body_that_stalls_is_answered_408_and_reaches_no_handler() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "body-timeout = \"200ms\"");
    for framing in [
        "Content-Length: 10\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let (status, code) = status_and_code(
            gateway.addr(),
            &format!("POST / HTTP/1.1\r\nHost: x\r\n{framing}"),
        );
        assert_eq!(
            (status, code.as_str()),
            (Some(408), "client.timeout"),
            "{framing:?}"
        );
    }
    let codes: Vec<_> = gateway
        .wait_access_log(2)
        .iter()
        .map(|line| line["code"].clone())
        .collect();
    assert_eq!(codes, ["client.timeout", "client.timeout"]);
    assert!(backend.requests().is_empty());
    assert_eq!(gateway.request("POST", "/", &[], b"whole").status, 200);
}

#[test]
fn a_body_that_is_slow_but_moves_is_taken() {
    let backend = Backend::start();
    let gateway = gateway(&backend, "body-timeout = \"2s\"");
    let mut client = gateway.client();
    client
        .send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n")
        .unwrap();
    for byte in b"abcdefgh" {
        client.send(&[*byte]).unwrap();
    }
    assert_eq!(client.receive("POST").status, 200);
    assert_eq!(backend.last().text(), "abcdefgh");
}

#[test]
fn limits_that_no_machine_keeps_are_refused_at_load() {
    for (key, value) in [
        ("header-bytes-max", "\"16MiB\""),
        ("header-bytes-max", "\"10B\""),
        ("uri-max", "\"512KiB\""),
        ("headers-max", "0"),
        ("headers-max", "1000"),
        ("connections-max", "0"),
        ("header-timeout", "\"0s\""),
        ("idle-timeout", "\"400d\""),
        ("idle-timeout", "30"),
    ] {
        let text = format!(
            "[listener.public]\naddress = \"@address.public@\"\nheader-bytes-max = \"1000KiB\"\n{key} = {value}\n[route.all]\nmatch = \"/**\"\nrespond = {{ status = 204 }}\n"
        );
        // The key itself may not stand twice.
        let text = if key == "header-bytes-max" {
            text.replace("header-bytes-max = \"1000KiB\"\n", "")
        } else {
            text
        };
        let exit = Gateway::try_start(text);
        assert_eq!(exit.code, Some(2), "{key} = {value}: {exit}");
        assert!(exit.stderr.contains(key), "{key} = {value}: {exit}");
    }
}

#[test]
fn new_limits_hold_for_connections_that_are_open() {
    let backend = Backend::start();
    let mut gateway = gateway(&backend, "headers-max = 20");
    let mut client = gateway.client();
    let ten: Vec<(&str, &str)> = vec![("a", "b"); 10];
    assert_eq!(client.request("GET", "/", &ten, b"").status, 200);
    gateway.rewrite_and_wait(
        gateway
            .file("gateway.toml")
            .replace("headers-max = 20", "headers-max = 5"),
    );
    assert_eq!(gateway.reloads().ok, 1);
    let refused = client.request("GET", "/", &ten, b"");
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (431, "head.too-many-fields")
    );
    client.wait_closed();
    assert_eq!(
        raw_until(
            gateway.addr(),
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "\r\n\r\n",
            DEADLINE
        )
        .status(),
        Some(200)
    );
}
