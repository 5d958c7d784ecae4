//! A request that took a key is repeated by the gateway like a safe one, and answered once.

use std::net::SocketAddr;

use harness::{Backend, Config, Gateway, Script};

use super::{post, post_h2, replayed};
use crate::fixture::assert_refused;

fn retrying(policy: &str, targets: [SocketAddr; 2]) -> Gateway {
    let text = format!(
        r#"
        [listener.public]
        address = "@address.public@"
        [upstream.orders]
        targets = ["@upstream.one@", "@upstream.two@"]
        [route.all]
        match = "/**"
        upstream = "orders"
        retry = {{ backoff = "0ms", on = ["connect-failure", "reset", "timeout", "503"], per-try-timeout = "1s" }}
        {policy}
        "#
    );
    let [one, two] = targets;
    Gateway::start(Config::new(text).upstream("one", one).upstream("two", two))
}

#[test]
fn a_post_with_a_key_is_sent_again_and_answered_once() {
    for script in [
        Script::reset(),
        Script::close(),
        Script::status(503),
        Script::stall(),
    ] {
        let [bad, good] = [Backend::start(), Backend::start()];
        bad.always(script);
        let gateway = retrying("idempotency = {}", [bad.addr(), good.addr()]);
        for (at, send) in [post, post_h2, post, post_h2].into_iter().enumerate() {
            let key = format!("k{at}");
            let first = send(&gateway, &key, b"pay 5 EUR");
            assert_eq!(
                (first.status, replayed(&first)),
                (200, false),
                "{}",
                first.text()
            );
            assert_eq!(good.requests().len(), at + 1, "once each");
            assert_eq!(good.last().text(), "pay 5 EUR");
            assert_eq!(good.last().header("idempotency-key"), Some(&*key));
            assert!(replayed(&send(&gateway, &key, b"pay 5 EUR")));
        }
        assert_eq!(good.requests().len(), 4);
        assert!(!bad.requests().is_empty());
    }
}

#[test]
fn a_post_without_a_key_or_a_policy_is_never_sent_twice() {
    for (policy, headers) in [
        ("idempotency = {}", &[][..]),
        ("", &[("Idempotency-Key", "k")]),
        (
            "idempotency = { mode = \"shadow\" }",
            &[("Idempotency-Key", "k")],
        ),
        (
            "idempotency = { methods = [\"PUT\"] }",
            &[("Idempotency-Key", "k")],
        ),
    ] {
        let backends = [Backend::start(), Backend::start()];
        for backend in &backends {
            backend.always(Script::reset());
        }
        let gateway = retrying(policy, [backends[0].addr(), backends[1].addr()]);
        let answer = gateway.request("POST", "/pay", headers, b"pay");
        assert_refused(&answer, 502, "upstream.closed");
        let asked: usize = backends
            .iter()
            .map(|backend| backend.requests().len())
            .sum();
        assert_eq!(asked, 1, "{policy}");
    }
}

#[test]
fn a_body_that_is_not_kept_is_not_sent_again() {
    let backends = [Backend::start(), Backend::start()];
    for backend in &backends {
        backend.always(Script::reset());
    }
    let gateway = retrying("idempotency = {}", [backends[0].addr(), backends[1].addr()]);
    let large = vec![b'x'; 300_000];
    assert_refused(&post(&gateway, "k", &large), 502, "upstream.closed");
    let asked: usize = backends
        .iter()
        .map(|backend| backend.requests().len())
        .sum();
    assert_eq!(asked, 1);
}
