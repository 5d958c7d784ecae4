//! The end: what is in flight finishes, nothing new begins, and the exit code says how it was.

use std::net::TcpListener;

use harness::wait::DEADLINE;
use harness::{Backend, Client, Config, Gate, Gateway, H2c, Script, cli, wait};

use crate::fixture::{EVERYTHING, config};

fn gateway(backend: &Backend, grace: &str) -> Gateway {
    let server = format!("[server]\nshutdown-grace = \"{grace}\"\n");
    Gateway::start(config(&format!("{server}{EVERYTHING}"), backend))
}

/// A client whose request waits at the backend.
fn busy(gateway: &Gateway, backend: &Backend, gate: &Gate) -> Client {
    backend.on("/slow", Script::answer(200, "done").gated(gate));
    let mut client = gateway.client();
    client
        .send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    wait::until(DEADLINE, "the request is at the backend", || {
        gate.waiting() == 1
    });
    client
}

fn stopped_accepting(gateway: &Gateway) {
    wait::until(DEADLINE, "no more connections", || {
        Client::try_connect(gateway.addr()).is_err()
    });
}

#[test]
fn term_finishes_what_is_in_flight_and_exits_with_0() {
    let backend = Backend::start();
    let (gate, mut gateway) = (Gate::new(), gateway(&backend, "30s"));
    let mut client = busy(&gateway, &backend, &gate);
    gateway.signal("TERM");
    stopped_accepting(&gateway);
    assert!(gateway.is_running());
    gate.open();
    let answer = client.receive("GET");
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
    assert_eq!(answer.header("connection"), Some("close"));
    client.wait_closed();
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
    let log = gateway.access_log();
    assert_eq!((log.len(), &log[0]["status"]), (1, &200.into()));
}

#[test]
fn is_not_ready_while_it_drains_but_alive() {
    let backend = Backend::start();
    let (gate, mut gateway) = (Gate::new(), gateway(&backend, "30s"));
    let mut client = busy(&gateway, &backend, &gate);
    gateway.signal("TERM");
    stopped_accepting(&gateway);
    assert_eq!(gateway.admin_get("/readyz").status, 503);
    assert_eq!(gateway.admin_get("/healthz").status, 200);
    assert_eq!(gateway.reload().status, 503);
    gate.open();
    assert_eq!(client.receive("GET").status, 200);
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
}

#[test]
fn idle_connections_are_closed_at_once() {
    let backend = Backend::start();
    let mut gateway = gateway(&backend, "30s");
    let mut asked = gateway.client();
    assert_eq!(asked.get("/").status, 200);
    let mut never_asked = gateway.client();
    let mut h2c = H2c::connect(gateway.addr());
    assert_eq!(h2c.get("/").status, 200);
    wait::until(DEADLINE, "three connections", || {
        gateway.metric("gateway_connections", &[]) == 3
    });
    gateway.signal("TERM");
    asked.wait_closed();
    never_asked.wait_closed();
    assert!(h2c.wait_closed().is_ok(), "HTTP/2 ends with GOAWAY");
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
}

#[test]
fn an_interrupt_ends_as_well() {
    for name in ["INT", "QUIT"] {
        let backend = Backend::start();
        let mut gateway = gateway(&backend, "30s");
        gateway.signal(name);
        assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0), "{name}");
    }
}

#[test]
fn ends_when_the_grace_time_is_over() {
    let backend = Backend::start();
    let (gate, mut gateway) = (Gate::new(), gateway(&backend, "200ms"));
    let mut client = busy(&gateway, &backend, &gate);
    gateway.signal("TERM");
    gateway.wait_exit(DEADLINE);
    client.wait_closed();
    assert!(gateway.log().contains("still open"), "{}", gateway.log());
    gate.open();
}

#[test]
fn a_second_signal_ends_at_once() {
    let backend = Backend::start();
    let (gate, mut gateway) = (Gate::new(), gateway(&backend, "10min"));
    let mut client = busy(&gateway, &backend, &gate);
    gateway.signal("TERM");
    stopped_accepting(&gateway);
    gateway.wait_log("Stopping");
    gateway.signal("TERM");
    gateway.wait_exit(DEADLINE);
    client.wait_closed();
    gate.open();
}

#[test]
fn a_half_sent_head_does_not_hold_up_the_end() {
    let backend = Backend::start();
    let mut gateway = gateway(&backend, "30s");
    let mut finishing = gateway.client();
    finishing.send(b"GET / HTTP/1.1\r\nHo").unwrap();
    wait::until(DEADLINE, "a connection", || {
        gateway.metric("gateway_connections", &[]) == 1
    });
    gateway.signal("TERM");
    stopped_accepting(&gateway);
    // It had begun before the end did, so it may finish.
    finishing.send(b"st: x\r\n\r\n").unwrap();
    let answer = finishing.receive("GET");
    assert_eq!(
        (answer.status, answer.header("connection")),
        (200, Some("close"))
    );
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
}

#[test]
fn answers_of_our_own_end_the_connection_while_draining() {
    let gateway = r#"
        [server]
        shutdown-grace = "30s"
        [listener.public]
        address = "@address.public@"
        [route.all]
        match = "/**"
        respond = { status = 200, body = "hello" }
    "#;
    let mut gateway = Gateway::start(gateway);
    let mut client = gateway.client();
    client.send(b"GET / HTTP/1.1\r\nHo").unwrap();
    wait::until(DEADLINE, "a connection", || {
        gateway.metric("gateway_connections", &[]) == 1
    });
    gateway.signal("TERM");
    stopped_accepting(&gateway);
    client.send(b"st: x\r\n\r\n").unwrap();
    assert_eq!(client.receive("GET").text(), "hello");
    client.wait_closed();
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
}

#[test]
fn http2_streams_in_flight_finish() {
    let backend = Backend::start();
    let (gate, mut gateway) = (Gate::new(), gateway(&backend, "30s"));
    backend.on("/slow", Script::answer(200, "done").gated(&gate));
    let addr = gateway.addr();
    let asking = std::thread::spawn(move || H2c::connect(addr).get("/slow"));
    wait::until(DEADLINE, "the request is at the backend", || {
        gate.waiting() == 1
    });
    gateway.signal("TERM");
    stopped_accepting(&gateway);
    gate.open();
    let answer = asking.join().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "done"));
    assert_eq!(gateway.wait_exit(DEADLINE).code(), Some(0));
}

#[test]
fn a_broken_configuration_exits_with_2_and_says_where() {
    let exit = Gateway::try_start(
        "[listener.public]\naddress = \"@address.public@\"\n\n[route.all]\nmatch = \"/**\"\nupstream = \"oders\"\n\n[upstream.orders]\ntargets = [\"127.0.0.1:1\"]\n",
    );
    assert_eq!(exit.code, Some(2), "{exit}");
    for part in [
        "unknown upstream `oders`",
        "did you mean `orders`?",
        "gateway.toml:6",
        "^^^^^^^",
    ] {
        assert!(exit.stderr.contains(part), "no {part:?}: {exit}");
    }
    assert_eq!(exit.stdout, "");
    let exit = Gateway::try_start("[listener.public\n");
    assert_eq!(exit.code, Some(2), "{exit}");
}

#[test]
fn a_missing_file_exits_with_2_and_names_it() {
    let exit = cli(&["run", "no/such/gateway.toml"]);
    assert_eq!(exit.code, Some(2), "{exit}");
    assert!(exit.stderr.contains("no/such/gateway.toml"), "{exit}");
    assert_eq!(cli(&["run"]).code, Some(2));
    assert_eq!(cli(&["walk"]).code, Some(2));
}

#[test]
fn a_taken_port_exits_with_1_and_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let listener = "[listener.public]\naddress = \"@upstream.taken@\"\n[route.all]\nmatch = \"/**\"\nrespond = { status = 204 }\n";
    let exit = Gateway::try_start(Config::new(listener).upstream("taken", addr));
    assert_eq!(exit.code, Some(1), "{exit}");
    for part in ["`public`", &addr.to_string(), "in use"] {
        assert!(exit.stderr.contains(part), "no {part:?}: {exit}");
    }
    let admin = "[listener.public]\naddress = \"@address.public@\"\n[admin]\naddress = \"@upstream.taken@\"\n[route.all]\nmatch = \"/**\"\nrespond = { status = 204 }\n";
    let exit = Gateway::try_start(Config::new(admin).upstream("taken", addr));
    assert_eq!(exit.code, Some(1), "{exit}");
    assert!(exit.stderr.contains(&addr.to_string()), "{exit}");
}

#[test]
fn an_access_log_that_cannot_be_opened_exits_with_1() {
    let exit = Gateway::try_start(
        "[listener.public]\naddress = \"@address.public@\"\n[access-log]\npath = \"@dir@/none/access.log\"\n[route.all]\nmatch = \"/**\"\nrespond = { status = 204 }\n",
    );
    assert_eq!(exit.code, Some(1), "{exit}");
    assert!(exit.stderr.contains("none/access.log"), "{exit}");
}
