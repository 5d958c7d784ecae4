//! `[overload]`: who is turned away while the gateway itself has too much to do, and who never is.

use std::thread;
use std::time::Duration;

use harness::wait::DEADLINE;
use harness::{Backend, Client, Config, Gate, Gateway, H2c, Response, Script, wait};

use crate::fixture::{EVERYTHING, assert_refused, config, consumers};

/// For consumers of two plans, and a public path.
const PLANS: &str = r#"
    [route.all]
    match = "/**"
    upstream = "orders"
    auth = "keys"
    [route.public]
    match = "/public"
    upstream = "orders"
    auth = "none"
"#;

fn overloaded(keys: &str, routes: &str, orders: &Backend) -> Config {
    config(&format!("[overload]\n{keys}\n{routes}"), orders)
}

fn by_plan(keys: &str, orders: &Backend) -> Config {
    overloaded(keys, &format!("{}{PLANS}", consumers()), orders)
}

fn start(keys: &str) -> (Gateway, Backend) {
    let orders = Backend::start();
    (
        Gateway::start(overloaded(keys, EVERYTHING, &orders)),
        orders,
    )
}

fn shed(gateway: &Gateway, labels: &[&str]) -> u64 {
    gateway.metric("gateway_overload_shed_total", labels)
}

/// The first answer that is a refusal.
fn until_refused(what: &str, mut ask: impl FnMut() -> Response) -> Response {
    wait::until_some(DEADLINE, what, || {
        Some(ask()).filter(|answer| answer.status != 200)
    })
}

fn until_served(what: &str, mut ask: impl FnMut() -> Response) {
    wait::until(DEADLINE, what, || ask().status == 200);
}

#[test]
fn connections_beyond_the_limit_are_answered_and_closed_and_the_others_go_on() {
    let (gateway, _orders) = start("connections = 2\nretry-after = \"7s\"");
    let (mut first, mut second) = (gateway.client(), gateway.client());
    for _ in 0..50 {
        assert_eq!(first.get("/").status, 200);
        assert_eq!(second.get("/").status, 200);
    }
    assert_eq!(shed(&gateway, &[]), 0, "as many as there may be");
    let mut third = gateway.client();
    let refused = third.get("/");
    assert_refused(&refused, 503, "gateway.overloaded");
    assert_eq!(refused.header("retry-after"), Some("7"));
    third.wait_closed();
    for client in [&mut first, &mut second] {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(shed(&gateway, &[r#"reason="connections""#]), 1);
    gateway.wait_log("Too much to do");
    drop(first);
    until_served("there is room again", || gateway.get("/"));
}

#[test]
fn a_connection_of_http_2_beyond_the_limit_is_served_when_there_is_room() {
    let (gateway, _orders) = start("connections = 1");
    let mut first = gateway.client();
    assert_eq!(first.get("/").status, 200);
    let mut second = H2c::connect(gateway.addr());
    let refused = second.get("/");
    assert_refused(&refused, 503, "gateway.overloaded");
    drop(first);
    until_served("there is room for it", || second.get("/"));
}

#[test]
fn too_much_memory_turns_everybody_away_but_operators_and_who_is_inside() {
    let (orders, gate) = (Backend::start(), Gate::new());
    orders.on("/slow", Script::echo().gated(&gate));
    let limited = |memory: &str| {
        let keys = format!("memory = \"{memory}\"\nshed-status = 429\nretry-after = \"1500ms\"");
        overloaded(&keys, EVERYTHING, &orders)
    };
    let mut gateway = Gateway::start(limited("1024GiB"));
    let addr = gateway.addr();
    thread::scope(|scope| {
        let inside = scope.spawn(move || Client::connect(addr).get("/slow"));
        orders.wait_requests(1);
        gateway.rewrite_and_wait(limited("1MiB"));
        let refused = until_refused("everybody is refused", || gateway.get("/"));
        assert_refused(&refused, 429, "gateway.overloaded");
        assert_eq!(refused.header("retry-after"), Some("2"));
        assert_refused(&gateway.get("/"), 429, "gateway.overloaded");
        for page in ["/readyz", "/healthz", "/metrics"] {
            assert_eq!(gateway.admin_get(page).status, 200, "{page}");
        }
        gate.open();
        assert_eq!(inside.join().unwrap().status, 200);
    });
    assert!(shed(&gateway, &[r#"reason="memory""#, r#"plan="""#]) >= 2);
    assert!(gateway.metric("gateway_overload_state", &[]) >= 2);
    assert!(gateway.metric("gateway_overload_memory_bytes", &[]) > 1 << 20);
    gateway.wait_log("Too much to do");
    let is_logged = |line: &serde_json::Value| line["code"] == "gateway.overloaded";
    wait::until(DEADLINE, "it is in the log", || {
        gateway.access_log().iter().any(is_logged)
    });
    gateway.rewrite_and_wait(limited("1024GiB"));
    until_served("there is room again", || gateway.get("/"));
    gateway.wait_log("No longer too much to do");
}

#[test]
fn the_first_plans_go_and_the_last_one_stays() {
    let orders = Backend::start();
    let mut gateway = Gateway::start(by_plan("memory = \"1024GiB\"", &orders));
    let by = |gateway: &Gateway, key: &str| gateway.request("GET", "/", &[("x-api-key", key)], b"");
    for _ in 0..20 {
        assert_eq!(by(&gateway, "sesame").status, 200);
    }
    // What a reload takes is not to count.
    assert_eq!(gateway.reload().status, 200);
    // Below the limit, and far enough beyond four fifths of it that the first of five plans is refused wholly.
    let limit = gateway.rss_kib() * 100 / 90;
    let keys = |mode: &str| {
        let plans = r#"plans = ["free", "a", "b", "c", "premium"]"#;
        let keys = format!("memory = \"{limit}KiB\"\n{plans}\n{mode}");
        by_plan(&keys, &orders)
    };
    gateway.rewrite_and_wait(keys(""));
    let refused = until_refused("free is refused", || by(&gateway, "sesame"));
    assert_refused(&refused, 503, "gateway.overloaded");
    for _ in 0..20 {
        assert_eq!(by(&gateway, "sesame").status, 503);
        assert_eq!(by(&gateway, "abracadabra").status, 200);
        assert_eq!(
            by(&gateway, "wrong").status,
            401,
            "known before it is judged"
        );
        assert_eq!(
            gateway.get("/public").status,
            503,
            "nobody is of the first plan"
        );
    }
    let of_free = [r#"plan="free""#, r#"mode="enforce""#];
    assert!(shed(&gateway, &of_free) >= 41);
    assert_eq!(shed(&gateway, &[r#"plan="premium""#]), 0);
    gateway.rewrite_and_wait(keys("mode = \"shadow\""));
    until_served("nobody is refused in shadow", || by(&gateway, "sesame"));
    wait::until(DEADLINE, "it is counted", || {
        assert_eq!(by(&gateway, "sesame").status, 200);
        shed(&gateway, &[r#"plan="free""#, r#"mode="shadow""#]) > 0
    });
}

/// Stops every worker for a while, so that it is late to all that was due meanwhile.
fn hold_up(gateway: &Gateway) {
    gateway.signal("STOP");
    // The time that something takes here, not a wait for it.
    let _elapsed = wait::try_until(Duration::from_millis(60), || None::<()>);
    gateway.signal("CONT");
}

#[test]
fn a_worker_that_is_late_turns_some_away_until_it_is_on_time() {
    let (gateway, _orders) = start("lag = \"5ms\"");
    // One stall turns only some away; stall after stall in the end everybody.
    let refused = until_refused("somebody is refused", || {
        hold_up(&gateway);
        gateway.get("/")
    });
    assert_refused(&refused, 503, "gateway.overloaded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(shed(&gateway, &[r#"reason="lag""#]) >= 1);
    wait::until(DEADLINE, "it is told", || {
        hold_up(&gateway);
        gateway.log().contains("Too much to do")
    });
    until_served("it is on time again", || gateway.get("/"));
}

#[test]
fn nobody_is_turned_away_in_peace() {
    let (gateway, _orders) =
        start("lag = \"10s\"\nmemory = \"1024GiB\"\nconnections = 1000\nplans = [\"a\", \"b\"]");
    let mut client = gateway.client();
    for _ in 0..200 {
        assert_eq!(client.get("/").status, 200);
    }
    let metrics = gateway.metrics();
    assert!(metrics.contains("gateway_overload_lag_seconds{worker=\"0\"}"));
    assert_eq!(gateway.metric("gateway_overload_state", &[]), 0);
    assert_eq!(shed(&gateway, &[]), 0);
}
