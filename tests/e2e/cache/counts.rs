//! What the cache did, as `/metrics` tells it.

use std::thread;

use harness::{Backend, Gate, Gateway, Script, wait};

use super::{assert_cache, keeping, saying};
use crate::fixture::config;

fn of(gateway: &Gateway, name: &str, labels: &[&str]) -> u64 {
    gateway.metric(&format!("gateway_cache_{name}"), labels)
}

#[test]
fn results_and_their_reasons_are_counted() {
    let (gateway, orders) = keeping("{ stale-if-error = \"1h\" }");
    orders.once(saying("max-age=60", "12345"));
    gateway.get("/a");
    gateway.get("/a");
    gateway.request("GET", "/a", &[], b"body");
    gateway.request("DELETE", "/other", &[], b"");
    orders.once(saying("private", ""));
    gateway.get("/private");
    orders.once(saying("max-age=0", "old").header("etag", "\"a\""));
    gateway.get("/stale");
    orders.once(Script::status(304));
    assert_cache(&gateway.get("/stale"), "fwd=stale; fwd-status=304");
    orders.once(Script::status(503));
    assert_cache(&gateway.get("/stale"), "hit; fwd=stale");
    let route = ["route=\"all\"", "zone=\"default\""];
    for (result, count) in [
        ("hit", 1),
        ("miss", 3),
        ("bypass", 2),
        ("revalidated", 1),
        ("stale", 1),
    ] {
        let result = format!("result=\"{result}\"");
        let labels = [route[0], route[1], &result];
        assert_eq!(of(&gateway, "total", &labels), count, "{result}");
    }
    for (result, reason) in [
        ("bypass", "body"),
        ("bypass", "method"),
        ("miss", "private"),
        ("stale", "error"),
    ] {
        let (result, reason) = (
            format!("result=\"{result}\""),
            format!("reason=\"{reason}\""),
        );
        let labels = [route[0], route[1], &result, &reason];
        assert_eq!(of(&gateway, "reasons_total", &labels), 1, "{labels:?}");
    }
    let given = "12345".len() + 2 * "old".len();
    assert_eq!(of(&gateway, "given_bytes_total", &route), given as u64);
}

#[test]
fn what_happens_in_a_zone_is_counted() {
    let orders = Backend::start();
    let zone = "[cache-zone.small]\nmemory = \"1MiB\"\n";
    let routes = super::routes("{ ttl = \"60s\", zone = \"small\" }");
    let gateway = Gateway::start(config(&format!("{zone}{routes}"), &orders));
    let zone = ["zone=\"small\""];
    orders.always(Script::answer(200, vec![b'x'; 100 << 10]));
    for n in 0..20 {
        gateway.get(&format!("/{n}"));
    }
    let evicted = of(&gateway, "evictions_total", &zone);
    let kept = of(&gateway, "entries", &zone);
    assert_eq!(
        (of(&gateway, "stored_total", &zone), kept + evicted),
        (20, 20)
    );
    assert!(evicted >= 10, "{evicted}");
    assert_eq!(of(&gateway, "limit_bytes", &zone), 1 << 20);
    let bytes = of(&gateway, "bytes", &zone);
    assert!(bytes > kept * (100 << 10) && bytes <= 1 << 20, "{bytes}");
    let origin = format!("http://{}", gateway.addr());
    gateway.get("/a");
    gateway.get("/b");
    gateway.request("DELETE", "/a", &[], b"");
    gateway.admin_post(&format!("/purge?url={origin}/b"));
    assert_eq!(of(&gateway, "changed_total", &zone), 1);
    assert_eq!(of(&gateway, "purged_total", &zone), 1);
}

#[test]
fn those_who_wait_for_another_are_counted() {
    let (gateway, orders) = keeping("\"60s\"");
    let gate = Gate::new();
    orders.once(Script::answer(200, "shared").gated(&gate));
    let count = |result: &str| {
        let result = format!("result=\"{result}\"");
        of(&gateway, "coalesced_total", &["route=\"all\"", &result])
    };
    thread::scope(|scope| {
        let asking: Vec<_> = (0..10)
            .map(|_| scope.spawn(|| gateway.get("/").status))
            .collect();
        wait::until(wait::DEADLINE, "the connections", || {
            gateway.metric("gateway_connections", &["listener=\"public\""]) >= 10
        });
        gate.open();
        for one in asking {
            assert_eq!(one.join().unwrap(), 200);
        }
    });
    assert_eq!(orders.requests().len(), 1);
    // Who came when the answer was there has not waited.
    assert_eq!(count("fetched") + count("in-vain"), 0);
    assert!(count("given") <= 9);
}
