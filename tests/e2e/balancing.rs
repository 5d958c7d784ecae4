//! Which target a request goes to: what several backends count says whether the algorithm did what it promises.

use std::collections::BTreeSet;

use harness::wait::{self, DEADLINE};
use harness::{Backend, Client, Config, Gate, Gateway, H2Request, H2c, Response, Script};

use crate::fixture::assert_refused;

const NAMES: [&str; 3] = ["a", "b", "c"];

fn backends<const N: usize>() -> [Backend; N] {
    std::array::from_fn(|n| Backend::named(NAMES[n]))
}

/// A configuration with these backends as `@upstream.a@` and so on, and these lines in the upstream's table.
fn config(upstream: &str, backends: &[Backend]) -> Config {
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n[upstream.orders]\n{upstream}\n\
         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\ntimeout = \"20s\"\n"
    );
    let named = NAMES.iter().zip(backends);
    named.fold(Config::new(text), |config, (name, backend)| {
        config.upstream(name, backend.addr())
    })
}

fn gateway(upstream: &str, backends: &[Backend]) -> Gateway {
    Gateway::start(config(upstream, backends))
}

const TWO: &str = "targets = [\"@upstream.a@\", \"@upstream.b@\"]\n";
const THREE: &str = "targets = [\"@upstream.a@\", \"@upstream.b@\", \"@upstream.c@\"]\n";

fn counts(backends: &[Backend]) -> Vec<usize> {
    let count = |backend: &Backend| backend.requests().len();
    backends.iter().map(count).collect()
}

fn served_by(answer: &Response) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.header("x-backend").unwrap().to_owned()
}

/// Requests under way at each target, as `/upstreams` says.
fn in_flight(gateway: &Gateway) -> Vec<u64> {
    let upstreams = gateway.admin_get("/upstreams").json();
    let targets = upstreams[0]["targets"].as_array().unwrap();
    let count = |target: &serde_json::Value| target["in-flight"].as_u64().unwrap();
    targets.iter().map(count).collect()
}

fn wait_in_flight(gateway: &Gateway, expected: &[u64]) {
    wait::until(DEADLINE, &format!("{expected:?} in flight"), || {
        in_flight(gateway) == expected
    });
}

/// A client whose request was read by a backend, and waits there.
fn held(gateway: &Gateway, backends: &[Backend]) -> Client {
    let before: usize = counts(backends).iter().sum();
    let mut client = gateway.client();
    client
        .send(b"GET /held HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    wait::until(DEADLINE, "the request to arrive", || {
        counts(backends).iter().sum::<usize>() > before
    });
    client
}

fn holding<const N: usize>(gate: &Gate) -> [Backend; N] {
    let backends = backends();
    for backend in &backends {
        backend.on("/held", Script::answer(200, "late").gated(gate));
    }
    backends
}

#[test]
fn round_robin_follows_the_weights() {
    let backends: [Backend; 2] = backends();
    let targets = "targets = [{ address = \"@upstream.a@\", weight = 3 }, \"@upstream.b@\"]\n";
    let gateway = gateway(targets, &backends);
    let mut client = gateway.client();
    for _ in 0..40 {
        served_by(&client.get("/"));
    }
    assert_eq!(counts(&backends), [30, 10]);
}

#[test]
fn every_algorithm_uses_every_target() {
    for balance in ["random", "least-request", "ewma"] {
        let backends: [Backend; 3] = backends();
        let gateway = gateway(&format!("{THREE}balance = \"{balance}\""), &backends);
        let mut client = gateway.client();
        for _ in 0..120 {
            served_by(&client.get("/"));
        }
        let counts = counts(&backends);
        assert!(
            counts.iter().all(|count| *count > 0),
            "{balance}: {counts:?}"
        );
        assert_eq!(counts.iter().sum::<usize>(), 120);
    }
}

#[test]
fn least_request_leaves_the_busy_one_alone() {
    let gate = Gate::new();
    let backends: [Backend; 2] = holding(&gate);
    let gateway = gateway(&format!("{TWO}balance = \"least-request\""), &backends);
    let mut waiting = held(&gateway, &backends);
    let busy = counts(&backends)
        .iter()
        .position(|count| *count == 1)
        .unwrap();
    let mut client = gateway.client();
    for _ in 0..30 {
        served_by(&client.get("/"));
    }
    assert_eq!(
        counts(&backends)[busy],
        1,
        "it works on one request already"
    );
    assert_eq!(counts(&backends)[1 - busy], 30);
    gate.open();
    assert_eq!(waiting.receive("GET").text(), "late");
}

#[test]
fn the_same_value_goes_to_the_same_target() {
    let backends: [Backend; 3] = backends();
    let upstream = format!("{THREE}balance = \"hash\"\nhash-on = \"header.x-tenant\"");
    let gateway = gateway(&upstream, &backends);
    let mut client = gateway.client();
    let mut used = BTreeSet::new();
    for tenant in 0..30 {
        let tenant = format!("tenant-{tenant}");
        let mut ask =
            |method| served_by(&client.request(method, "/", &[("x-tenant", &tenant)], b""));
        let first = ask("GET");
        assert!((0..3).all(|_| ask("POST") == first));
        used.insert(first);
    }
    assert_eq!(used.len(), 3, "thirty tenants spread over all");
}

#[test]
fn a_request_without_the_value_goes_anywhere() {
    let backends: [Backend; 2] = backends();
    let upstream = format!("{TWO}balance = \"hash\"\nhash-on = \"header.x-tenant\"");
    let gateway = gateway(&upstream, &backends);
    let mut client = gateway.client();
    for _ in 0..60 {
        served_by(&client.get("/"));
    }
    assert!(counts(&backends).iter().all(|count| *count > 0));
}

/// The cookie's value out of `Set-Cookie`.
fn cookie(answer: &Response) -> String {
    let field = answer.header("set-cookie").expect("a cookie");
    let (value, attributes) = field.strip_prefix("lb=").unwrap().split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=3600; HttpOnly; SameSite=Lax");
    value.to_owned()
}

#[test]
fn a_cookie_keeps_a_client_at_its_target() {
    let backends: [Backend; 3] = backends();
    let upstream = format!("{THREE}sticky-cookie = {{ name = \"lb\", max-age = \"1h\" }}");
    let gateway = gateway(&upstream, &backends);
    let mut client = gateway.client();
    let answer = client.get("/");
    let (first, value) = (served_by(&answer), cookie(&answer));
    assert!(!value.contains(&backends[0].addr().port().to_string()));
    let sent = format!("theme=dark; lb={value}");
    for _ in 0..6 {
        let answer = client.request("GET", "/", &[("cookie", &sent)], b"");
        assert_eq!(served_by(&answer), first);
        assert_eq!(answer.header("set-cookie"), None, "it has the right one");
    }
    let forged = client.request("GET", "/", &[("cookie", "lb=0123456789abcdef")], b"");
    assert_ne!(cookie(&forged), "0123456789abcdef");
}

#[test]
fn a_named_key_makes_the_same_cookies_after_a_restart() {
    let backends: [Backend; 1] = backends();
    let upstream = "targets = [\"@upstream.a@\"]\n\
                    sticky-cookie = { name = \"lb\", key = \"file:lb.key\", max-age = \"1h\" }";
    let start = |key: &str| Gateway::start(config(upstream, &backends).file("lb.key", key));
    let value = |gateway: &Gateway| cookie(&gateway.get("/"));
    assert_eq!(value(&start("one\n")), value(&start("one")));
    assert_ne!(value(&start("one")), value(&start("two")));
}

#[test]
fn a_backup_serves_only_while_no_other_can() {
    let backends: [Backend; 2] = backends();
    let upstream = |primary: &str| {
        let backup = "{ address = \"@upstream.b@\", backup = true }";
        config(&format!("targets = [\"{primary}\", {backup}]"), &backends)
    };
    let mut gateway = Gateway::start(upstream("@upstream.a@"));
    for _ in 0..10 {
        assert_eq!(served_by(&gateway.get("/")), "a");
    }
    gateway.rewrite_and_wait(upstream("nowhere.invalid:80"));
    assert_eq!(served_by(&gateway.get("/")), "b");
}

#[test]
fn an_upstream_that_is_full_is_503() {
    let gate = Gate::new();
    let backends: [Backend; 1] = holding(&gate);
    let upstream = "targets = [\"@upstream.a@\"]\nconnections-max = 2";
    let gateway = gateway(upstream, &backends);
    let mut first = held(&gateway, &backends);
    let mut second = held(&gateway, &backends);
    let refused = gateway.get("/");
    assert_refused(&refused, 503, "upstream.full");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(backends[0].requests().len(), 2);
    gate.open();
    assert_eq!(first.receive("GET").status, 200);
    assert_eq!(second.receive("GET").status, 200);
    wait_in_flight(&gateway, &[0]);
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn nothing_stays_in_flight_whatever_ends_a_request() {
    let gate = Gate::new();
    let backends: [Backend; 1] = holding(&gate);
    let backend = &backends[0];
    backend
        .on("/reset", Script::reset())
        .on("/stall", Script::stall());
    backend.on("/trickle", Script::trickle(&gate, ["one", "two"]));
    backend.on("/upgrade", Script::upgrade());
    let upstream = "targets = [\"@upstream.a@\"]\nread-timeout = \"3s\"\nconnections-max = 10";
    let gateway = gateway(upstream, &backends);

    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(gateway.get("/reset").status, 502);
    assert_eq!(gateway.get("/stall").status, 504);
    wait_in_flight(&gateway, &[0]);

    let leaving = held(&gateway, &backends);
    drop(leaving);
    wait_in_flight(&gateway, &[0]);

    let mut reading = gateway.client();
    reading
        .send(b"GET /trickle HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    assert_eq!(reading.receive_head().0, 200);
    drop(reading);
    wait_in_flight(&gateway, &[0]);

    let mut tunnel = gateway.client();
    tunnel
        .send(b"GET /upgrade HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        .unwrap();
    assert_eq!(tunnel.receive_head().0, 101);
    wait_in_flight(&gateway, &[1]);
    drop(tunnel);
    wait_in_flight(&gateway, &[0]);

    let mut streams = H2c::connect(gateway.addr());
    let both = vec![
        H2Request::new("GET", "/stall"),
        H2Request::new("GET", "/reset"),
    ];
    let answers = streams.together(both);
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap().status >= 502)
    );
    wait_in_flight(&gateway, &[0]);
}

#[test]
fn a_reload_keeps_what_is_in_flight() {
    let gate = Gate::new();
    let backends: [Backend; 2] = holding(&gate);
    let mut gateway = gateway("targets = [\"@upstream.a@\"]", &backends);
    let mut waiting = held(&gateway, &backends);
    wait_in_flight(&gateway, &[1]);
    let labels = ["upstream=\"orders\""];
    assert_eq!(gateway.metric("gateway_upstream_in_flight", &labels), 1);
    gateway.rewrite_and_wait(config(TWO, &backends));
    assert_eq!(in_flight(&gateway), [1, 0]);
    gate.open();
    assert_eq!(waiting.receive("GET").status, 200);
    wait_in_flight(&gateway, &[0, 0]);
}
