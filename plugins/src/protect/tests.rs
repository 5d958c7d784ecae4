use bytes::Bytes;

use super::*;
use crate::contract::testing::{TestRequest, admit, compiled, complaints, config};

fn protect(table: &str) -> Protect {
    compiled(&config::<Protect>(table))
}

fn request(method: &str) -> TestRequest {
    TestRequest::new(method, "http://api.example.com/orders")
}

/// The code of the refusal, or `pass`, and the header that comes with it.
fn verdict(table: &str, request: &TestRequest) -> (&'static str, String) {
    match admit(&protect(table), request) {
        Flow::Continue => ("pass", String::new()),
        Flow::Reply(reply) => {
            let header = reply
                .headers
                .first()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            (reply.refusal.unwrap().code, header.unwrap_or_default())
        }
    }
}

#[test]
fn a_declared_length_may_reach_the_limit_and_not_pass_it() {
    let judge = |length| {
        verdict(
            "body-max = '10B'",
            &request("POST").body(RequestBody::Length(length)),
        )
        .0
    };
    assert_eq!(judge(10), "pass");
    assert_eq!(judge(11), "protect.body-too-large");
    assert_eq!(
        verdict(
            "body-max = '0B'",
            &request("POST").body(RequestBody::Unknown)
        )
        .0,
        "pass"
    );
}

fn feed(protect: &Protect, state: &mut Received, bytes: &'static [u8]) -> bool {
    let mut bytes = Some(Bytes::from_static(bytes));
    let flow = protect.on_request_body(
        &mut BodyChunk {
            bytes: &mut bytes,
            end: false,
        },
        state,
    );
    matches!(flow, Flow::Reply(reply) if reply.refusal == Some(&BODY))
}

#[test]
fn bytes_that_arrive_are_counted_and_counted_anew_for_each_attempt() {
    let (protect, mut state) = (protect("body-max = '10B'"), Received::default());
    assert!(!feed(&protect, &mut state, b"0123456789"));
    assert!(feed(&protect, &mut state, b"x"));
    assert!(feed(&protect, &mut state, b""), "and it stays refused");
    let request = request("POST");
    protect.on_upstream_request(&request.view(), &mut request.upstream_head(), &mut state);
    assert!(!feed(&protect, &mut state, b"0123456789"));
    let mut nothing = None;
    let end = protect.on_request_body(
        &mut BodyChunk {
            bytes: &mut nothing,
            end: true,
        },
        &mut state,
    );
    assert!(matches!(end, Flow::Continue));
}

#[test]
fn a_shadowed_limit_speaks_once() {
    let (protect, mut state) = (
        protect("body-max = '1B'\nmode = 'shadow'"),
        Received::default(),
    );
    assert!(feed(&protect, &mut state, b"01"));
    assert!(!feed(&protect, &mut state, b"2"));
}

#[test]
fn refuses_other_methods_and_says_which_are_allowed() {
    let judge = |method| verdict("methods = ['GET', 'POST']", &request(method));
    for allowed in ["GET", "HEAD", "POST"] {
        assert_eq!(judge(allowed).0, "pass", "{allowed}");
    }
    for refused in ["PUT", "OPTIONS", "get"] {
        assert_eq!(
            judge(refused),
            ("protect.method", "allow: GET, HEAD, POST".to_owned()),
            "{refused}"
        );
    }
}

#[test]
fn a_preflight_is_judged_by_the_method_it_asks_about() {
    let preflight = |asked: &str| {
        request("OPTIONS")
            .header("origin", "https://a.example")
            .header("access-control-request-method", asked)
    };
    assert_eq!(verdict("methods = ['PUT']", &preflight("PUT")).0, "pass");
    assert_eq!(
        verdict("methods = ['PUT']", &preflight("DELETE")).0,
        "protect.method"
    );
    let twice = preflight("PUT").header("access-control-request-method", "PUT");
    assert_eq!(verdict("methods = ['PUT']", &twice).0, "protect.method");
    let no_origin = request("OPTIONS").header("access-control-request-method", "PUT");
    assert_eq!(verdict("methods = ['PUT']", &no_origin).0, "protect.method");
    let not_options = request("DELETE")
        .header("origin", "https://a.example")
        .header("access-control-request-method", "PUT");
    assert_eq!(
        verdict("methods = ['PUT']", &not_options).0,
        "protect.method"
    );
}

#[test]
fn judges_the_type_of_a_body() {
    let table = "content-types = ['application/json', 'image/*']";
    let posted = |kind: &str| {
        request("POST")
            .header("content-type", kind)
            .body(RequestBody::Unknown)
    };
    assert_eq!(
        verdict(table, &posted("Application/Json; charset=utf-8")).0,
        "pass"
    );
    assert_eq!(verdict(table, &posted("image/png")).0, "pass");
    let refused = (
        "protect.content-type",
        "accept: application/json, image/*".to_owned(),
    );
    assert_eq!(verdict(table, &posted("text/plain")), refused);
    assert_eq!(
        verdict(table, &request("POST").body(RequestBody::Length(1))),
        refused
    );
    assert_eq!(
        verdict(table, &request("POST").body(RequestBody::Length(0))).0,
        "pass"
    );
    assert_eq!(
        verdict(table, &request("GET").header("content-type", "text/plain")).0,
        "pass"
    );
    let twice = posted("application/json").header("content-type", "application/json");
    assert_eq!(verdict(table, &twice).0, "protect.content-type-repeated");
    assert_eq!(
        verdict(table, &posted("application/json, text/html")).0,
        "protect.content-type-repeated"
    );
}

#[test]
fn complains_about_limits_that_limit_nothing_or_everything() {
    assert_eq!(complaints::<Protect>(""), ["protect.empty"]);
    assert_eq!(
        complaints::<Protect>("methods = []"),
        ["protect.nothing-allowed"]
    );
    assert_eq!(
        complaints::<Protect>("content-types = []"),
        ["protect.nothing-allowed"]
    );
    assert!(complaints::<Protect>("body-max = '1MiB'").is_empty());
}
