//! Keys in a Redis that two gateways share, and while it does not answer.

use std::net::SocketAddr;
use std::thread;

use harness::{Backend, Config, Gate, Gateway, Redis, Script, wait};

use super::{answers, post, post_h2, replayed};
use crate::fixture::{assert_refused, config};

fn shared(addr: SocketAddr, table: &str, orders: &Backend) -> Config {
    let text = format!(
        r#"
        [store.shared.redis]
        url = "redis://{addr}"
        timeout = "5s"
        [idempotency.once]
        store = "shared"
        {table}
        [route.all]
        match = "/**"
        upstream = "orders"
        idempotency = "once"
        "#
    );
    config(&text, orders)
}

/// The answer is written down beside the request.
fn until_kept(gateway: &Gateway, answers_kept: u64) {
    wait::until(wait::DEADLINE, "the answer is kept", || {
        answers(gateway, "kept") == answers_kept
    });
}

/// Both gateways listen at addresses of their own, so the requests name a host.
fn pay(gateway: &Gateway, key: &str) -> harness::Response {
    gateway.request(
        "POST",
        "/pay",
        &[("Host", "a.example.com"), ("Idempotency-Key", key)],
        b"pay",
    )
}

#[test]
fn two_gateways_carry_out_once() {
    let (redis, orders, gate) = (Redis::start(), Backend::start(), Gate::new());
    orders.on(
        "/pay",
        Script::answer(201, "x".repeat(300_000))
            .header("X-Own", "1")
            .gated(&gate),
    );
    let [one, two] = [0, 1].map(|_| Gateway::start(shared(redis.addr(), "", &orders)));
    thread::scope(|scope| {
        let first = scope.spawn(|| pay(&one, "k"));
        orders.wait_requests(1);
        for gateway in [&one, &two] {
            assert_refused(&pay(gateway, "k"), 409, "idempotency.running");
        }
        gate.open();
        assert_eq!(first.join().unwrap().status, 201);
    });
    until_kept(&one, 1);
    for gateway in [&one, &two] {
        let again = pay(gateway, "k");
        assert_eq!(
            (again.status, again.body.len(), again.header("x-own")),
            (201, 300_000, Some("1"))
        );
        assert!(replayed(&again));
        let other = gateway.request(
            "POST",
            "/pay",
            &[("Host", "a.example.com"), ("Idempotency-Key", "k")],
            b"pax",
        );
        assert_refused(&other, 422, "idempotency.different");
    }
    assert_eq!(orders.requests().len(), 1);
    orders.on("/pay", Script::status(503));
    assert_eq!(pay(&one, "free").status, 503);
    wait::until(wait::DEADLINE, "the key is given back", || {
        answers(&one, "released") == 1
    });
    assert_eq!(pay(&two, "free").status, 503);
}

#[test]
fn of_many_at_once_at_two_gateways_one_is_carried_out() {
    let (redis, orders) = (Redis::start(), Backend::start());
    let [one, two] = [0, 1].map(|_| Gateway::start(shared(redis.addr(), "", &orders)));
    for round in 0..8 {
        let key = format!("k{round}");
        thread::scope(|scope| {
            for gateway in [&one, &two, &one, &two, &one, &two] {
                let key = &key;
                scope.spawn(move || assert!([200, 409].contains(&pay(gateway, key).status)));
            }
        });
        assert_eq!(orders.requests().len(), round + 1);
    }
}

#[test]
fn answers_outlive_a_restart_of_the_gateway() {
    let (redis, orders) = (Redis::start(), Backend::start());
    let first = Gateway::start(shared(redis.addr(), "", &orders));
    assert_eq!(pay(&first, "k").status, 200);
    until_kept(&first, 1);
    drop(first);
    let second = Gateway::start(shared(redis.addr(), "", &orders));
    assert!(replayed(&pay(&second, "k")));
}

#[test]
fn while_the_store_is_dead_requests_are_what_on_error_says() {
    for (table, status, again) in [
        ("", 503, 503),
        ("on-error = \"local\"", 200, 200),
        ("on-error = \"allow\"", 200, 200),
    ] {
        let (mut redis, orders) = (Redis::start(), Backend::start());
        let gateway = Gateway::start(shared(redis.addr(), table, &orders));
        assert_eq!(pay(&gateway, "before").status, 200, "{table}");
        until_kept(&gateway, 1);
        redis.kill();
        let mut asked = 0;
        wait::until(wait::DEADLINE, "the store is given up", || {
            asked += 1;
            pay(&gateway, &format!("finds-it-out-{asked}"));
            gateway.metric("gateway_store_calls_total", &["result=\"down\""]) > 0
        });
        let before = orders.requests().len();
        let first = pay(&gateway, "k");
        let second = pay(&gateway, "k");
        assert_eq!((first.status, second.status), (status, again), "{table}");
        assert_eq!(replayed(&second), table.contains("local"), "{table}");
        let carried_out = orders.requests().len() - before;
        let expected = match table {
            "" => 0,
            _ if table.contains("local") => 1,
            _ => 2,
        };
        assert_eq!(carried_out, expected, "{table}");
        if status == 503 {
            assert_refused(&first, 503, "idempotency.unavailable");
            assert_eq!(first.header("retry-after"), Some("1"));
            let keyless = gateway.request("POST", "/pay", &[], b"pay");
            assert_eq!(keyless.status, 200, "only keys need the store");
        }
        redis.restart();
        wait::until(wait::DEADLINE, "keys are in the store again", || {
            let kept = answers(&gateway, "kept");
            pay(&gateway, &format!("after-{kept}")).status == 200
                && redis.command(&["DBSIZE"]) != ":0"
        });
        assert_eq!(
            replayed(&pay(&gateway, "k")),
            table.contains("local"),
            "what was done meanwhile is not forgotten"
        );
    }
}

#[test]
fn an_answer_is_kept_though_the_store_is_away_for_a_moment() {
    let (redis, orders, gate) = (Redis::start(), Backend::start(), Gate::new());
    orders.on("/pay", Script::answer(200, "paid").gated(&gate));
    let gateway = Gateway::start(shared(redis.addr(), "", &orders));
    thread::scope(|scope| {
        let first = scope.spawn(|| pay(&gateway, "k"));
        orders.wait_requests(1);
        redis.stall();
        gate.open();
        assert_eq!(
            first.join().unwrap().text(),
            "paid",
            "the client does not wait for the store"
        );
        redis.go_on();
    });
    until_kept(&gateway, 1);
    assert!(replayed(&pay(&gateway, "k")));
}

#[test]
fn a_record_of_somebody_else_is_no_answer() {
    let (redis, orders) = (Redis::start(), Backend::start());
    let gateway = Gateway::start(shared(redis.addr(), "", &orders));
    assert_eq!(post(&gateway, "k", b"pay").status, 200);
    until_kept(&gateway, 1);
    let found = redis.command(&[
        "EVAL",
        "local k = redis.call('KEYS', '*idempotency*') return redis.call('SET', k[1], 'x')",
        "0",
    ]);
    assert_eq!(found, "+OK");
    assert_refused(&post(&gateway, "k", b"pay"), 503, "idempotency.unavailable");
    assert_refused(
        &post_h2(&gateway, "k", b"pay"),
        503,
        "idempotency.unavailable",
    );
    let wrong = redis.command(&["EVAL", "local k = redis.call('KEYS', '*idempotency*') redis.call('DEL', k[1]) return redis.call('LPUSH', k[1], 'x')", "0"]);
    assert_eq!(wrong, ":1");
    assert_refused(&post(&gateway, "k", b"pay"), 503, "idempotency.unavailable");
    assert_eq!(orders.requests().len(), 1);
}
