//! The policy with records in memory and in a store: what is answered, kept, compared and given back.

mod large;
mod shared;

use bytes::Bytes;

use super::*;
use crate::contract::identity::Identity;
use crate::contract::services::Services;
use crate::contract::testing::{
    self, TestRequest, TestResponse, compiled_with, complaints, config, wait,
};
use crate::limit::tests::clock::TestClock;

const URL: &str = "https://api.example.com/payments";

/// A policy with a clock that the test moves.
struct Scene {
    policy: Idempotency,
    clock: Arc<TestClock>,
}

/// A request on its way.
struct Asking<'a> {
    scene: &'a Scene,
    request: TestRequest,
    state: Option<Box<Work>>,
}

fn scene(table: &str) -> Scene {
    let (clock, services) = TestClock::services();
    with(table, clock, &services)
}

fn with(table: &str, clock: Arc<TestClock>, services: &Services) -> Scene {
    let policy = compiled_with::<Idempotency>(&config::<Idempotency>(table), services);
    Scene { policy, clock }
}

fn post(key: &str) -> TestRequest {
    TestRequest::new("POST", URL).header("Idempotency-Key", key)
}

fn with_body(key: &str, bytes: u64) -> TestRequest {
    post(key).body(RequestBody::Length(bytes))
}

impl Scene {
    fn ask(&self, request: TestRequest) -> (Asking<'_>, Flow) {
        let mut state = None;
        let flow = wait(self.policy.on_request(&request.view(), &mut state));
        let asking = Asking {
            scene: self,
            request,
            state,
        };
        (asking, flow)
    }

    /// A request that goes on.
    fn first(&self, request: TestRequest) -> Asking<'_> {
        let (asking, flow) = self.ask(request);
        assert!(matches!(flow, Flow::Continue), "{flow:?}");
        asking
    }

    /// The refusal that a request gets; empty for one that goes on, `replayed` for a kept answer.
    fn verdict(&self, request: TestRequest) -> &'static str {
        match self.ask(request).1 {
            Flow::Continue => "",
            Flow::Reply(reply) => reply.refusal.map_or("replayed", |refusal| refusal.code),
        }
    }

    /// The kept answer that a request gets.
    fn replay(&self, request: TestRequest) -> (Box<Reply>, ResponseHeader) {
        let (mut asking, flow) = self.ask(request);
        let Flow::Reply(reply) = flow else {
            panic!("it goes on");
        };
        assert!(reply.refusal.is_none(), "{reply:?}");
        let mut head = TestResponse::ours(reply.status.as_u16())
            .header("server", "of a policy below")
            .header("content-length", "7");
        for (name, value) in &reply.headers {
            head = head.header(name.as_str(), value.to_str().unwrap());
        }
        let state = &mut asking.state;
        self.policy
            .on_response(&asking.request.view(), &mut head.view(), state);
        (reply, head.head)
    }
}

impl Asking<'_> {
    fn sends(&mut self, pieces: &[&'static str]) -> Flow {
        let policy = &self.scene.policy;
        let mut head = self.request.upstream_head();
        policy.on_upstream_request(&self.request.view(), &mut head, &mut self.state);
        for (at, piece) in pieces.iter().enumerate() {
            let mut bytes = Some(Bytes::from_static(piece.as_bytes()));
            let end = at + 1 == pieces.len();
            let mut chunk = BodyChunk {
                bytes: &mut bytes,
                end,
            };
            let flow = policy.on_request_body(&mut chunk, &mut self.state);
            if matches!(flow, Flow::Reply(_)) {
                return flow;
            }
        }
        Flow::Continue
    }

    fn head(&mut self, mut response: TestResponse) {
        let policy = &self.scene.policy;
        policy.on_response(&self.request.view(), &mut response.view(), &mut self.state);
    }

    fn piece(&mut self, piece: &'static str, end: bool) {
        let mut bytes = Some(Bytes::from_static(piece.as_bytes()));
        let mut chunk = BodyChunk {
            bytes: &mut bytes,
            end,
        };
        self.scene
            .policy
            .on_response_body(&mut chunk, &mut self.state);
    }

    fn gets(&mut self, response: TestResponse, body: &'static str) {
        self.head(response);
        self.piece(body, true);
    }

    fn done(&self, complete: bool) {
        self.ended(complete, false);
    }

    fn ended(&self, complete: bool, trailers: bool) {
        let done = Done {
            status: Some(200),
            complete,
            trailers,
            total: Duration::ZERO,
        };
        self.scene.policy.on_done(&done, &self.state);
    }
}

/// Carries a request with this body out.
fn carry_out(scene: &Scene, key: &str, body: &'static str) {
    let mut asking = scene.first(with_body(key, 5));
    assert!(matches!(asking.sends(&[body]), Flow::Continue));
    asking.gets(TestResponse::new(201).header("x-own", "1"), "created");
}

#[test]
fn an_answer_is_given_again_to_the_same_body_alone() {
    let scene = scene("");
    carry_out(&scene, "a", "pay 5");
    let (reply, head) = scene.replay(with_body("\"a\"", 5));
    assert_eq!(head.status, 201);
    assert!(matches!(&reply.body, ReplyBody::Bytes(bytes) if bytes == "created"));
    assert_eq!(reply.code, Some("idempotency.replayed"));
    let value = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(value("idempotent-replayed"), Some("true"));
    assert_eq!((value("x-own"), value("server")), (Some("1"), None));
    assert_eq!(value("content-length"), Some("7"));
    let terms = reply.terms.unwrap();
    let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"pay 5");
    assert_eq!(terms.sha256.as_slice(), sha256.as_ref());
    assert_eq!(
        (terms.other.code, terms.larger.code),
        ("idempotency.different", "idempotency.too-large")
    );
    assert_eq!(
        scene.verdict(post("a")),
        "idempotency.different",
        "no body at all"
    );
    assert_eq!(scene.verdict(post("b")), "");
}

#[test]
fn a_request_without_body_is_answered_at_once() {
    let scene = scene("");
    let mut first = scene.first(post("a"));
    first.gets(TestResponse::new(200), "ok");
    assert!(scene.replay(post("a")).0.terms.is_none());
    let other = TestRequest::new("POST", &format!("{URL}?x")).header("Idempotency-Key", "a");
    assert_eq!(scene.verdict(other), "idempotency.different");
}

#[test]
fn only_one_request_is_under_way() {
    let scene = scene("");
    let first = scene.first(post("a"));
    assert!(first.request.facts().is_repeatable());
    let (second, flow) = scene.ask(post("a"));
    let Flow::Reply(reply) = flow else { panic!() };
    assert_eq!(reply.refusal.unwrap().code, "idempotency.running");
    assert_eq!(
        reply.headers,
        [(http::header::RETRY_AFTER, HeaderValue::from_static("1"))]
    );
    assert!(!second.request.facts().is_repeatable());
    scene.clock.pass(Duration::from_secs(64));
    assert_eq!(scene.verdict(post("a")), "idempotency.running");
    scene.clock.pass(Duration::from_secs(1));
    assert_eq!(scene.verdict(post("a")), "", "the route's time is over");
}

#[test]
fn an_answer_that_is_late_does_not_take_the_key_of_another() {
    let scene = scene("");
    let mut first = scene.first(post("a"));
    scene.clock.pass(Duration::from_secs(65));
    let mut second = scene.first(post("a"));
    first.gets(TestResponse::new(200), "first");
    assert_eq!(scene.verdict(post("a")), "idempotency.running");
    second.gets(TestResponse::new(200), "second");
    assert!(
        matches!(&scene.replay(post("a")).0.body, ReplyBody::Bytes(bytes) if bytes == "second")
    );
}

#[test]
fn answers_that_say_that_nothing_was_done_give_the_key_back() {
    let scene = scene("");
    for status in [401, 408, 409, 425, 429, 502, 503, 504] {
        scene.first(post("a")).gets(TestResponse::new(status), "");
    }
    for status in [200, 400, 404, 500, 503] {
        scene.first(post("a")).gets(TestResponse::ours(status), "");
    }
    for (status, key) in [
        (200, "b"),
        (302, "c"),
        (400, "d"),
        (404, "e"),
        (422, "f"),
        (500, "g"),
    ] {
        scene.first(post(key)).gets(TestResponse::new(status), "");
        assert_eq!(scene.replay(post(key)).1.status, status);
    }
}

#[test]
fn an_answer_is_kept_for_its_time() {
    let scene = scene("keep = \"1min\"");
    carry_out(&scene, "a", "pay 5");
    scene.clock.pass(Duration::from_secs(59));
    assert_eq!(scene.verdict(with_body("a", 5)), "replayed");
    scene.clock.pass(Duration::from_secs(1));
    assert_eq!(scene.verdict(with_body("a", 5)), "");
}

#[test]
fn who_was_told_apart_never_meets() {
    let scene = scene("");
    let identity = |subject: &'static str| post("a").identity(Identity::new("keys", None, subject));
    let all = [
        || post("a").from("192.0.2.1"),
        || post("a").from("192.0.2.2"),
        || post("a").from("2001:db8::1"),
        || post("a").from_nowhere(),
    ];
    let names = ["ann", "bob"];
    for request in all.iter().map(|make| make()).chain(names.map(identity)) {
        scene.first(request).gets(TestResponse::new(200), "ok");
    }
    for request in all.iter().map(|make| make()).chain(names.map(identity)) {
        assert_eq!(scene.verdict(request), "replayed");
    }
    let moved = identity("ann").from("198.51.100.7");
    assert_eq!(
        scene.verdict(moved),
        "replayed",
        "an identity has no address"
    );
    let other = post("a").header("Authorization", "Bearer x");
    assert_eq!(
        scene.verdict(other),
        "idempotency.different",
        "nobody's, with another credential"
    );
}

#[test]
fn keys_are_looked_at_where_they_are_for_something() {
    let scene = scene("");
    carry_out(&scene, "a", "pay 5");
    let method = |method: &str| TestRequest::new(method, URL).header("Idempotency-Key", "a");
    for passing in [method("GET"), method("PUT"), TestRequest::new("POST", URL)] {
        assert!(scene.first(passing).state.is_none());
    }
    let grpc = post("a").header("content-type", "application/grpc+proto");
    assert!(scene.first(grpc).state.is_none());
    assert_eq!(scene.verdict(method("PATCH")), "idempotency.different");
    let required = self::scene("required = true\nmethods = [\"PUT\"]");
    assert_eq!(
        required.verdict(TestRequest::new("PUT", URL)),
        "idempotency.missing"
    );
    assert_eq!(required.verdict(TestRequest::new("POST", URL)), "");
    assert_eq!(scene.verdict(post("a, b")), "idempotency.malformed");
    assert_eq!(
        scene.verdict(post("a").header("Idempotency-Key", "a")),
        "idempotency.malformed"
    );
}

#[test]
fn another_attempt_sends_the_same_body() {
    let scene = scene("");
    let mut asking = scene.first(with_body("a", 5));
    drop(asking.sends(&["pay", " "]));
    drop(asking.sends(&["pay 5"]));
    asking.gets(TestResponse::new(200), "ok");
    let terms = scene.replay(with_body("a", 5)).0.terms.unwrap();
    let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"pay 5");
    assert_eq!(terms.sha256.as_slice(), sha256.as_ref());
}

#[test]
fn tells_why() {
    let scene = scene("");
    carry_out(&scene, "a", "pay 5");
    let (asking, _) = scene.ask(with_body("a", 5).explained());
    assert_eq!(
        asking.request.facts().take_notes(),
        ["the first request with its key has its answer"]
    );
}

#[test]
fn a_table_is_within_its_limits() {
    for (table, code) in [
        ("keep = \"999ms\"", "idempotency.keep"),
        ("keep = \"31d\"", "idempotency.keep"),
        ("body-max = \"0B\"", "idempotency.body-max"),
        ("body-max = \"16777217B\"", "idempotency.body-max"),
        ("on-error = \"local\"", "idempotency.on-error"),
        ("methods = []", "idempotency.methods"),
        ("methods = [\"GET\"]", "idempotency.methods"),
    ] {
        assert_eq!(complaints::<Idempotency>(table), [code], "{table}");
    }
    for table in [
        "keep = \"1s\"",
        "keep = \"30d\"",
        "body-max = \"16MiB\"",
        "body-max = \"1B\"",
        "methods = [\"PUT\"]",
    ] {
        assert_eq!(complaints::<Idempotency>(table), [""; 0], "{table}");
    }
}

#[test]
fn records_outlive_a_reload() {
    let (_, services) = TestClock::services();
    let (mut before, mut after) = (Pool::default(), Pool::default());
    let build = |shared: &mut Pool<(), Memory>, old: Option<&Pool<(), Memory>>, table: &str| {
        let mut build = Build {
            name: Some("payments"),
            route: "orders",
            timeout: Duration::from_mins(1),
            index: 0,
            previous: None,
            shared,
            before: old,
            services: &services,
        };
        Idempotency::compile(&testing::config::<Idempotency>(table), &mut build).unwrap()
    };
    let policy = build(&mut before, None, "");
    let clock = TestClock::services().0;
    let one = Scene {
        policy,
        clock: clock.clone(),
    };
    carry_out(&one, "a", "pay 5");
    let policy = build(&mut after, Some(&before), "keep = \"1h\"");
    let two = Scene { policy, clock };
    assert_eq!(two.verdict(with_body("a", 5)), "replayed");
}
