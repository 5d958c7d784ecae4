//! Answers that are under way while somebody forgets them: they reach whoever asked, and are not kept.

use std::thread;

use harness::{Backend, Gate, Gateway, Response, Script, wait};

use super::{assert_cache, keeping, saying};

/// Runs this while the origin holds back an answer to `/a`; that answer.
fn meanwhile(gateway: &Gateway, orders: &Backend, act: impl FnOnce()) -> Response {
    let gate = Gate::new();
    let held = saying("max-age=60", "old").header("surrogate-key", "one two");
    orders.once(held.header("etag", "\"a\"").gated(&gate));
    thread::scope(|scope| {
        let asking = scope.spawn(|| gateway.get("/a"));
        wait::until(wait::DEADLINE, "the request at the origin", || {
            gate.waiting() == 1
        });
        act();
        gate.open();
        asking.join().unwrap()
    })
}

#[test]
fn what_is_purged_while_it_is_under_way_is_not_kept() {
    let (gateway, orders) = keeping("{}");
    orders.always(saying("max-age=60", "new"));
    let origin = format!("http://{}", gateway.addr());
    for (asked, kept) in [
        (format!("url={origin}/a"), false),
        (format!("prefix={origin}/"), false),
        ("tag=two".to_owned(), false),
        (format!("url={origin}/a&soft=true"), false),
        (format!("url={origin}/b"), true),
        (format!("prefix={origin}/a/b"), true),
        ("tag=three".to_owned(), true),
    ] {
        let purge = || {
            let answer = gateway.admin_post(&format!("/purge?{asked}"));
            assert_eq!(answer.json()["purged"], 0, "{asked}");
        };
        let answer = meanwhile(&gateway, &orders, purge);
        assert_eq!(answer.text(), "old", "{asked}");
        let told = if kept { "stored" } else { "detail=purged" };
        assert_cache(&answer, &format!("fwd=uri-miss; {told}"));
        let next = gateway.get("/a");
        assert_cache(&next, if kept { "hit" } else { "fwd=uri-miss" });
        assert_eq!(next.text(), if kept { "old" } else { "new" }, "{asked}");
        gateway.admin_post(&format!("/purge?prefix={origin}/"));
    }
}

#[test]
fn what_is_changed_while_it_is_under_way_is_not_kept() {
    let (gateway, orders) = keeping("{}");
    for (path, kept) in [("/a", false), ("/b", true)] {
        let change = || {
            orders.once(Script::status(204));
            assert_eq!(gateway.request("PUT", path, &[], b"x").status, 204);
        };
        let answer = meanwhile(&gateway, &orders, change);
        assert_eq!(answer.text(), "old");
        orders.always(saying("max-age=60", "new"));
        assert_eq!(gateway.get("/a").text(), if kept { "old" } else { "new" });
        gateway.admin_post(&format!("/purge?url=http://{}/a", gateway.addr()));
    }
}

#[test]
fn what_fails_to_change_anything_forgets_nothing() {
    let (gateway, orders) = keeping("{}");
    let fail = || {
        orders.once(Script::status(409));
        assert_eq!(gateway.request("PUT", "/a", &[], b"x").status, 409);
    };
    meanwhile(&gateway, &orders, fail);
    assert_cache(&gateway.get("/a"), "hit");
}

#[test]
fn a_purge_reaches_an_answer_whose_head_has_come() {
    let (gateway, orders) = keeping("\"60s\"");
    let gate = Gate::new();
    orders.once(Script::trickle(&gate, ["one ", "two"]));
    let mut first = gateway.client();
    first.send(b"GET /a HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    gate.step();
    assert_eq!(first.receive_head().0, 200);
    let purged = gateway.admin_post("/purge?url=http://a/a");
    assert_eq!(purged.json()["purged"], 1);
    gate.open();
    assert_eq!(first.read_exactly(9), b"4\r\none \r\n");
    let again = gateway.request("GET", "/a", &[("host", "a")], b"");
    assert_cache(&again, "fwd=uri-miss");
    assert_eq!(orders.requests().len(), 2);
}
