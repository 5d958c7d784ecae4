//! What `/metrics` counts: by route, by refusal, by attempt; with values that only the configuration chooses.

use harness::wait::DEADLINE;
use harness::{Backend, Config, Gateway, H2c, Script, raw, wait};

fn gateway(backend: &Backend) -> Gateway {
    Gateway::start(
        Config::new(
            r#"
        [listener.public]
        address = "@address.public@"
        [upstream.orders]
        targets = ["@upstream.orders@"]
        [upstream.gone]
        targets = ["@upstream.gone@"]
        [route.orders]
        match = "/orders/**"
        upstream = "orders"
        [route.gone]
        match = "/gone"
        upstream = "gone"
        [route.hello]
        match = "/hello"
        respond = { status = 200, body = "hello" }
        [route.nobody]
        match = "/nobody"
        respond = { status = 200 }
        ip-filter = { deny = ["127.0.0.0/8"] }
        [route.nearly]
        match = "/nearly"
        respond = { status = 200 }
        ip-filter = { deny = ["127.0.0.0/8"], mode = "shadow", shadow-until = "2099-01-31" }
    "#,
        )
        .upstream("orders", backend.addr())
        .upstream("gone", Backend::refusing()),
    )
}

/// Waits until a counter has exactly this value: what is counted at a request's end may come after its answer.
fn counted(gateway: &Gateway, name: &str, labels: &[&str], value: u64) {
    wait::until(DEADLINE, &format!("{name}{labels:?} = {value}"), || {
        gateway.metric(name, labels) == value
    });
}

#[test]
fn counts_requests_by_route_and_status() {
    let backend = Backend::start();
    backend.on("/orders/404", Script::status(404));
    let gateway = gateway(&backend);
    let mut client = gateway.client();
    for path in ["/orders/1", "/orders/2", "/orders/404", "/hello"] {
        client.get(path);
    }
    let name = "gateway_requests_total";
    counted(&gateway, name, &[r#"route="orders""#, r#"status="200""#], 2);
    counted(&gateway, name, &[r#"route="orders""#, r#"status="404""#], 1);
    counted(&gateway, name, &[r#"route="hello""#, r#"status="200""#], 1);
    assert_eq!(client.get("/none").status, 404);
    raw(gateway.addr(), b"nonsense\r\n\r\n");
    wait::until(DEADLINE, "requests without a route", || {
        let all = gateway.metric(name, &[]);
        let routed = gateway.metric(name, &[r#"route="orders""#])
            + gateway.metric(name, &[r#"route="hello""#]);
        all - routed == 2
    });
}

#[test]
fn histograms_hold_a_sample_a_request() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let mut client = gateway.client();
    for _ in 0..3 {
        assert_eq!(client.get("/orders/1").status, 200);
    }
    assert_eq!(client.get("/hello").status, 200);
    let orders = [r#"route="orders""#];
    counted(&gateway, "gateway_request_seconds_count", &orders, 3);
    counted(&gateway, "gateway_hop_seconds_count", &orders, 3);
    counted(
        &gateway,
        "gateway_upstream_seconds_count",
        &[r#"route="orders""#, r#"upstream="orders""#],
        3,
    );
    counted(
        &gateway,
        "gateway_hop_seconds_count",
        &[r#"route="hello""#],
        1,
    );
    let metrics = gateway.metrics();
    assert!(
        !metrics.contains(r#"gateway_upstream_seconds_count{route="hello""#),
        "{metrics}"
    );
    for name in ["gateway_request_seconds", "gateway_hop_seconds"] {
        let infinite = gateway.metric(
            &format!("{name}_bucket"),
            &[r#"route="orders""#, r#"le="+Inf""#],
        );
        assert_eq!(infinite, 3, "{name}");
    }
}

/// `sum` and the buckets say of the same time: our share is never more than the whole.
#[test]
fn the_hop_is_a_part_of_the_whole() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    gateway.get("/orders/1");
    counted(
        &gateway,
        "gateway_hop_seconds_count",
        &[r#"route="orders""#],
        1,
    );
    let metrics = gateway.metrics();
    let sum = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| {
            line.starts_with(&format!("{name}_sum{{")) && line.contains(r#"route="orders""#)
        });
        line.and_then(|line| line.rsplit(' ').next())
            .and_then(|value| value.parse().ok())
            .unwrap_or(f64::NAN)
    };
    let (whole, upstream, hop) = (
        sum("gateway_request_seconds"),
        sum("gateway_upstream_seconds"),
        sum("gateway_hop_seconds"),
    );
    assert!(
        hop > 0.0 && upstream > 0.0 && hop + upstream <= whole * 1.001,
        "{hop} + {upstream} > {whole}"
    );
}

#[test]
fn counts_refusals_by_plugin_code_and_mode() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    assert_eq!(gateway.get("/nobody").status, 403);
    assert_eq!(gateway.get("/nobody").status, 403);
    assert_eq!(gateway.get("/nearly").status, 200);
    let name = "gateway_refusals_total";
    let plugin = r#"plugin="ip-filter""#;
    counted(
        &gateway,
        name,
        &[r#"route="nobody""#, plugin, r#"mode="enforce""#],
        2,
    );
    counted(
        &gateway,
        name,
        &[r#"route="nearly""#, plugin, r#"mode="shadow""#],
        1,
    );
    assert_eq!(
        gateway.metric(name, &[r#"route="nobody""#, r#"mode="shadow""#]),
        0
    );
    assert_eq!(
        gateway.metric(name, &[r#"route="nearly""#, r#"mode="enforce""#]),
        0
    );
}

#[test]
fn counts_attempts_by_result() {
    let backend = Backend::start();
    backend.on("/orders/reset", Script::reset());
    let gateway = gateway(&backend);
    assert_eq!(gateway.get("/orders/1").status, 200);
    assert_eq!(gateway.get("/gone").status, 502);
    assert_eq!(
        gateway.request("POST", "/orders/reset", &[], b"x").status,
        502
    );
    let name = "gateway_upstream_attempts_total";
    let target = format!(r#"target="{}""#, backend.addr());
    counted(
        &gateway,
        name,
        &[r#"upstream="orders""#, &target, r#"result="answered""#],
        1,
    );
    counted(
        &gateway,
        name,
        &[r#"upstream="gone""#, r#"result="connect-failed""#],
        1,
    );
    counted(
        &gateway,
        name,
        &[r#"upstream="orders""#, r#"result="broken""#],
        1,
    );
}

#[test]
fn counters_survive_a_reload_and_vanish_with_their_route() {
    let backend = Backend::start();
    let mut gateway = gateway(&backend);
    assert_eq!(gateway.get("/hello").status, 200);
    let name = "gateway_requests_total";
    counted(&gateway, name, &[r#"route="hello""#], 1);
    let text = gateway.file("gateway.toml");
    gateway.rewrite_config(text.replace("body = \"hello\"", "body = \"hullo\""));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/hello").text(), "hullo");
    counted(&gateway, name, &[r#"route="hello""#], 2);
    assert_eq!(gateway.reloads().ok, 1);
    gateway.rewrite_config(text.replace("[route.hello]", "[route.renamed]"));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(gateway.get("/hello").status, 200);
    counted(&gateway, name, &[r#"route="renamed""#], 1);
    wait::until(DEADLINE, "the old series to go", || {
        gateway.reload();
        gateway.metric(name, &[r#"route="hello""#]) == 0
    });
}

#[test]
fn names_that_are_alike_keep_their_own_series() {
    let route =
        |name: &str| format!("[route.{name}]\nmatch = \"/{name}\"\nrespond = {{ status = 204 }}\n");
    let names = ["a", "a-b", "a-b-c", "ab", "a1", "x-9-z", &"n".repeat(60)];
    let routes: String = names.iter().map(|name| route(name)).collect();
    let gateway = Gateway::start(format!(
        "[listener.public]\naddress = \"@address.public@\"\n{routes}"
    ));
    for (number, name) in names.iter().enumerate() {
        for _ in 0..=number {
            assert_eq!(gateway.get(&format!("/{name}")).status, 204);
        }
    }
    for (count, name) in (1..).zip(names) {
        counted(
            &gateway,
            "gateway_requests_total",
            &[&format!("route=\"{name}\"")],
            count,
        );
    }
}

/// Whatever clients invent, the number of series stays the same.
#[test]
fn clients_cannot_make_series() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    let ask = |number: usize| {
        let mut client = gateway.client();
        client.request(
            &format!("M{number}"),
            "/hello",
            &[("host", &format!("h{number}.example"))],
            b"",
        );
        client.request(
            "GET",
            &format!("/none/{number}"),
            &[("x-request-id", &format!("id-{number}"))],
            b"",
        );
        H2c::connect(gateway.addr()).get(&format!("/orders/{number}"));
    };
    let series = || {
        gateway
            .metrics()
            .lines()
            .filter(|line| !line.starts_with('#'))
            .count()
    };
    ask(0);
    counted(
        &gateway,
        "gateway_requests_total",
        &[r#"route="orders""#],
        1,
    );
    let before = series();
    (1..9).for_each(ask);
    counted(
        &gateway,
        "gateway_requests_total",
        &[r#"route="orders""#],
        9,
    );
    assert_eq!(series(), before, "{}", gateway.metrics());
}

#[test]
fn the_text_is_what_prometheus_reads() {
    let backend = Backend::start();
    let gateway = gateway(&backend);
    gateway.get("/orders/1");
    gateway.get("/nobody");
    counted(
        &gateway,
        "gateway_requests_total",
        &[r#"route="orders""#],
        1,
    );
    counted(
        &gateway,
        "gateway_requests_total",
        &[r#"route="nobody""#],
        1,
    );
    let text = gateway.metrics();
    assert!(text.ends_with('\n'));
    let mut typed = std::collections::BTreeSet::new();
    let mut seen = std::collections::BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(
                name.starts_with("gateway_") || name.starts_with("process_"),
                "{line}"
            );
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert!(typed.insert(name.to_owned()), "two types: {line}");
            continue;
        }
        if line.starts_with('#') {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        assert!(seen.insert(series.to_owned()), "twice: {line}");
        let name = series.split('{').next().unwrap();
        let family = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|end| name.strip_suffix(end))
            .unwrap_or(name);
        assert!(
            typed.contains(name) || typed.contains(family),
            "no type: {line}"
        );
    }
    for name in [
        "gateway_requests_total",
        "gateway_request_seconds",
        "gateway_upstream_seconds",
        "gateway_hop_seconds",
        "gateway_refusals_total",
        "gateway_upstream_attempts_total",
        "gateway_upstream_in_flight",
        "gateway_connections",
        "gateway_config_reloads_total",
        "gateway_lookups_total",
    ] {
        assert!(typed.contains(name), "{name} is missing:\n{text}");
    }
}
