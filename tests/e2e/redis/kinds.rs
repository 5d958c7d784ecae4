//! Stores with passwords, TLS and nodes.

use std::fs;
use std::net::TcpListener;

use harness::{Authority, Backend, Gateway, Redis, wait};

use super::{by_tenant, counting, passed};
use crate::fixture::assert_refused;

const DENY: &str = "rate = \"2/day\"\non-error = \"deny\"";

#[test]
fn a_password_opens_a_store_and_a_wrong_one_does_not() {
    let redis = Redis::with(&["--requirepass", "correct horse"]);
    let orders = Backend::start();
    let password = "password = \"env:REDIS_PASSWORD\"";
    let config = || counting(redis.addr(), password, DENY, &orders);
    let right = Gateway::start(config().env("REDIS_PASSWORD", "correct horse"));
    assert_eq!(passed(&right, "acme", 3), 2);
    let wrong = Gateway::start(config().env("REDIS_PASSWORD", "battery staple"));
    assert_refused(&by_tenant(&wrong, "acme"), 503, "rate-limit.uncounted");
    for gateway in [&right, &wrong] {
        let said = gateway.log() + &gateway.admin_get("/config").text();
        assert!(!said.contains("correct horse") && !said.contains("battery staple"));
    }
}

#[test]
fn a_user_has_a_password_of_its_own() {
    let redis = Redis::start();
    let made = redis.command(&[
        "ACL",
        "SETUSER",
        "gateway",
        "on",
        ">secret",
        "~gateway:*",
        "+@all",
    ]);
    assert_eq!(made, "+OK");
    let orders = Backend::start();
    let user = "username = \"gateway\"\npassword = \"env:REDIS_PASSWORD\"";
    let config = counting(redis.addr(), user, DENY, &orders).env("REDIS_PASSWORD", "secret");
    let gateway = Gateway::start(config);
    assert_eq!(passed(&gateway, "acme", 3), 2);
}

#[test]
fn speaks_tls_with_authorities_of_its_own() {
    let authority = Authority::new("internal");
    let server = authority.issue(&["localhost"]);
    let directory = tempdir("tls");
    for (name, text) in [("cert.pem", &server.cert), ("key.pem", &server.key)] {
        fs::write(directory.join(name), text).unwrap();
    }
    let path = |name: &str| directory.join(name).display().to_string();
    let redis = Redis::with(&[
        "--tls-port",
        "@port@",
        "--tls-auth-clients",
        "no",
        "--tls-cert-file",
        &path("cert.pem"),
        "--tls-key-file",
        &path("key.pem"),
        "--tls-ca-cert-file",
        &path("cert.pem"),
    ]);
    let orders = Backend::start();
    let tls = "tls = { ca = \"file:ca.pem\" }";
    let config = || {
        let config = counting(redis.addr(), tls, DENY, &orders);
        let localhost = format!("redis://localhost:{}", redis.addr().port());
        config.replace(&format!("redis://{}", redis.addr()), &localhost)
    };
    let gateway = Gateway::start(config().file("ca.pem", authority.pem()));
    assert_eq!(passed(&gateway, "acme", 3), 2, "{}", gateway.log());
    let strange = Authority::new("somebody else");
    let gateway = Gateway::start(config().file("ca.pem", strange.pem()));
    assert_refused(&by_tenant(&gateway, "acme"), 503, "rate-limit.uncounted");
}

fn tempdir(name: &str) -> std::path::PathBuf {
    let directory = format!("gateway-e2e-{name}-{}", std::process::id());
    let directory = std::env::temp_dir().join(directory);
    fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn counts_in_a_cluster() {
    let (one, two) = (cluster_node(), cluster_node());
    assert_eq!(
        one.command(&["CLUSTER", "ADDSLOTSRANGE", "0", "8191"]),
        "+OK"
    );
    assert_eq!(
        two.command(&["CLUSTER", "ADDSLOTSRANGE", "8192", "16383"]),
        "+OK"
    );
    let port = two.addr().port().to_string();
    assert_eq!(one.command(&["CLUSTER", "MEET", "127.0.0.1", &port]), "+OK");
    for node in [&one, &two] {
        wait::until(wait::DEADLINE, "the cluster is whole", || {
            // Either is an error while the cluster is not.
            ["a", "b", "c"].iter().all(|key| {
                let said = node.command(&["GET", key]);
                said == "$-1" || said.starts_with("-MOVED")
            })
        });
    }
    let orders = Backend::start();
    let config = counting(one.addr(), "", DENY, &orders);
    let single = format!("\"redis://{}\"", one.addr());
    let gateway = Gateway::start(config.replace(&single, &format!("[{single}]")));
    for tenant in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        assert_eq!(
            passed(&gateway, tenant, 3),
            2,
            "{tenant}: {}",
            gateway.log()
        );
    }
    for node in [&one, &two] {
        assert_ne!(
            node.command(&["DBSIZE"]),
            ":0",
            "keys are spread over the nodes"
        );
    }
}

fn cluster_node() -> Redis {
    Redis::with(&[
        "--cluster-enabled",
        "yes",
        "--cluster-config-file",
        "nodes.conf",
    ])
}

#[test]
fn a_new_password_in_a_file_is_taken_up() {
    let redis = Redis::with(&["--requirepass", "correct horse"]);
    let orders = Backend::start();
    let password = "password = \"file:password\"";
    let config =
        counting(redis.addr(), password, DENY, &orders).file("password", "battery staple\n");
    let gateway = Gateway::start(config);
    assert_refused(&by_tenant(&gateway, "acme"), 503, "rate-limit.uncounted");
    let before = gateway.reloads();
    fs::write(gateway.path("password"), "correct horse\n").unwrap();
    gateway.wait_reload_after(before);
    assert_eq!(passed(&gateway, "acme", 3), 2);
}

#[test]
fn stores_are_connected_to_side_by_side() {
    let (redis, orders) = (Redis::start(), Backend::start());
    // Nobody answers there; each of them is waited for as long as one.
    let silent: Vec<_> = (0..40)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    let tables = (0..).zip(&silent).map(|(number, listener): (u32, _)| {
        let addr = listener.local_addr().unwrap();
        format!("[store.silent-{number}.redis]\nurl = \"redis://{addr}\"\n")
    });
    let text: String = tables.collect();
    let config = counting(redis.addr(), "", DENY, &orders);
    let config = config.replace(
        "[store.shared.redis]",
        &format!("{text}[store.shared.redis]"),
    );
    // The gateway is ready within the time that the harness waits; one after the other they would take it.
    let gateway = Gateway::start(config);
    assert_eq!(passed(&gateway, "acme", 3), 2);
}
