//! Active checks.

use std::net::SocketAddr;

use harness::{
    Authority, Backend, Config, Gate, Gateway, GrpcHealth, H2Backend, H2Script, Script, Serving,
    TlsFront, wait,
};

use super::{config, healthy, served, target, wait_standing};
use crate::fixture::assert_refused;

/// Quick, and yet slow enough for a machine with many other things to do.
const QUICK: &str =
    "every = \"500ms\", timeout = \"500ms\", healthy-after = 2, unhealthy-after = 2";

fn checked(keys: &str) -> String {
    format!("health = {{ {keys}, {QUICK} }}")
}

fn start(keys: &str, targets: &[SocketAddr]) -> Gateway {
    Gateway::start(config(&checked(keys), targets))
}

#[test]
fn a_target_that_fails_its_checks_gets_no_requests_until_they_pass_again() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let gateway = start("path = \"/healthz\"", &[one.addr(), two.addr()]);
    one.on("/healthz", Script::status(500));
    let down = wait_standing(&gateway, 0, "down");
    assert_eq!(down["reason"], "the status was 500");
    assert_eq!(down["healthy"], false);
    assert!(down["since"].is_string() && down["last-check"]["at"].is_string());
    assert_eq!(
        (healthy(&gateway, one.addr()), healthy(&gateway, two.addr())),
        (0, 1)
    );
    let before = served(&one);
    for _ in 0..20 {
        assert_eq!(gateway.get("/").json()["backend"], "two");
    }
    assert_eq!(served(&one), before, "a target that is down is not asked");
    one.on("/healthz", Script::status(204));
    wait_standing(&gateway, 0, "good");
    let answers: Vec<_> = (0..4)
        .map(|_| gateway.get("/").json()["backend"].clone())
        .collect();
    assert!(answers.contains(&"one".into()), "{answers:?}");
    let log = gateway.log();
    let times = |text: &str| log.matches(text).count();
    assert_eq!(
        times("A target fails its checks and gets no requests"),
        1,
        "said once"
    );
    assert_eq!(times("A target passes its checks again"), 1, "said once");
    let failed = ["result=\"failed\"", "upstream=\"orders\""];
    assert!(gateway.metric("gateway_upstream_checks_total", &failed) >= 1);
    assert!(gateway.metric("gateway_upstream_checks_total", &["result=\"passed\""]) >= 2);
}

/// Waits until the first target is down, and says why.
fn reason(gateway: &Gateway) -> String {
    let down = wait_standing(gateway, 0, "down");
    down["reason"].as_str().unwrap().to_owned()
}

#[test]
fn each_kind_of_failure_is_told() {
    let gate = Gate::new();
    let late = "no answer within 500ms";
    for (what, script, expected) in [
        ("another status", Script::status(302), "the status was 302"),
        (
            "no text",
            Script::answer(200, "not yet"),
            "the answer lacks the text",
        ),
        ("silence", Script::stall(), late),
        (
            "a body that never ends",
            Script::trickle(&gate, ["rea"]),
            late,
        ),
        ("a close", Script::close(), "the exchange broke"),
        ("a reset", Script::reset(), "the exchange broke"),
        (
            "no HTTP",
            Script::raw("SSH-2.0-OpenSSH\r\n\r\n"),
            "the exchange broke",
        ),
    ] {
        let orders = Backend::start();
        orders.on("/healthz", script);
        let gateway = start("path = \"/healthz\", body = \"ready\"", &[orders.addr()]);
        let told = reason(&gateway);
        assert!(told.starts_with(expected), "{what}: {told}");
        assert_refused(&gateway.get("/"), 503, "upstream.no-target");
        assert_eq!(served(&orders), 0, "{what}");
    }
    gate.open();
}

#[test]
fn a_target_that_refuses_connections_is_down_by_any_kind_of_check() {
    for keys in ["tcp = true", "path = \"/\"", "grpc = \"\""] {
        let gateway = start(keys, &[Backend::refusing()]);
        assert_eq!(reason(&gateway), "the connection was refused", "{keys}");
    }
}

#[test]
fn a_mere_connection_is_enough_where_the_configuration_says_so() {
    let orders = Backend::start();
    orders.always(Script::status(500));
    let gateway = start("tcp = true", &[orders.addr()]);
    wait::until(wait::DEADLINE, "three checks", || orders.connections() >= 3);
    assert_eq!(target(&gateway, 0)["standing"], "good");
    assert_eq!(orders.requests().len(), 0, "nobody is asked anything");
}

#[test]
fn a_check_asks_as_it_is_told() {
    let orders = Backend::start();
    orders.always(Script::chunks(["al", "l re", "ady"]));
    let keys = "path = \"/healthz?full=1\", status = [\"200\", \"429\"], body = \"ready\", \
                host = \"orders.internal\", headers = { x-check = \"gateway\" }";
    let gateway = start(keys, &[orders.addr()]);
    let asked = orders.wait_requests(3).remove(0);
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("GET", "/healthz?full=1")
    );
    assert_eq!(asked.header("host"), Some("orders.internal"));
    assert_eq!(asked.header("x-check"), Some("gateway"));
    assert!(asked.headers.has_token("connection", "close"));
    assert_eq!(target(&gateway, 0)["standing"], "good");
    assert_eq!(orders.faults(), [""; 0]);
    let settings = gateway.admin_get("/config").json();
    let health = &settings["upstreams"]["orders"]["health"];
    assert_eq!(
        (&health["path"], &health["every"]),
        (&"/healthz?full=1".into(), &"500ms".into())
    );
}

#[test]
fn with_all_targets_down_the_answer_is_503_and_recovery_is_noticed() {
    let (mut one, mut two) = (Backend::start(), Backend::start());
    let addresses = [one.addr(), two.addr()];
    let gateway = start("path = \"/healthz\"", &addresses);
    one.wait_requests(1);
    two.wait_requests(1);
    one.stop();
    two.stop();
    wait_standing(&gateway, 0, "down");
    wait_standing(&gateway, 1, "down");
    let answer = gateway.get("/");
    assert_refused(&answer, 503, "upstream.no-target");
    assert_eq!(answer.header("retry-after"), Some("1"));
    let one = Backend::at(addresses[0]);
    wait_standing(&gateway, 0, "good");
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(served(&one), 1);
}

#[test]
fn asks_the_grpc_health_protocol() {
    let server = GrpcHealth::start(Serving::Yes);
    let gateway = start("grpc = \"shop.Orders\"", &[server.addr()]);
    server.wait_asked(3);
    assert_eq!(target(&gateway, 0)["standing"], "good");
    let (headers, message) = server.asked().remove(0);
    assert_eq!(headers["x-path"], "/grpc.health.v1.Health/Check");
    assert_eq!(
        (&headers["content-type"], &headers["te"]),
        (
            &"application/grpc".parse().unwrap(),
            &"trailers".parse().unwrap()
        )
    );
    assert_eq!(message, b"\0\0\0\0\x0d\x0a\x0bshop.Orders");
    for (serving, why) in [
        (Serving::No, "the service is NOT_SERVING"),
        (Serving::Status("12"), "grpc-status 12"),
        (Serving::Stall, "no answer within 500ms"),
    ] {
        server.set(serving);
        assert_eq!(reason(&gateway), why);
        server.set(Serving::Yes);
        wait_standing(&gateway, 0, "good");
    }
}

#[test]
fn a_reload_keeps_what_is_known_and_ends_checks_of_vanished_targets() {
    let (one, two) = (Backend::start(), Backend::start());
    one.on("/healthz", Script::status(500));
    let keys = checked("path = \"/healthz\"");
    let mut gateway = Gateway::start(config(&keys, &[one.addr(), two.addr()]));
    let since = wait_standing(&gateway, 0, "down")["since"].clone();
    let slow = format!("connect-timeout = \"1s\"\n{keys}");
    gateway.rewrite_config(config(&slow, &[one.addr(), two.addr()]));
    assert_eq!(gateway.reload().status, 200);
    assert_eq!(target(&gateway, 0)["since"], since, "the same standing");
    let checks = two.requests().len();
    two.wait_requests(checks + 2);
    gateway.rewrite_config(config(&slow, &[one.addr()]));
    assert_eq!(gateway.reload().status, 200);
    // A check that was under way may still arrive; none comes after it.
    let checks = one.requests().len();
    one.wait_requests(checks + 2);
    let left = two.requests().len();
    one.wait_requests(checks + 4);
    assert_eq!(
        two.requests().len(),
        left,
        "nobody asks a target that is gone"
    );
    gateway.rewrite_config(config("", &[one.addr()]));
    assert_eq!(gateway.reload().status, 200);
    wait_standing(&gateway, 0, "good");
    assert_eq!(
        gateway.get("/").status,
        200,
        "unchecked, it is as good as any"
    );
}

#[test]
fn a_check_that_asks_something_else_starts_anew() {
    let orders = Backend::start();
    orders.on("/bad", Script::status(500));
    let mut gateway = Gateway::start(config(&checked("path = \"/bad\""), &[orders.addr()]));
    wait_standing(&gateway, 0, "down");
    gateway.rewrite_config(config(&checked("path = \"/good\""), &[orders.addr()]));
    assert_eq!(gateway.reload().status, 200);
    wait_standing(&gateway, 0, "good");
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn an_address_that_fails_is_passed_over_while_the_name_has_better_ones() {
    // `localhost` is 127.0.0.1 and, on most machines, ::1; a backend listens at one of them only.
    let orders = Backend::start();
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n\
         [upstream.orders]\ntargets = [\"localhost:{}\"]\n{}\n\
         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n",
        orders.addr().port(),
        checked("path = \"/healthz\"")
    );
    let gateway = Gateway::start(Config::new(text));
    orders.wait_requests(2);
    let several = target(&gateway, 0)["addresses"].as_array().unwrap().len() > 1;
    if several {
        wait::until(wait::DEADLINE, "an avoided address", || {
            target(&gateway, 0)["avoided"]
                .as_array()
                .is_some_and(|avoided| avoided.len() == 1)
        });
    }
    assert_eq!(target(&gateway, 0)["standing"], "good");
    for _ in 0..6 {
        assert_eq!(gateway.get("/").status, 200);
    }
}

#[test]
fn checks_speak_as_requests_do() {
    let authority = Authority::new("internal");
    let identity = authority.issue(&["orders.test"]);
    let (plain, h2) = (Backend::start(), H2Backend::start());
    let encrypted = TlsFront::showing(&identity).http1(plain.addr()).start();
    let multiplexed = TlsFront::showing(&identity).h2(h2.addr()).start();
    let tls = "tls = { server-name = \"orders.test\", ca = \"file:ca.pem\" }";
    // Handshakes take their time on a machine with many other things to do.
    let health = "health = { path = \"/healthz\", every = \"2s\", timeout = \"2s\", healthy-after = 1, unhealthy-after = 1 }";
    for (keys, front) in [
        (tls.to_owned(), encrypted.addr()),
        (format!("{tls}\nprotocol = \"h2\""), multiplexed.addr()),
        ("protocol = \"h2\"".to_owned(), h2.addr()),
    ] {
        plain.always(Script::echo());
        h2.always(H2Script::echo());
        let config = config(&format!("{keys}\n{health}"), &[front]);
        let gateway = Gateway::start(config.file("ca.pem", authority.pem()));
        assert_eq!(gateway.get("/").status, 200, "{keys}");
        plain.always(Script::status(500));
        h2.always(H2Script::answer(500, ""));
        assert_eq!(reason(&gateway), "the status was 500", "{keys}");
        assert_refused(&gateway.get("/"), 503, "upstream.no-target");
        plain.always(Script::echo());
        h2.always(H2Script::echo());
        wait_standing(&gateway, 0, "good");
        assert_eq!(gateway.get("/").status, 200, "{keys}");
    }
    assert!(plain.requests().iter().any(|one| one.target == "/healthz"));
    assert!(h2.requests().iter().any(|one| one.target == "/healthz"));
    // Whom requests would not trust is not trusted here.
    let config = config(&format!("{tls}\n{health}"), &[encrypted.addr()]);
    let stranger = Gateway::start(config.file("ca.pem", Authority::new("other").pem()));
    assert!(!reason(&stranger).is_empty());
}

#[test]
fn who_comes_back_starts_slowly() {
    let (one, two) = (Backend::named("one"), Backend::named("two"));
    let keys = format!("slow-start = \"1h\"\n{}", checked("path = \"/healthz\""));
    let gateway = Gateway::start(config(&keys, &[one.addr(), two.addr()]));
    let weight = |number| target(&gateway, number)["weight-now"].as_f64().unwrap();
    assert!(
        weight(0) >= 1.0 && weight(1) >= 1.0,
        "at the start all are known"
    );
    one.on("/healthz", Script::status(500));
    wait_standing(&gateway, 0, "down");
    one.on("/healthz", Script::status(200));
    wait_standing(&gateway, 0, "good");
    assert!(weight(0) < 0.2 && weight(1) >= 1.0, "{}", weight(0));
    let before = served(&one);
    for _ in 0..40 {
        assert_eq!(gateway.get("/").status, 200);
    }
    let share = served(&one) - before;
    assert!(share < 10, "{share} of 40");
}
