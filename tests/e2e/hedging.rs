//! Reads that a second target gets as well, because the first one is slow: which, how many, and whose answer is served.

use std::net::SocketAddr;
use std::thread;

use harness::{
    Authority, Backend, Client, Config, Gate, Gateway, H2Request, H2c, Script, TlsFront, cli, wait,
};

/// A gateway whose one upstream has these targets, in turn; reads are hedged after a moment.
fn hedging(keys: &str, retry: &str, targets: &[SocketAddr]) -> Config {
    let names: Vec<String> = (0..targets.len())
        .map(|at| format!("\"@upstream.t{at}@\""))
        .collect();
    let text = format!(
        "[listener.public]\naddress = \"@address.public@\"\n\
         [upstream.orders]\ntargets = [{}]\nconnect-timeout = \"1s\"\n{keys}\n\
         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n\
         retry = {{ hedge-after = \"20ms\", on = [\"connect-failure\"]{retry} }}\n",
        names.join(", ")
    );
    let with_target = |config: Config, (at, target): (usize, &SocketAddr)| {
        config.upstream(&format!("t{at}"), *target)
    };
    targets
        .iter()
        .enumerate()
        .fold(Config::new(text), with_target)
}

fn pair() -> [Backend; 2] {
    [Backend::named("one"), Backend::named("two")]
}

fn addrs(backends: &[Backend; 2]) -> [SocketAddr; 2] {
    [backends[0].addr(), backends[1].addr()]
}

fn hedges(gateway: &Gateway, result: &str) -> u64 {
    let result = format!("result=\"{result}\"");
    let labels = ["upstream=\"orders\"", result.as_str()];
    gateway.metric("gateway_upstream_hedges_total", &labels)
}

#[test]
fn a_slow_read_is_answered_by_the_other_target() {
    let backends = pair();
    backends[0].always(Script::stall());
    let gateway = Gateway::start(hedging("", "", &addrs(&backends)));
    let mut client = gateway.client();
    for _ in 0..4 {
        let answer = client.request("GET", "/a?b=c", &[("x-tenant", "acme")], b"");
        assert_eq!(
            (answer.status, answer.header("x-backend")),
            (200, Some("two"))
        );
    }
    assert_eq!(backends[0].requests().len(), 2);
    let seen = backends[1].requests();
    assert_eq!(seen.len(), 4);
    let marks: Vec<_> = seen
        .iter()
        .filter_map(|one| one.header("x-gateway-attempt"))
        .collect();
    assert_eq!(marks, ["2", "2"]);
    for request in seen.iter().chain(&backends[0].requests()) {
        assert_eq!(request.header("x-tenant"), Some("acme"));
        assert_eq!(request.target, "/a?b=c");
    }
    assert_eq!((hedges(&gateway, "won"), hedges(&gateway, "lost")), (2, 0));
    let lines = gateway.wait_access_log(4);
    let won: Vec<_> = lines
        .iter()
        .filter(|line| line["hedge"] == "won")
        .map(|line| (line["attempts"].clone(), line["target"].clone()))
        .collect();
    let told = (2.into(), backends[1].addr().to_string().into());
    assert_eq!(won, [told.clone(), told]);
    wait::until(wait::DEADLINE, "the losers are hung up on", || {
        backends[0].connections_open() == 0
    });
    assert_eq!(backends[1].connections(), 1, "connections are kept");
    assert_eq!(backends[1].faults(), [""; 0]);
}

#[test]
fn the_first_target_may_still_be_first() {
    let backends = pair();
    let gate = Gate::new();
    for backend in &backends {
        backend.always(Script::chunks(["whole", " answer"]).gated(&gate));
    }
    let gateway = Gateway::start(hedging("", "", &addrs(&backends)));
    let mut client = gateway.client();
    client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    wait::until(wait::DEADLINE, "both are asked", || gate.waiting() == 2);
    // Whoever of them passes is served whole, and the other one's answer is nobody's.
    gate.step();
    assert_eq!(client.receive("GET").text(), "whole answer");
    gate.open();
    for backend in &backends {
        backend.always(Script::echo());
    }
    for _ in 0..4 {
        assert_eq!(client.get("/").status, 200);
    }
    assert_eq!(hedges(&gateway, "won") + hedges(&gateway, "lost"), 1);
    assert_eq!(gateway.wait_access_log(5)[0]["attempts"], 2);
}

#[test]
fn a_failure_does_not_win_while_the_other_may_do_better() {
    let backends = pair();
    let gate = Gate::new();
    backends[0].always(Script::answer(200, "slow").gated(&gate));
    backends[1].always(Script::answer(503, "quick"));
    let gateway = Gateway::start(hedging("", "", &addrs(&backends)));
    // The turn of the quick one comes now or next.
    let mut clients: Vec<Client> = (0..2).map(|_| gateway.client()).collect();
    for client in &mut clients {
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    }
    wait::until(wait::DEADLINE, "both requests, one of them twice", || {
        gate.waiting() == 1 && backends[1].requests().len() == 2
    });
    gate.open();
    let mut answers: Vec<_> = clients
        .iter_mut()
        .map(|client| client.receive("GET").text())
        .collect();
    answers.sort();
    assert_eq!(answers, ["quick", "slow"]);
    assert_eq!((hedges(&gateway, "won"), hedges(&gateway, "lost")), (0, 1));
}

#[test]
fn what_is_no_plain_read_stays_with_one_target() {
    let backends = pair();
    let gate = Gate::new();
    for backend in &backends {
        backend.always(Script::answer(200, "").gated(&gate));
    }
    let gateway = Gateway::start(hedging("", "", &addrs(&backends)));
    let upgrade: &[(&str, &str)] = &[("connection", "upgrade"), ("upgrade", "websocket")];
    thread::scope(|scope| {
        scope.spawn(|| gateway.request("POST", "/", &[], b""));
        scope.spawn(|| gateway.request("DELETE", "/", &[], b""));
        scope.spawn(|| gateway.request("GET", "/", &[], b"body"));
        scope.spawn(|| gateway.request("GET", "/", upgrade, b""));
        scope.spawn(|| gateway.request("GET", "/read", &[], b""));
        // Only the read is with both.
        wait::until(wait::DEADLINE, "the read is with both", || {
            let all = backends.iter().flat_map(Backend::requests);
            all.filter(|one| one.target == "/read").count() == 2
        });
        wait::until(wait::DEADLINE, "all are asked", || gate.waiting() == 6);
        gate.open();
    });
    let received: usize = backends.iter().map(|one| one.requests().len()).sum();
    assert_eq!(received, 6);
    assert_eq!(hedges(&gateway, "won") + hedges(&gateway, "lost"), 1);
}

#[test]
fn the_budget_limits_how_many_there_are() {
    let backends = pair();
    let gate = Gate::new();
    for backend in &backends {
        backend.always(Script::answer(200, "").gated(&gate));
    }
    let gateway = Gateway::start(hedging("", ", budget = \"1%\"", &addrs(&backends)));
    // A new upstream has saved up twenty, and these requests add less than one.
    thread::scope(|scope| {
        for _ in 0..30 {
            scope.spawn(|| assert_eq!(gateway.get("/").status, 200));
        }
        wait::until(wait::DEADLINE, "all that may be asked", || {
            gate.waiting() == 50
        });
        gate.open();
    });
    assert_eq!(hedges(&gateway, "won") + hedges(&gateway, "lost"), 20);
    let received: usize = backends.iter().map(|one| one.requests().len()).sum();
    assert_eq!(received, 50);
}

#[test]
fn connections_are_kept_and_dead_ones_noticed() {
    let backends = pair();
    let gateway = Gateway::start(hedging("", ", attempts = 3", &addrs(&backends)));
    let mut client = gateway.client();
    for method in ["GET", "HEAD", "GET", "HEAD", "GET", "GET"] {
        assert_eq!(client.request(method, "/", &[], b"").status, 200);
    }
    assert_eq!(backends.each_ref().map(Backend::connections), [1, 1]);
    for _ in 0..20 {
        for backend in &backends {
            backend.close_connections();
        }
        assert_eq!(client.get("/").status, 200);
        assert_eq!(client.get("/").status, 200);
    }
}

#[test]
fn a_second_target_that_is_gone_changes_nothing() {
    let gate = Gate::new();
    let alive = Backend::start();
    alive.always(Script::answer(200, "late").gated(&gate));
    let gateway = Gateway::start(hedging("", "", &[alive.addr(), Backend::refusing()]));
    thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| gateway.get("/").text()))
            .collect();
        wait::until(wait::DEADLINE, "both are there", || gate.waiting() == 2);
        gate.open();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), "late");
        }
    });
}

#[test]
fn both_may_fail() {
    let backends = pair();
    let gate = Gate::new();
    for backend in &backends {
        backend.always(Script::reset().gated(&gate));
    }
    let gateway = Gateway::start(hedging("", "", &addrs(&backends)));
    thread::scope(|scope| {
        let reader = scope.spawn(|| gateway.get("/"));
        wait::until(wait::DEADLINE, "both are asked", || gate.waiting() == 2);
        gate.open();
        assert_eq!(reader.join().unwrap().status, 502);
    });
    let line = &gateway.wait_access_log(1)[0];
    assert_eq!(
        (&line["attempts"], &line["hedge"]),
        (&2.into(), &"lost".into())
    );
}

#[test]
fn encrypted_upstreams_and_http_2_clients_are_hedged_as_well() {
    let authority = Authority::new("internal");
    let backends = pair();
    backends[0].always(Script::stall());
    let fronts = backends.each_ref().map(|backend| {
        let identity = authority.issue(&["orders.test"]);
        TlsFront::showing(&identity).http1(backend.addr()).start()
    });
    let targets = fronts.each_ref().map(TlsFront::addr);
    let keys = "tls = { server-name = \"orders.test\", ca = \"file:ca.pem\" }";
    let config = hedging(keys, "", &targets).file("ca.pem", authority.pem());
    let gateway = Gateway::start(config);
    let mut client = H2c::connect(gateway.addr());
    for _ in 0..4 {
        let answer = client.request(H2Request::new("GET", "/"));
        assert_eq!(
            (answer.status, answer.header("x-backend")),
            (200, Some("two"))
        );
    }
    assert_eq!(hedges(&gateway, "won"), 2);
    assert_eq!(fronts[1].connections(), 1);
}

#[test]
fn explain_says_who_is_hedged() {
    let backends = pair();
    let gateway = Gateway::start(hedging("", "", &addrs(&backends)));
    let file = gateway.path("gateway.toml");
    for (request, told) in [
        ("GET http://x/", "is asked as well after 20ms"),
        ("POST http://x/", "is never asked as well: its method"),
    ] {
        let exit = cli(&["explain", file.to_str().unwrap(), request]);
        assert!(exit.stdout.contains(told), "{exit}");
    }
}
