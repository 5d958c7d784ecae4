//! The access log: one JSON line a request with known fields, which nobody outside can forge, and which rotates.

use std::fs;

use harness::wait::DEADLINE;
use harness::{Backend, Client, Config, Gate, Gateway, H2Request, H2c, Script, raw, wait};
use serde_json::Value;

const TEXT: &str = r#"
    [listener.public]
    address = "@address.public@"
    [upstream.orders]
    targets = ["@upstream.orders@"]
    [route.orders]
    match = "/orders/**"
    upstream = "orders"
    [route.hello]
    match = "/hello/**"
    respond = { status = 200, body = "hello" }
    [route.nearly]
    match = "/nearly"
    respond = { status = 200 }
    ip-filter = { deny = ["127.0.0.0/8"], mode = "shadow", shadow-until = "2099-01-31" }
    [route.nobody]
    match = "/nobody"
    respond = { status = 200 }
    ip-filter = { deny = ["127.0.0.0/8"] }
"#;

fn config(keys: &str, backend: &Backend) -> Config {
    let log = format!("\n[access-log]\npath = \"@dir@/access.log\"\n{keys}\n");
    Config::new(TEXT.to_owned() + &log).upstream("orders", backend.addr())
}

fn keys(line: &Value) -> Vec<&str> {
    line.as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// Reads the lines as text: a forged one would still be JSON.
fn lines(gateway: &Gateway, count: usize) -> Vec<String> {
    gateway.wait_access_log(count);
    gateway
        .file("access.log")
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_forwarded_request_has_every_field() {
    let backend = Backend::start();
    backend.always(Script::answer(201, "four"));
    let gateway = Gateway::start(config("", &backend));
    let answer = gateway.request(
        "POST",
        "/orders/7?token=secret",
        &[("host", "API.example.com:80")],
        b"123",
    );
    let line = gateway.wait_access_log(1).swap_remove(0);
    let expected: [(&str, Value); 15] = [
        ("client", "127.0.0.1".into()),
        ("listener", "public".into()),
        ("method", "POST".into()),
        ("host", "api.example.com".into()),
        ("path", "/orders/7".into()),
        ("protocol", "HTTP/1.1".into()),
        ("route", "orders".into()),
        ("status", 201.into()),
        ("upstream", "orders".into()),
        ("target", backend.addr().to_string().into()),
        ("attempts", 1.into()),
        ("bytes_in", 3.into()),
        ("bytes_out", 4.into()),
        ("request_id", answer.header("x-request-id").unwrap().into()),
        (
            "request_id",
            backend.last().header("x-request-id").unwrap().into(),
        ),
    ];
    for (key, value) in expected {
        assert_eq!(line[key], value, "{key}");
    }
    let time = line["time"].as_str().unwrap();
    assert!(
        time.len() >= 20 && time.ends_with('Z') && time.as_bytes()[10] == b'T',
        "{time}"
    );
    let millis = |key: &str| line[key].as_f64().unwrap();
    assert!(
        millis("total_ms") >= millis("upstream_ms") && millis("hop_ms") >= 0.0,
        "{line}"
    );
    assert_eq!(line.get("code"), None);
    assert_eq!(line.get("query"), None);
    assert!(!gateway.file("access.log").contains("secret"));
    let known = [
        "time",
        "request_id",
        "client",
        "listener",
        "method",
        "host",
        "path",
        "protocol",
        "route",
        "status",
        "upstream",
        "target",
        "attempts",
        "bytes_in",
        "bytes_out",
        "total_ms",
        "upstream_ms",
        "hop_ms",
    ];
    let mut sorted = (keys(&line), known.to_vec());
    sorted.0.sort_unstable();
    sorted.1.sort_unstable();
    assert_eq!(sorted.0, sorted.1);
}

#[test]
fn answers_of_our_own_are_logged_with_their_code() {
    let backend = Backend::start();
    let gateway = Gateway::start(config("", &backend));
    let mut client = gateway.client();
    for path in ["/hello/a", "/none", "/nobody", "/nearly"] {
        client.get(path);
    }
    let log = gateway.wait_access_log(4);
    let short: Vec<(u64, &str, &str)> = log
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default();
            (
                line["status"].as_u64().unwrap(),
                text("route"),
                text("code"),
            )
        })
        .collect();
    assert_eq!(short[0], (200, "hello", ""));
    assert_eq!(short[1], (404, "", "route.none"));
    assert_eq!((short[2].0, short[2].1), (403, "nobody"));
    assert!(short[2].2.starts_with("ip-filter."), "{short:?}");
    assert_eq!(short[3], (200, "nearly", ""));
    assert!(
        log[3]["shadowed"][0]
            .as_str()
            .unwrap()
            .starts_with("ip-filter."),
        "{}",
        log[3]
    );
    for line in &log {
        assert_eq!(line["attempts"], 0);
        assert_eq!(
            (line.get("target"), line.get("upstream_ms")),
            (None, None),
            "{line}"
        );
    }
    assert_eq!(log[0]["bytes_out"], 5);
}

#[test]
fn http2_requests_have_a_line_each() {
    let backend = Backend::start();
    let gateway = Gateway::start(config("", &backend));
    let mut client = H2c::connect(gateway.addr());
    let ask = |number: usize| {
        H2Request::new("GET", &format!("/hello/{number}")).authority("api.example.com")
    };
    client.together((0..5).map(ask).collect());
    let log = gateway.wait_access_log(5);
    let mut paths: Vec<&str> = log
        .iter()
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        ["/hello/0", "/hello/1", "/hello/2", "/hello/3", "/hello/4"]
    );
    for line in &log {
        assert_eq!(
            (&line["protocol"], &line["host"]),
            (&"HTTP/2".into(), &"api.example.com".into())
        );
    }
}

#[test]
fn nothing_that_a_client_sends_forges_a_line() {
    let backend = Backend::start();
    let gateway = Gateway::start(config("query = true", &backend));
    let forged = r#""},{"status":200,"route":"forged"#;
    let requests: Vec<Vec<u8>> = vec![
        b"GET /hello/%0a%7b%22status%22:200%7d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
        b"GET /hello/%22,%22route%22:%22forged HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
        format!("GET /hello/a?{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "q=%0d%0a'\\x").into_bytes(),
        format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", forged.replace(' ', "")).into_bytes(),
        format!("{forged} / HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes(),
        b"GET /hello/\xff\xfe\xe2\x80\xa8 HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"GET /hello/a HTTP/1.1\r\nHost: \"x\r\n\r\n".to_vec(),
        b"GET /hello/a HTTP/1.1\r\nHost: x\r\nX-Request-Id: a\",\"route\":\"forged\r\nUser-Agent: \xff\xfe\"\r\nConnection: close\r\n\r\n".to_vec(),
        b"GET /hello/\x1b[2J HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"\"}\r\n{\"status\":200,\"route\":\"forged\"}\r\n\r\n".to_vec(),
        b"GET /hello/a\rb HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
    ];
    for (number, bytes) in requests.iter().enumerate() {
        raw(gateway.addr(), bytes);
        let lines = lines(&gateway, number + 1);
        let shown = bytes.escape_ascii();
        assert_eq!(lines.len(), number + 1, "{shown}: {lines:?}");
        let line = &lines[number];
        assert!(line.bytes().all(|byte| byte >= b' '), "{shown}: {line:?}");
        let value: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{shown}: {error} in {line}"));
        assert_ne!(value["route"], "forged", "{shown}");
        // As often as the key is written, so often it is a key: nothing was written twice over.
        assert!(line.matches("\"status\":").count() >= 1);
        assert_eq!(value["listener"], "public", "{shown}");
        assert!(
            value["status"].as_u64() != Some(200) || value["route"] == "hello",
            "{shown}: {line}"
        );
    }
}

#[test]
fn the_query_is_logged_only_where_it_is_wanted() {
    let backend = Backend::start();
    let gateway = Gateway::start(config("query = true", &backend));
    let mut client = gateway.client();
    client.get("/orders/1?a=b&c=%22");
    client.get("/orders/1");
    let log = gateway.wait_access_log(2);
    assert_eq!(log[0]["query"], "a=b&c=%22");
    assert_eq!(log[1].get("query"), None);
    assert_eq!(backend.requests()[0].target, "/orders/1?a=b&c=%22");
}

#[test]
fn a_refused_head_never_logs_its_query() {
    let backend = Backend::start();
    let gateway = Gateway::start(config("", &backend));
    raw(gateway.addr(), b"GET /a?token=secret HTTP/1.1\r\n\r\n");
    raw(
        gateway.addr(),
        b"GET http://u:secret@x/a?b HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    raw(gateway.addr(), b"GET /?secret\r\n\r\n");
    raw(gateway.addr(), b"?secret x y\r\n\r\n");
    let log = gateway.wait_access_log(4);
    assert!(log.iter().any(|line| line["path"] == "/a"), "{log:?}");
    assert!(
        !gateway.file("access.log").contains("secret"),
        "{}",
        gateway.file("access.log")
    );
}

#[test]
fn a_sample_of_nothing_still_logs_failures() {
    let backend = Backend::start();
    let gateway = Gateway::start(config("sample = \"0%\"", &backend));
    let mut client = gateway.client();
    for _ in 0..5 {
        assert_eq!(client.get("/hello/a").status, 200);
    }
    assert_eq!(client.get("/none").status, 404);
    raw(gateway.addr(), b"nonsense\r\n\r\n");
    assert_eq!(client.get("/hello/a").status, 200);
    assert_eq!(client.get("/nobody").status, 403);
    let log = gateway.wait_access_log(3);
    let mut statuses: Vec<_> = log
        .iter()
        .map(|line| line["status"].as_u64().unwrap())
        .collect();
    // Each worker has its own buffer: lines of different connections come in any order.
    statuses.sort_unstable();
    assert_eq!(statuses, [400, 403, 404]);
}

#[test]
fn off_logs_nothing_and_can_be_turned_on_by_a_reload() {
    let backend = Backend::start();
    let with = |path: &str| {
        Config::new(format!("{TEXT}\n[access-log]\npath = \"{path}\"\n"))
            .upstream("orders", backend.addr())
    };
    let mut gateway = Gateway::start(with("off"));
    assert_eq!(gateway.get("/hello/a").status, 200);
    raw(gateway.addr(), b"nonsense\r\n\r\n");
    gateway.rewrite_config(with("@dir@/access.log"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/hello/b").status, 200);
    assert_eq!(gateway.wait_access_log(1)[0]["path"], "/hello/b");
    gateway.rewrite_config(with("@dir@/other.log"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/hello/c").status, 200);
    assert_eq!(gateway.wait_access_log(1)[0]["path"], "/hello/c");
    assert_eq!(gateway.file("access.log").lines().count(), 1);
}

#[test]
fn stdout_holds_the_lines_and_nothing_else() {
    let backend = Backend::start();
    let text = format!("{TEXT}\n[access-log]\npath = \"stdout\"\n");
    let gateway = Gateway::start(Config::new(text).upstream("orders", backend.addr()));
    gateway.get("/hello/a");
    gateway.get("/none");
    assert_eq!(gateway.wait_access_log(2).len(), 2);
    gateway.reload();
    gateway.get("/hello/b");
    assert_eq!(gateway.wait_access_log(3)[2]["path"], "/hello/b");
}

#[test]
fn the_file_is_opened_again_on_usr1() {
    let backend = Backend::start();
    let gateway = Gateway::start(config("", &backend));
    gateway.get("/hello/before");
    gateway.wait_access_log(1);
    fs::rename(gateway.path("access.log"), gateway.path("access.log.1")).unwrap();
    gateway.get("/hello/moved");
    wait::until(DEADLINE, "a second line in the moved file", || {
        gateway.file("access.log.1").lines().count() == 2
    });
    gateway.signal("USR1");
    wait::until(DEADLINE, "a new file", || {
        gateway.path("access.log").exists()
    });
    gateway.get("/hello/after");
    assert_eq!(gateway.wait_access_log(1)[0]["path"], "/hello/after");
    assert_eq!(gateway.file("access.log.1").lines().count(), 2);
}

#[test]
fn clients_that_go_are_logged_as_499() {
    let backend = Backend::start();
    let gate = Gate::new();
    backend.on("/orders/slow", Script::echo().gated(&gate));
    let gateway = Gateway::start(config("", &backend));
    let mut client: Client = gateway.client();
    client
        .send(b"GET /orders/slow HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    backend.wait_requests(1);
    drop(client);
    let line = gateway.wait_access_log(1).swap_remove(0);
    assert_eq!(
        (&line["status"], &line["code"]),
        (&499.into(), &"client.gone".into())
    );
    gate.open();
}

/// Many clients at once, then the end: every request has its line, whole.
#[test]
fn no_line_is_lost_or_torn_at_the_end() {
    let backend = Backend::start();
    let mut gateway = Gateway::start(config("", &backend));
    let addr = gateway.addr();
    let asking: Vec<_> = (0..4)
        .map(|thread| {
            std::thread::spawn(move || {
                let mut client = Client::connect(addr);
                for number in 0..50 {
                    assert_eq!(client.get(&format!("/hello/{thread}-{number}")).status, 200);
                }
            })
        })
        .collect();
    for thread in asking {
        thread.join().unwrap();
    }
    gateway.signal("TERM");
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
    let log = gateway.access_log();
    let paths: std::collections::BTreeSet<&str> = log
        .iter()
        .map(|line| line["path"].as_str().unwrap())
        .collect();
    assert_eq!((log.len(), paths.len()), (200, 200));
    let ids: std::collections::BTreeSet<&str> = log
        .iter()
        .map(|line| line["request_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 200, "request ids are unique");
}

#[test]
fn a_line_holds_what_the_configuration_wants() {
    let backend = Backend::start();
    let wanted = r#"fields = ["status", "route", "header.user-agent", "query.page", "query.size", "path.id", "consumer.plan"]"#;
    let gateway = Gateway::start(config(wanted, &backend));
    let headers = [("user-agent", "a \"quoted\" one")];
    gateway.request("GET", "/orders/7?page=2&size=1&size=2", &headers, b"");
    let line = gateway.wait_access_log(1).swap_remove(0);
    assert_eq!(
        keys(&line),
        ["time", "route", "status", "header.user-agent", "query.page"],
        "what is missing or repeated is left out"
    );
    assert_eq!(line["header.user-agent"], "a \"quoted\" one");
    assert_eq!(line["query.page"], "2");
    // A head that is refused before any route is known has what it can have.
    raw(gateway.addr(), b"GET / HTTP/1.1\r\n\r\n");
    let line = gateway.wait_access_log(2).swap_remove(1);
    assert_eq!(keys(&line), ["time", "status"]);
}

#[test]
fn a_reload_changes_what_a_line_holds() {
    let backend = Backend::start();
    let mut gateway = Gateway::start(config("", &backend));
    gateway.request("GET", "/hello/a", &[], b"");
    gateway.wait_access_log(1);
    gateway.rewrite_and_wait(config(r#"fields = ["path"]"#, &backend));
    gateway.request("GET", "/hello/b", &[], b"");
    let line = gateway.wait_access_log(2).swap_remove(1);
    assert_eq!(keys(&line), ["time", "path"]);
}
