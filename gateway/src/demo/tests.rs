//! The samples answer, do as they are told, and are the ones that `conf/demo.toml` names.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::*;
use crate::config;

struct Running(Demo);

impl Running {
    fn start() -> Self {
        Self(start_at(|_instance| 0).unwrap())
    }

    /// Everything that comes back on a connection of its own; empty when it was closed without an answer.
    fn raw(&self, instance: &str, request: &str) -> String {
        let instances = self.0.instances();
        let (_, address) = instances.iter().find(|(name, _)| name == instance).unwrap();
        let mut stream = TcpStream::connect(address.unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        // A connection that was reset has nothing more to say.
        drop(stream.read_to_string(&mut answer));
        answer
    }

    fn ask(&self, instance: &str, method: &str, target: &str) -> (u16, Value) {
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        let answer = self.raw(instance, &request);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head[9..12].parse().unwrap(),
            serde_json::from_str(body).unwrap(),
        )
    }
}

#[test]
fn every_instance_says_who_it_is_and_what_it_knows() {
    let running = Running::start();
    for (instance, list, members) in [
        ("orders-1", "/orders", "orders"),
        ("orders-2", "/orders", "orders"),
        ("users", "/users", "users"),
        ("catalog", "/catalog/items", "items"),
    ] {
        let (status, body) = running.ask(instance, "GET", list);
        assert_eq!((status, &body["instance"]), (200, &Value::from(instance)));
        for entry in body[members].as_array().unwrap() {
            let target = format!("{list}/{}", entry["id"].as_str().unwrap());
            assert_eq!(running.ask(instance, "GET", &target).0, 200, "{target}");
        }
        assert_eq!(running.ask(instance, "GET", "/healthz").0, 200);
        assert_eq!(running.ask(instance, "GET", &format!("{list}/none")).0, 404);
        assert_eq!(running.ask(instance, "DELETE", list).0, 405);
    }
}

#[test]
fn reads_bodies_and_shows_requests_as_they_arrived() {
    let running = Running::start();
    let post = "POST /orders HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello";
    let answer = running.raw("orders-1", post);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert!(answer.contains("\"bytes-received\": 5"), "{answer}");
    let (_, body) = running.ask("users", "GET", "/echo?a=b");
    assert_eq!(body["request"]["target"], "/echo?a=b");
    assert_eq!(body["request"]["headers"]["host"], "test");
}

#[test]
fn a_request_can_ask_for_failure_and_delay() {
    let running = Running::start();
    assert_eq!(running.ask("users", "GET", "/users?fail=503").0, 503);
    assert_eq!(running.ask("users", "GET", "/users?slow=1ms").0, 200);
    let reset = "GET /users?fail=reset HTTP/1.1\r\nHost: test\r\n\r\n";
    assert_eq!(running.raw("users", reset), "");
    for wrong in ["slow=2", "slow=2min", "fail=200", "fail=maybe"] {
        assert_eq!(
            running.ask("users", "GET", &format!("/users?{wrong}")).0,
            400,
            "{wrong}"
        );
    }
}

#[test]
fn an_instance_can_be_told_to_fail_until_told_otherwise() {
    let running = Running::start();
    assert_eq!(
        running.ask("orders-1", "POST", "/__demo?fail=500").1["mood"]["fail"],
        "500"
    );
    assert_eq!(running.ask("orders-1", "GET", "/healthz").0, 500);
    assert_eq!(
        running.ask("orders-2", "GET", "/healthz").0,
        200,
        "the other one is well"
    );
    assert_eq!(
        running.ask("orders-1", "GET", "/__demo").1["mood"]["fail"],
        "500"
    );
    assert_eq!(running.ask("orders-1", "POST", "/__demo").0, 200);
    assert_eq!(running.ask("orders-1", "GET", "/healthz").0, 200);
}

#[test]
fn a_taken_port_is_named() {
    let running = Running::start();
    let taken = running.0.instances()[0].1.unwrap().port();
    let error = start_at(|_instance| taken).unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{taken}")), "{error}");
    assert!(error.contains("orders-1"), "{error}");
}

#[test]
fn the_demo_configuration_loads_and_names_every_instance() {
    let env = std::collections::BTreeMap::new();
    let loaded = config::load_text("demo.toml", include_str!("../../../conf/demo.toml"), &env);
    let loaded = loaded.unwrap_or_else(|failure| panic!("{:?}", failure.report));
    assert!(loaded.report.complaints().is_empty(), "{:?}", loaded.report);
    let targets = loaded
        .config
        .upstreams
        .iter()
        .flat_map(|upstream| &upstream.targets);
    let targets: Vec<_> = targets.map(|target| target.address.to_string()).collect();
    for instance in &INSTANCES {
        let address = format!("127.0.0.1:{}", instance.port);
        assert!(
            targets.contains(&address),
            "{} is in no upstream",
            instance.name
        );
    }
}
