//! What is larger than it may be, and answers that have no body, no end, or more than a body.

use super::*;

#[test]
fn a_request_is_as_large_as_it_may_be() {
    let scene = scene("body-max = \"5B\"");
    assert_eq!(scene.verdict(with_body("a", 6)), "idempotency.too-large");
    let mut fits = scene.first(with_body("a", 5));
    assert!(matches!(fits.sends(&["pay", " 5"]), Flow::Continue));
    let mut streams = scene.first(post("b").body(RequestBody::Unknown));
    let Flow::Reply(reply) = streams.sends(&["pay", " 55"]) else {
        panic!("it passes");
    };
    assert_eq!(reply.refusal.unwrap().code, "idempotency.too-large");
    streams.head(TestResponse::ours(413));
    assert_eq!(scene.verdict(post("b")), "", "the key is free");
}

#[test]
fn an_answer_that_cannot_be_kept_is_not_carried_out_again() {
    let scene = scene("body-max = \"5B\"");
    let mut fits = scene.first(post("fits"));
    fits.head(TestResponse::new(200).header("content-length", "5"));
    fits.piece("12", false);
    fits.piece("345", true);
    assert_eq!(scene.verdict(post("fits")), "replayed");
    scene
        .first(post("told"))
        .head(TestResponse::new(200).header("content-length", "6"));
    let mut larger = scene.first(post("larger"));
    larger.head(TestResponse::new(200));
    larger.piece("123456", false);
    let events = TestResponse::new(200).header("content-type", "text/event-stream; charset=utf-8");
    scene.first(post("events")).head(events);
    let mut early = scene.first(with_body("early", 5));
    early.gets(TestResponse::new(200), "");
    for key in ["told", "larger", "events"] {
        assert_eq!(scene.verdict(post(key)), "idempotency.unkept", "{key}");
    }
    assert_eq!(scene.verdict(with_body("early", 5)), "idempotency.unkept");
}

#[test]
fn an_answer_may_end_with_its_head_and_a_cut_one_is_none() {
    let scene = scene("");
    scene.first(post("empty")).head(TestResponse::new(204));
    assert_eq!(scene.verdict(post("empty")), "replayed");
    let mut whole = scene.first(post("whole"));
    whole.head(TestResponse::new(200));
    whole.done(true);
    assert_eq!(scene.verdict(post("whole")), "replayed");
    let mut cut = scene.first(post("cut"));
    cut.head(TestResponse::new(200));
    cut.piece("half", false);
    cut.done(false);
    let gone = scene.first(post("gone"));
    gone.done(false);
    for key in ["cut", "gone"] {
        assert_eq!(scene.verdict(post(key)), "idempotency.running", "{key}");
    }
}

#[test]
fn an_answer_with_trailers_is_not_kept_also_where_it_has_no_content() {
    let scene = scene("");
    let mut asking = scene.first(post("a"));
    asking.head(TestResponse::new(200));
    asking.piece("ok", false);
    asking.ended(true, true);
    assert_eq!(scene.verdict(post("a")), "idempotency.unkept");
    for (key, trailers, verdict) in [("b", true, "idempotency.unkept"), ("c", false, "replayed")] {
        let mut empty = TestResponse::new(200).header("content-length", "0");
        empty.head.set_version(http::Version::HTTP_2);
        let mut asking = scene.first(post(key));
        asking.head(empty);
        asking.ended(true, trailers);
        assert_eq!(scene.verdict(post(key)), verdict);
    }
}
