//! `idempotency`: what is carried out once, what is answered again, and what is refused.

mod kept;
mod redis;
mod retried;

use std::thread;

use harness::{Backend, Gate, Gateway, H2Request, H2c, Response, Script, wait};

use crate::fixture::{assert_refused, assert_usable, config};

/// SHA-256 of `ann-key` and of `bob-key`.
const ANN: &str = "21fdbeecb49c56644f6cc4444328f5da14132c8a38fd86aad19b4da9e521a79c";
const BOB: &str = "9b94dc1a51a38769f135edf04033ad7f2f487b6c25929be7a861cfc1ab10cf98";

/// A gateway with one route that has this policy.
fn once(table: &str) -> (Gateway, Backend) {
    let orders = Backend::start();
    let gateway = Gateway::start(config(&route(table), &orders));
    (gateway, orders)
}

fn route(table: &str) -> String {
    format!("[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\nidempotency = {{ {table} }}\n")
}

fn post(gateway: &Gateway, key: &str, body: &[u8]) -> Response {
    gateway.request("POST", "/pay", &[("Idempotency-Key", key)], body)
}

/// The same on HTTP/2.
fn post_h2(gateway: &Gateway, key: &str, body: &[u8]) -> Response {
    let request = H2Request::new("POST", "/pay").header("idempotency-key", key);
    let authority = gateway.addr().to_string();
    H2c::connect(gateway.addr()).request(request.authority(&authority).body(body))
}

fn replayed(answer: &Response) -> bool {
    answer.header("idempotent-replayed") == Some("true")
}

fn requests(gateway: &Gateway, key: &str) -> u64 {
    let label = format!("key=\"{key}\"");
    gateway.metric(
        "gateway_idempotency_requests_total",
        &["policy=\"all/0\"", &label],
    )
}

fn answers(gateway: &Gateway, result: &str) -> u64 {
    let label = format!("result=\"{result}\"");
    gateway.metric("gateway_idempotency_answers_total", &[&label])
}

#[test]
fn the_same_request_is_carried_out_once_and_answered_every_time() {
    let (gateway, orders) = once("");
    orders.always(
        Script::answer(201, "created")
            .header("Set-Cookie", "a=b")
            .header("X-Own", "1"),
    );
    let first = post(&gateway, "k1", b"pay 5 EUR");
    assert_eq!((first.status, replayed(&first)), (201, false));
    assert_eq!(
        orders.last().header("idempotency-key"),
        Some("k1"),
        "the upstream gets it, too"
    );
    for again in [
        post(&gateway, "k1", b"pay 5 EUR"),
        post(&gateway, "\"k1\"", b"pay 5 EUR"),
        post_h2(&gateway, "k1", b"pay 5 EUR"),
    ] {
        assert_eq!((again.status, &*again.text()), (201, "created"));
        assert!(replayed(&again));
        assert_eq!(
            (again.header("set-cookie"), again.header("x-own")),
            (Some("a=b"), Some("1"))
        );
        assert_ne!(again.header("x-request-id"), first.header("x-request-id"));
    }
    assert_eq!(orders.requests().len(), 1);
    assert_eq!(post(&gateway, "k2", b"pay 5 EUR").status, 201);
    assert_eq!(orders.requests().len(), 2, "another key, another payment");
    assert_eq!(
        (requests(&gateway, "first"), requests(&gateway, "replayed")),
        (2, 3)
    );
    assert_eq!(answers(&gateway, "kept"), 2);
    let lines = gateway.wait_access_log(5);
    assert_eq!(lines[1]["code"], "idempotency.replayed");
    assert_eq!(lines[1]["attempts"], 0);
}

#[test]
fn a_first_request_on_http_2_is_answered_again_on_http_1() {
    let (gateway, orders) = once("body-max = \"1MiB\"");
    let large = vec![b'x'; 300_000];
    let first = post_h2(&gateway, "k", &large);
    assert_eq!(first.status, 200);
    let mut client = gateway.client();
    let again = client.request("POST", "/pay", &[("Idempotency-Key", "k")], &large);
    assert!(replayed(&again) && again.body == first.body);
    assert_usable(&mut client, "/");
    assert!(replayed(&post_h2(&gateway, "k", &large)));
    let asked = orders.requests();
    assert_eq!(
        asked
            .iter()
            .filter(|request| request.method == "POST")
            .count(),
        1
    );
}

#[test]
fn another_request_with_the_key_is_422() {
    let (gateway, orders) = once("");
    assert_eq!(post(&gateway, "k", b"pay 5 EUR").status, 200);
    let key = [("Idempotency-Key", "k")];
    let chunked = [("Idempotency-Key", "k"), ("Transfer-Encoding", "chunked")];
    for other in [
        post(&gateway, "k", b"pay 6 EUR"),
        post(&gateway, "k", b""),
        post_h2(&gateway, "k", b"pay 6 EUR"),
        gateway.request("POST", "/pay", &chunked, b"3\r\npay\r\n0\r\n\r\n"),
        gateway.request("POST", "/pay?now", &key, b"pay 5 EUR"),
        gateway.request("POST", "/pays", &key, b"pay 5 EUR"),
        gateway.request("PATCH", "/pay", &key, b"pay 5 EUR"),
        gateway.request(
            "POST",
            "/pay",
            &[key[0], ("Host", "other.example.com")],
            b"pay 5 EUR",
        ),
        gateway.request(
            "POST",
            "/pay",
            &[key[0], ("Cookie", "session=2")],
            b"pay 5 EUR",
        ),
    ] {
        assert_refused(&other, 422, "idempotency.different");
        assert!(!replayed(&other));
    }
    let same = gateway.request(
        "POST",
        "/pay",
        &chunked,
        b"4\r\npay \r\n5\r\n5 EUR\r\n0\r\n\r\n",
    );
    assert!(replayed(&same), "the same body, however it is framed");
    assert_eq!(orders.requests().len(), 1);
    assert_eq!(requests(&gateway, "different"), 9);
    assert_eq!(
        gateway.metric(
            "gateway_refusals_total",
            &["code=\"idempotency.different\"", "mode=\"enforce\""]
        ),
        9
    );
}

#[test]
fn while_the_first_request_is_under_way_others_are_409() {
    let (orders, gate) = (Backend::start(), Gate::new());
    orders.on("/pay", Script::answer(200, "paid").gated(&gate));
    let gateway = Gateway::start(config(&route(""), &orders));
    thread::scope(|scope| {
        let first = scope.spawn(|| post(&gateway, "k", b"pay"));
        orders.wait_requests(1);
        for refused in [post(&gateway, "k", b"pay"), post_h2(&gateway, "k", b"pay")] {
            assert_refused(&refused, 409, "idempotency.running");
            assert_eq!(refused.header("retry-after"), Some("1"));
        }
        gate.open();
        assert!(!replayed(&first.join().unwrap()));
    });
    assert!(replayed(&post(&gateway, "k", b"pay")));
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn of_many_at_once_one_is_carried_out() {
    let (gateway, orders) = once("");
    let statuses = thread::scope(|scope| {
        let asking: Vec<_> = (0..16)
            .map(|_| scope.spawn(|| post(&gateway, "k", b"pay").status))
            .collect();
        asking
            .into_iter()
            .map(|asked| asked.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert_eq!(orders.requests().len(), 1);
    assert!(
        statuses.iter().all(|status| [200, 409].contains(status)),
        "{statuses:?}"
    );
}

#[test]
fn a_key_is_missing_or_malformed() {
    let (gateway, orders) = once("required = true");
    assert_refused(
        &gateway.request("POST", "/", &[], b"pay"),
        400,
        "idempotency.missing",
    );
    assert_eq!(gateway.get("/").status, 200, "only where something changes");
    for wrong in ["", "\"\"", "a b", "a, b", "\"a", "a;b"] {
        assert_refused(&post(&gateway, wrong, b"pay"), 400, "idempotency.malformed");
        assert_refused(
            &post_h2(&gateway, wrong, b"pay"),
            400,
            "idempotency.malformed",
        );
    }
    let twice = [("Idempotency-Key", "a"), ("Idempotency-Key", "a")];
    assert_refused(
        &gateway.request("POST", "/", &twice, b"pay"),
        400,
        "idempotency.malformed",
    );
    let (most, more) = ("k".repeat(255), "k".repeat(256));
    assert_refused(&post(&gateway, &more, b"pay"), 400, "idempotency.malformed");
    assert_eq!(post(&gateway, &most, b"pay").status, 200);
    assert!(replayed(&post_h2(&gateway, &most, b"pay")));
    assert_eq!(orders.requests().len(), 2);
}

#[test]
fn a_request_is_as_large_as_it_may_be() {
    let (gateway, orders) = once("body-max = \"100B\"");
    let (most, more) = (vec![b'x'; 100], vec![b'x'; 101]);
    assert_refused(&post(&gateway, "k", &more), 413, "idempotency.too-large");
    assert_refused(&post_h2(&gateway, "k", &more), 413, "idempotency.too-large");
    let chunked = |bytes: &[u8]| {
        let headers = [("Idempotency-Key", "k"), ("Transfer-Encoding", "chunked")];
        let body = [
            format!("{:x}\r\n", bytes.len()).as_bytes(),
            bytes,
            b"\r\n0\r\n\r\n",
        ]
        .concat();
        gateway.request("POST", "/pay", &headers, &body)
    };
    orders.always(Script::answer(200, "ok"));
    assert_refused(&chunked(&more), 413, "idempotency.too-large");
    let carried_out = || {
        orders
            .requests()
            .iter()
            .filter(|request| !request.body.is_empty())
            .count()
    };
    assert_eq!(chunked(&most).status, 200);
    assert!(replayed(&post(&gateway, "k", &most)) && replayed(&chunked(&most)));
    assert_refused(&chunked(&more), 413, "idempotency.too-large");
    assert_eq!(carried_out(), 1);
    assert_eq!(
        gateway.request("POST", "/pay", &[], &more).status,
        200,
        "nothing is limited without a key"
    );
}

#[test]
fn a_client_that_waits_for_100_is_told_to_go_on() {
    let (gateway, orders) = once("");
    assert_eq!(post(&gateway, "k", b"pay").status, 200);
    let headers = [("Idempotency-Key", "k"), ("Expect", "100-continue")];
    let mut client = gateway.client();
    let again = client.request("POST", "/pay", &headers, b"pay");
    assert!(replayed(&again));
    assert_eq!(
        again
            .interim
            .iter()
            .map(|(status, _)| *status)
            .collect::<Vec<_>>(),
        [100]
    );
    assert_usable(&mut client, "/");
    assert_eq!(orders.requests().len(), 2);
}

#[test]
fn consumers_with_the_same_key_never_meet() {
    let orders = Backend::start();
    let text = format!(
        r#"
        [auth.keys]
        api-key = {{}}
        [consumer.ann]
        api-keys = ["sha256:{}"]
        [consumer.bob]
        api-keys = ["sha256:{}"]
        {}auth = "keys"
        "#,
        ANN,
        BOB,
        route("")
    );
    let gateway = Gateway::start(config(&text, &orders));
    let pay = |who: &str| {
        let headers = [("Idempotency-Key", "k"), ("X-Api-Key", who)];
        gateway.request("POST", "/pay", &headers, b"pay")
    };
    for who in ["ann-key", "bob-key"] {
        let first = pay(who);
        assert_eq!((first.status, replayed(&first)), (200, false), "{who}");
        assert!(replayed(&pay(who)), "{who}");
    }
    assert_eq!(orders.requests().len(), 2);
    assert_refused(&pay("nobody"), 401, "auth.invalid");
}

#[test]
fn in_shadow_everything_passes_and_is_told() {
    let (gateway, orders) = once("mode = \"shadow\", required = true");
    for (key, body) in [
        ("k", "pay 5"),
        ("k", "pay 5"),
        ("k", "pay 6"),
        ("a, b", "pay 5"),
    ] {
        let answer = post(&gateway, key, body.as_bytes());
        assert_eq!((answer.status, replayed(&answer)), (200, false));
    }
    assert_eq!(orders.requests().len(), 4);
    let lines = gateway.wait_access_log(4);
    let shadowed: Vec<_> = lines
        .iter()
        .map(|line| line.get("shadowed").map(ToString::to_string))
        .collect();
    let told = |code: &str| Some(format!("[\"{code}\"]"));
    assert_eq!(
        shadowed,
        [
            None,
            None,
            told("idempotency.different"),
            told("idempotency.malformed")
        ]
    );
    assert_eq!(
        (
            requests(&gateway, "replayed"),
            requests(&gateway, "different")
        ),
        (1, 1)
    );
}

#[test]
fn answers_outlive_a_reload() {
    let orders = Backend::start();
    let mut gateway = Gateway::start(config(&route(""), &orders));
    assert_eq!(post(&gateway, "k", b"pay").status, 200);
    gateway.rewrite_and_wait(config(&route("keep = \"1h\""), &orders));
    assert!(replayed(&post(&gateway, "k", b"pay")));
    assert_eq!(orders.requests().len(), 1);
}

#[test]
fn a_client_that_goes_away_leaves_its_key_taken() {
    let (orders, _gate) = (Backend::start(), Gate::new());
    orders.on("/pay", Script::stall());
    let gateway = Gateway::start(config(&route(""), &orders));
    let mut client = gateway.client();
    client
        .send(
            b"POST /pay HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 3\r\n\r\npay",
        )
        .unwrap();
    orders.wait_requests(1);
    drop(client);
    wait::until(wait::DEADLINE, "the request is over", || {
        answers(&gateway, "left") == 1
    });
    let again = gateway.request(
        "POST",
        "/pay",
        &[("Idempotency-Key", "k"), ("Host", "a")],
        b"pay",
    );
    assert_refused(&again, 409, "idempotency.running");
    assert_eq!(orders.requests().len(), 1);
}
