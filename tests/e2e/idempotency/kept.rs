//! Which answers are kept, and which give the key back.

use harness::{Backend, Config, Gateway, H2Backend, H2Script, Script};

use super::{answers, once, post, post_h2, replayed, requests, route};
use crate::fixture::{assert_refused, config};

#[test]
fn answers_that_say_that_nothing_was_done_are_not_kept() {
    let (gateway, orders) = once("");
    for status in [429, 503, 502, 504, 409, 401] {
        orders.once(Script::answer(status, "not now"));
        assert_eq!(post(&gateway, "k", b"pay").status, status);
    }
    orders.once(Script::reset());
    assert_refused(&post(&gateway, "k", b"pay"), 502, "upstream.closed");
    orders.once(Script::answer(500, "broken"));
    assert_eq!(post(&gateway, "k", b"pay").status, 500);
    let again = post(&gateway, "k", b"pay");
    assert!(replayed(&again));
    assert_eq!((again.status, &*again.text()), (500, "broken"));
    assert_eq!(orders.requests().len(), 8);
    assert_eq!(
        (answers(&gateway, "released"), answers(&gateway, "kept")),
        (7, 1)
    );
}

#[test]
fn an_answer_larger_than_may_be_kept_passes_and_is_not_made_again() {
    let (gateway, orders) = once("body-max = \"100B\"");
    let (most, more) = ("x".repeat(100), "x".repeat(101));
    let pieces = |text: &str| Script::chunks([text[..50].to_owned(), text[50..].to_owned()]);
    for (key, script, kept) in [
        ("a", Script::answer(200, most.clone()), true),
        ("b", Script::answer(200, more.clone()), false),
        ("c", pieces(&most), true),
        ("d", pieces(&more), false),
        ("e", Script::until_close(most.clone()), true),
        ("f", Script::until_close(more.clone()), false),
    ] {
        orders.once(script);
        let first = post(&gateway, key, b"pay");
        assert_eq!(
            (first.status, first.body.len()),
            (200, if kept { 100 } else { 101 }),
            "{key}"
        );
        for again in [post(&gateway, key, b"pay"), post_h2(&gateway, key, b"pay")] {
            if kept {
                assert!(replayed(&again) && again.body == first.body, "{key}");
            } else {
                assert_refused(&again, 409, "idempotency.unkept");
            }
        }
    }
    assert_eq!(orders.requests().len(), 6);
    assert_eq!(
        (answers(&gateway, "kept"), answers(&gateway, "unkept")),
        (3, 3)
    );
    assert_eq!(requests(&gateway, "unkept"), 6);
}

#[test]
fn an_answer_with_trailers_passes_and_is_not_given_again_without_them() {
    let orders = H2Backend::start();
    let head = "[listener.public]\naddress = \"@address.public@\"\n\
         [upstream.orders]\ntargets = [\"@upstream.orders@\"]\nprotocol = \"h2\"\n";
    let config = Config::new(format!("{head}{}", route("")));
    let gateway = Gateway::start(config.upstream("orders", orders.addr()));
    let summed = |script: H2Script| script.trailer("x-sum", "7");
    for (key, script, kept) in [
        ("a", summed(H2Script::answer(200, "paid")), false),
        (
            "b",
            summed(H2Script::answer(200, "paid").header("content-length", "4")),
            false,
        ),
        ("c", summed(H2Script::answer(200, "")), false),
        ("d", H2Script::answer(200, "paid"), true),
        ("e", H2Script::answer(204, ""), true),
        ("f", H2Script::chunks(200, ["pa", "id"]), true),
    ] {
        orders.once(script);
        let first = post_h2(&gateway, key, b"pay");
        assert_eq!(first.trailers.has("x-sum"), !kept, "{key}");
        for again in [post(&gateway, key, b"pay"), post_h2(&gateway, key, b"pay")] {
            if kept {
                assert!(replayed(&again) && again.body == first.body, "{key}");
            } else {
                assert_refused(&again, 409, "idempotency.unkept");
            }
        }
    }
    assert_eq!(orders.requests().len(), 6);
    assert_eq!(
        (answers(&gateway, "kept"), answers(&gateway, "unkept")),
        (3, 3)
    );
}

#[test]
fn events_are_not_kept() {
    let (gateway, orders) = once("");
    orders.always(Script::chunks(["data: 1\n\n"]).header("Content-Type", "text/event-stream"));
    assert_eq!(post(&gateway, "k", b"pay").text(), "data: 1\n\n");
    assert_refused(&post(&gateway, "k", b"pay"), 409, "idempotency.unkept");
}

#[test]
fn answers_without_content_are_kept() {
    let (gateway, orders) = once("");
    for (key, script) in [
        ("a", Script::status(204)),
        ("b", Script::status(200)),
        ("c", Script::status(303).header("Location", "/orders/7")),
        ("d", Script::answer(200, "x").interim(103)),
    ] {
        orders.once(script);
        let first = post(&gateway, key, b"");
        for again in [post(&gateway, key, b""), post_h2(&gateway, key, b"")] {
            assert!(replayed(&again), "{key}");
            assert_eq!((again.status, &again.body), (first.status, &first.body));
            assert_eq!(again.header("location"), first.header("location"));
            assert_eq!(
                again.header("content-length"),
                first.header("content-length"),
                "{key}"
            );
        }
    }
    assert_eq!(orders.requests().len(), 4);
}

#[test]
fn what_policies_change_in_answers_is_changed_once() {
    let orders = Backend::start();
    let text = format!(
        "{}headers = {{ response = {{ add = {{ vary = \"x-a\" }}, remove = [\"x-own\"] }} }}\n\
         rate-limit = {{ rate = \"9/h\", key = \"client.ip\" }}\n",
        route("")
    );
    let gateway = Gateway::start(config(&text, &orders));
    orders.always(
        Script::answer(200, "ok")
            .header("Vary", "Origin")
            .header("X-Own", "1")
            .header("Keep-Alive", "5"),
    );
    let first = post(&gateway, "k", b"pay");
    let again = post(&gateway, "k", b"pay");
    assert!(replayed(&again));
    let vary = |answer: &harness::Response| {
        let fields = answer
            .headers
            .0
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case("vary"));
        fields.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (vary(&first), vary(&again)),
        (
            vec!["Origin".into(), "x-a".into()],
            vec!["Origin".into(), "x-a".into()]
        )
    );
    assert_eq!(
        (again.header("x-own"), again.header("keep-alive")),
        (None, None)
    );
    let left = |answer: &harness::Response| answer.header("ratelimit").unwrap().contains("r=7");
    assert!(
        left(&again) && !left(&first),
        "what stands above says what is true now"
    );
}

#[test]
fn an_answer_that_is_cut_is_not_made_again_at_once() {
    let (gateway, orders) = once("");
    orders.once(Script::raw(
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
    ));
    let mut client = gateway.client();
    client
        .send(
            b"POST /pay HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 3\r\n\r\npay",
        )
        .unwrap();
    assert!(client.try_receive("POST").is_err());
    harness::wait::until(harness::wait::DEADLINE, "the request is over", || {
        answers(&gateway, "left") == 1
    });
    let again = gateway.request(
        "POST",
        "/pay",
        &[("Idempotency-Key", "k"), ("Host", "a")],
        b"pay",
    );
    assert_refused(&again, 409, "idempotency.running");
}
