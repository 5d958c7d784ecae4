//! What a table may say, and what the request is to it.

use super::*;
use crate::contract::testing::TestRequest;

const URL: &str = "url = \"https://judge.example.com/verify\"\n";

fn validate(more: &str) -> (Option<ForwardConfig>, Vec<&'static str>) {
    let raw: RawForward = toml::from_str(&format!("{URL}{more}")).unwrap();
    let mut report = Report::default();
    let config = raw.validate(0..1, &mut report);
    let codes = report.complaints().iter().map(|complaint| complaint.code);
    (config, codes.collect())
}

fn provider(more: &str) -> Forward {
    let (config, codes) = validate(more);
    assert!(codes.is_empty(), "{codes:?}");
    Forward::compile(&config.unwrap(), &"outside".into(), &Services::nothing()).unwrap()
}

#[test]
fn refuses_headers_that_cannot_travel() {
    for (more, code) in [
        ("send = [\"host\"]", "auth.forward-send"),
        ("send = [\"connection\"]", "auth.forward-send"),
        ("send = [\"proxy-authorization\"]", "auth.forward-send"),
        ("send = [\"x-forwarded-for\"]", "auth.forward-send"),
        ("send = [\"x-a\", \"X-A\"]", "auth.forward-send"),
        ("receive = [\"content-length\"]", "auth.forward-receive"),
        ("receive = [\"authorization\"]", "auth.forward-receive"),
        ("receive = [\"cookie\"]", "auth.forward-receive"),
        (
            "receive = [\"x-team\"]\nsubject = \"x-user\"",
            "auth.forward-subject",
        ),
        ("cache = \"61min\"", "auth.cache"),
        ("timeout = \"0ms\"", "auth.timeout"),
        ("timeout = \"31s\"", "auth.timeout"),
    ] {
        assert_eq!(validate(more).1, [code], "{more}");
    }
    let (config, codes) = validate(
        "receive = [\"x-user\"]\nsubject = \"x-user\"\ncache = \"1h\"\ntimeout = \"30s\"\nsend = []",
    );
    assert!(codes.is_empty());
    assert_eq!(
        config.unwrap().upstream_headers(),
        [HeaderName::from_static("x-user")]
    );
}

#[test]
fn the_request_itself_is_what_is_shown() {
    let provider = provider("");
    let shown = |request: &TestRequest| match provider.presented(&request.view()) {
        Presented::One(credential) => credential.source,
        other @ (Presented::Absent | Presented::Several | Presented::Malformed(_)) => {
            panic!("{other:?}")
        }
    };
    let get = || TestRequest::get("http://a/");
    assert_eq!(shown(&get()), Source::Request { cookies: false });
    assert_eq!(
        shown(&get().header("cookie", "a=b")),
        Source::Request { cookies: true }
    );
    let both = get()
        .header("cookie", "a=b")
        .header("authorization", "Bearer x");
    assert_eq!(shown(&both), Source::Request { cookies: false });
    let twice = get()
        .header("authorization", "a")
        .header("authorization", "b");
    assert_eq!(provider.presented(&twice.view()), Presented::Several);
}

#[test]
fn people_differ_by_what_they_send_where_the_service_does_not_say() {
    let answer = |user: Option<&str>| {
        let mut answer = Response::new(Bytes::new());
        if let Some(user) = user {
            answer.headers_mut().insert("x-user", user.parse().unwrap());
        }
        answer
    };
    let provider = provider("receive = [\"x-user\"]\nsubject = \"x-user\"");
    let subject = |cookie: &str, user: Option<&str>| {
        let request = TestRequest::get("http://a/").header("cookie", cookie);
        let view = request.view();
        let question = Question::about(&view, &provider.config.send);
        provider
            .yes(&answer(user), &question)
            .unwrap()
            .identity
            .subject
            .to_string()
    };
    assert_eq!(subject("a", Some("ada")), "ada");
    assert_eq!(subject("b", Some("ada")), "ada");
    assert_ne!(subject("a", None), subject("b", None));
}
