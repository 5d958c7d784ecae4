//! Names of targets: looked up by DNS off the request path, again when the answer is over, kept when DNS fails.

use std::net::SocketAddr;

use harness::{Authority, Backend, Config, Dns, Gateway, Script, TlsFront, wait};

const SERVICE: &str = "_http._tcp.orders.test";

/// A gateway whose only target is this, asking this server for names.
fn gateway(dns: &Dns, target: &str, keys: &str) -> Gateway {
    Gateway::start(text(dns, target, keys))
}

fn text(dns: &Dns, target: &str, keys: &str) -> String {
    format!(
        "[server]\nworkers = 1\nresolvers = [\"{}\"]\n\
         [listener.public]\naddress = \"@address.public@\"\n\
         [upstream.orders]\ntargets = [\"{target}\"]\n{keys}\n\
         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n",
        dns.addr()
    )
}

/// Two backends at one port of two addresses, so that one name can stand for both.
fn twins() -> (Backend, Backend) {
    for _ in 0..50 {
        let one = Backend::named("one");
        let other = SocketAddr::from(([127, 0, 0, 2], one.addr().port()));
        if std::net::TcpListener::bind(other).is_ok() {
            return (one, Backend::at(other));
        }
    }
    panic!("no port that is free at both addresses");
}

#[test]
fn asks_the_servers_that_are_named() {
    let (dns, backend) = (Dns::start(), Backend::start());
    dns.addresses("orders.test", 60, &["127.0.0.1"]);
    let gateway = gateway(&dns, &format!("orders.test:{}", backend.addr().port()), "");
    assert_eq!(gateway.get("/").status, 200);
    assert!(dns.questions().contains(&"orders.test".to_owned()));
    let metrics = gateway.admin_get("/metrics").text();
    assert!(
        metrics.contains("gateway_lookups_total{result=\"found\"} "),
        "{metrics}"
    );
    let asked = dns.questions().len();
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(dns.questions().len(), asked, "no request waits for DNS");
}

#[test]
fn follows_a_name_when_its_answer_is_over() {
    let (dns, (one, two)) = (Dns::start(), twins());
    dns.addresses("orders.test", 1, &["127.0.0.1"]);
    let target = format!("orders.test:{}", one.addr().port());
    let gateway = gateway(&dns, &target, "resolve-every = \"1h\"");
    assert_eq!(gateway.get("/").status, 200);
    assert_eq!(two.requests().len(), 0);
    dns.addresses("orders.test", 1, &["127.0.0.2"]);
    wait::until(wait::DEADLINE, "the other address", || {
        assert_eq!(gateway.get("/").status, 200);
        !two.requests().is_empty()
    });
}

#[test]
fn looks_again_though_an_answer_holds_longer() {
    let (dns, (one, two)) = (Dns::start(), twins());
    dns.addresses("orders.test", 86_400, &["127.0.0.1"]);
    let target = format!("orders.test:{}", one.addr().port());
    let gateway = gateway(&dns, &target, "resolve-every = \"100ms\"");
    assert_eq!(gateway.get("/").status, 200);
    dns.addresses("orders.test", 86_400, &["127.0.0.2"]);
    wait::until(wait::DEADLINE, "the other address", || {
        gateway.get("/").status == 200 && !two.requests().is_empty()
    });
}

#[test]
fn keeps_the_last_good_addresses_while_dns_fails() {
    let (dns, backend) = (Dns::start(), Backend::start());
    dns.addresses("orders.test", 1, &["127.0.0.1"]);
    let target = format!("orders.test:{}", backend.addr().port());
    let gateway = gateway(&dns, &target, "resolve-every = \"100ms\"");
    assert_eq!(gateway.get("/").status, 200);
    dns.forget("orders.test");
    dns.wait_question("orders.test");
    gateway.wait_log("Cannot look up the name of a target");
    assert_eq!(gateway.get("/").status, 200);
    let metrics = gateway.admin_get("/metrics").text();
    assert!(
        !metrics.contains("gateway_lookups_total{result=\"failed\"} 0"),
        "{metrics}"
    );
    dns.silent(true);
    dns.wait_question("orders.test");
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn serves_as_soon_as_a_name_is_there() {
    let (dns, backend) = (Dns::start(), Backend::start());
    let target = format!("orders.test:{}", backend.addr().port());
    let gateway = gateway(&dns, &target, "resolve-every = \"100ms\"");
    assert_eq!(gateway.get("/").code(), "upstream.no-target");
    dns.addresses("orders.test", 60, &["127.0.0.1"]);
    wait::until(wait::DEADLINE, "the name", || {
        gateway.get("/").status == 200
    });
}

#[test]
fn takes_every_address_of_a_name_in_turn() {
    let (dns, (one, two)) = (Dns::start(), twins());
    dns.addresses("orders.test", 60, &["127.0.0.1", "127.0.0.2", "::1"]);
    let gateway = gateway(&dns, &format!("orders.test:{}", one.addr().port()), "");
    for _ in 0..4 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_eq!(
        (one.requests().len(), two.requests().len()),
        (2, 2),
        "the machine itself has one address"
    );
}

#[test]
fn takes_addresses_of_both_families_in_turn() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        // A machine without IPv6 has no way there, and asks nobody there.
        return;
    }
    let dns = Dns::start();
    let (four, mut six) = families();
    dns.addresses("orders.test", 60, &["::1", "127.0.0.2"]);
    let gateway = gateway(&dns, &format!("orders.test:{}", four.addr().port()), "");
    for _ in 0..4 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_eq!((four.requests().len(), six.requests().len()), (2, 2));
    six.stop();
    for _ in 0..4 {
        assert_eq!(gateway.request("POST", "/", &[], b"x").status, 200);
    }
    assert_eq!(four.requests().len(), 6);
}

/// Two backends at one port of both families.
fn families() -> (Backend, Backend) {
    for _ in 0..50 {
        let free = std::net::TcpListener::bind("[::1]:0").unwrap();
        let six = free.local_addr().unwrap();
        let four = SocketAddr::from(([127, 0, 0, 2], six.port()));
        if std::net::TcpListener::bind(four).is_ok() {
            drop(free);
            return (Backend::at(four), Backend::at(six));
        }
    }
    panic!("no port that is free at both addresses");
}

#[test]
fn a_service_gives_hosts_ports_and_shares() {
    let dns = Dns::start();
    let (large, small, spare) = (Backend::start(), Backend::start(), Backend::start());
    let port = |backend: &Backend| backend.addr().port();
    dns.addresses("a.test", 60, &["127.0.0.1"]);
    dns.service(
        SERVICE,
        1,
        &[
            (10, 30, port(&large), "a.test"),
            (10, 10, port(&small), "a.test"),
            (20, 0, port(&spare), "a.test"),
        ],
    );
    let keys = "resolve-every = \"100ms\"";
    let gateway = gateway(&dns, "srv:_http._tcp.orders.test", keys);
    for _ in 0..12 {
        assert_eq!(gateway.get("/").status, 200);
    }
    assert_eq!((large.requests().len(), small.requests().len()), (9, 3));
    assert_eq!(spare.requests().len(), 0);

    // Hosts of the first priority have no address any more.
    let gone = [(10, 1, 1, "gone.test"), (20, 0, port(&spare), "a.test")];
    dns.service(SERVICE, 1, &gone);
    wait::until(wait::DEADLINE, "the second priority", || {
        gateway.get("/").status == 200 && !spare.requests().is_empty()
    });
    let answer = gateway
        .client()
        .request("GET", "/", &[("host", "x.test")], b"");
    assert_eq!(answer.status, 200);
}

#[test]
fn tries_the_next_address_where_one_takes_no_connection() {
    let (dns, backend) = (Dns::start(), Backend::start());
    dns.addresses("orders.test", 60, &["127.0.0.1", "127.0.0.2", "127.0.0.3"]);
    let gateway = gateway(&dns, &format!("orders.test:{}", backend.addr().port()), "");
    for _ in 0..20 {
        assert_eq!(
            gateway
                .request("POST", "/", &[("content-length", "1")], b"x")
                .status,
            200
        );
    }
    assert_eq!(backend.requests().len(), 20);
    // The two that refuse were asked once, and are left alone for a while.
    let metrics = gateway.admin_get("/metrics").text();
    let refused = |line: &&str| line.contains("result=\"connect-failed\"");
    let line = metrics.lines().find(refused).unwrap_or_default();
    assert!(line.ends_with(" 2") || line.ends_with(" 1"), "{line}");
}

#[test]
fn gives_up_when_no_address_takes_a_connection() {
    let dns = Dns::start();
    dns.addresses("orders.test", 60, &["127.0.0.1", "127.0.0.2"]);
    let port = Backend::refusing().port();
    let gateway = gateway(&dns, &format!("orders.test:{port}"), "");
    for _ in 0..3 {
        assert_eq!(gateway.get("/").code(), "upstream.unreachable");
    }
}

#[test]
fn a_certificate_must_have_the_name_of_the_target() {
    let (dns, authority) = (Dns::start(), Authority::new("internal"));
    let backend = Backend::start();
    let front = TlsFront::showing(&authority.issue(&["orders.test"]));
    let front = front.http1(backend.addr()).start();
    dns.addresses("orders.test", 60, &["127.0.0.1"]);
    dns.addresses("other.test", 60, &["127.0.0.1"]);
    for (name, status) in [("orders.test", 200), ("other.test", 502)] {
        let config = text(
            &dns,
            &format!("{name}:{}", front.addr().port()),
            "tls = { ca = \"file:ca.pem\" }",
        );
        let gateway = Gateway::start(Config::new(config).file("ca.pem", authority.pem()));
        assert_eq!(gateway.get("/").status, status, "{name}");
    }
    let names: Vec<_> = front
        .handshakes()
        .into_iter()
        .map(|one| one.server_name)
        .collect();
    assert_eq!(names, [Some("orders.test".to_owned())]);
}

#[test]
fn a_dead_host_of_a_service_fails_nobody_however_large_its_share() {
    let (dns, backend) = (Dns::start(), Backend::start());
    let dead = Backend::refusing().port();
    dns.addresses("a.test", 60, &["127.0.0.1"]);
    let records = [
        (10, 100, dead, "a.test"),
        (10, 1, backend.addr().port(), "a.test"),
    ];
    dns.service(SERVICE, 60, &records);
    let gateway = gateway(&dns, "srv:_http._tcp.orders.test", "");
    for _ in 0..20 {
        assert_eq!(gateway.get("/").status, 200);
    }
    let upstreams = gateway.admin_get("/upstreams").json();
    let targets = &upstreams[0]["targets"];
    assert_eq!(targets.as_array().map(Vec::len), Some(2), "{upstreams}");
}

/// What `/upstreams` says of each target: its address and how it stands.
fn standings(gateway: &Gateway) -> Vec<(String, String)> {
    let upstreams = gateway.admin_get("/upstreams").json();
    let targets = upstreams[0]["targets"].as_array().cloned();
    let said = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let targets = targets.unwrap_or_default().into_iter();
    targets
        .map(|target| (said(&target["address"]), said(&target["standing"])))
        .collect()
}

#[test]
fn every_host_of_a_service_is_checked_and_leaves_alone() {
    let dns = Dns::start();
    let [one, two, spare, late] = ["one", "two", "spare", "late"].map(Backend::named);
    let at = |backend: &Backend| format!("a.test:{}", backend.addr().port());
    let record = |priority, backend: &Backend| (priority, 1, backend.addr().port(), "a.test");
    dns.addresses("a.test", 60, &["127.0.0.1"]);
    dns.service(
        SERVICE,
        1,
        &[record(10, &one), record(10, &two), record(20, &spare)],
    );
    let keys = "resolve-every = \"100ms\"\nhealth = { path = \"/healthz\", every = \"500ms\", \
                timeout = \"500ms\", healthy-after = 1, unhealthy-after = 1 }";
    let gateway = gateway(&dns, "srv:_http._tcp.orders.test", keys);
    let stand = |who: &[(&Backend, &str)]| {
        let mut expected: Vec<_> = who
            .iter()
            .map(|(backend, standing)| (at(backend), (*standing).to_owned()))
            .collect();
        expected.sort();
        wait::until(wait::DEADLINE, &format!("{expected:?}"), || {
            let mut standings = standings(&gateway);
            standings.sort();
            standings == expected
        });
    };
    let serves = |name: &str| {
        for _ in 0..8 {
            assert_eq!(gateway.get("/").json()["backend"], name);
        }
    };
    let down = Script::status(500);
    one.on("/healthz", down.clone());
    stand(&[(&one, "down"), (&two, "good"), (&spare, "good")]);
    serves("two");
    let healthy = |backend: &Backend| {
        let label = format!("target=\"{}\"", at(backend));
        gateway.metric("gateway_upstream_healthy", &[&label])
    };
    assert_eq!([&one, &two, &spare].map(healthy), [0, 1, 1]);
    two.on("/healthz", down.clone());
    stand(&[(&one, "down"), (&two, "down"), (&spare, "good")]);
    serves("spare");

    // Another host comes, unwell; one goes; and who stays is known to be down.
    late.on("/healthz", down);
    dns.service(
        SERVICE,
        1,
        &[record(10, &two), record(10, &late), record(20, &spare)],
    );
    stand(&[(&two, "down"), (&late, "down"), (&spare, "good")]);
    serves("spare");
    late.on("/healthz", Script::status(204));
    stand(&[(&two, "down"), (&late, "good"), (&spare, "good")]);
    serves("late");
    let gone = format!("target=\"{}\"", at(&one));
    wait::until(wait::DEADLINE, "nothing is said of who has gone", || {
        !gateway.metrics().contains(&gone)
    });
    let host = late.last();
    assert_eq!(late.faults(), [""; 0]);
    assert!(host.header("host").is_some());
}
