use super::*;
use crate::contract::testing::TestRequest;

fn look(request: &TestRequest, value: &str) -> Result<String, ValueError> {
    let value: Value = value.parse().unwrap();
    request.view().lookup(&value).map(Cow::into_owned)
}

#[test]
fn prints_what_it_reads() {
    for text in [
        "client.ip",
        "method",
        "host",
        "host.tenant",
        "path.id",
        "query.page[size]",
        "header.x-tenant",
        "cookie.__Host-id",
        "claim.realm_access.roles",
        "consumer.name",
        "consumer.plan",
        "identity",
        "route",
        "listener",
    ] {
        assert_eq!(text.parse::<Value>().unwrap().to_string(), text);
    }
    assert_eq!(
        "header.X-Tenant".parse::<Value>().unwrap().to_string(),
        "header.x-tenant"
    );
}

#[test]
fn suggests_what_was_meant() {
    let help = |text: &str| text.parse::<Value>().unwrap_err().help.unwrap();
    assert_eq!(help("cleint.ip"), "did you mean `client.ip`?");
    assert_eq!(help("heder.x"), "did you mean `header.x`?");
    assert_eq!(help("header"), "write header.NAME");
    assert_eq!(
        help("id"),
        "a part that the match line captures is `path.id` or `host.id`"
    );
    assert_eq!(
        help("header.x_tenant"),
        "headers whose names hold `_` are dropped; write `-`"
    );
    assert_eq!(help("header.cookie"), "write cookie.NAME");
}

#[test]
fn refuses_names_that_cannot_be() {
    for text in [
        "",
        ".",
        "path.",
        "path.7",
        "query.",
        "query.a b",
        "header.a b",
        "cookie.a=b",
        "claim.{",
        "host.a.b",
    ] {
        assert!(text.parse::<Value>().is_err(), "{text:?}");
    }
    assert_eq!("path.7".parse::<Value>().unwrap_err().at, Some(5..6));
}

#[test]
fn reads_each_kind() {
    let request = TestRequest::get("https://acme.example.com/orders/a%20b?x=1%202+3&flag")
        .from("10.0.0.1")
        .capture_host("tenant", "acme")
        .capture_path("id", "a%20b")
        .header("x-tenant", "acme")
        .header("cookie", "a=1; b=\"2\"")
        .header("cookie", "c=3=4;nonsense");
    let expected = [
        ("client.ip", "10.0.0.1"),
        ("method", "GET"),
        ("host", "acme.example.com"),
        ("host.tenant", "acme"),
        ("path.id", "a b"),
        ("query.x", "1 2 3"),
        ("query.flag", ""),
        ("header.x-tenant", "acme"),
        ("cookie.a", "1"),
        ("cookie.b", "\"2\""),
        ("cookie.c", "3=4"),
        ("route", "orders"),
        ("listener", "public"),
    ];
    for (value, text) in expected {
        assert_eq!(look(&request, value).as_deref(), Ok(text), "{value}");
    }
}

#[test]
fn what_is_not_there_is_missing() {
    let request = TestRequest::get("http://example.com/")
        .from_nowhere()
        .header("cookie", "a; =b; ab=1");
    for value in [
        "client.ip",
        "host.a",
        "path.a",
        "query.a",
        "header.a",
        "cookie.a",
        "cookie.b",
        "claim.sub",
        "consumer.name",
        "consumer.plan",
        "identity",
    ] {
        assert_eq!(look(&request, value), Err(ValueError::Missing), "{value}");
    }
}

#[test]
fn what_is_there_twice_is_refused_in_every_spelling() {
    let request = TestRequest::get("http://example.com/?a=1&%61=1")
        .header("x-a", "1")
        .header("X-A", "1")
        .header("cookie", "a=1")
        .header("cookie", "b=2; a=1");
    for value in ["query.a", "header.x-a", "cookie.a"] {
        assert_eq!(look(&request, value), Err(ValueError::Repeated), "{value}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let request = TestRequest::get("http://example.com/?a=%FF")
        .header("x-a", [0xff])
        .header("cookie", b"a=\xff; b=2")
        .capture_path("a", "%ff");
    for value in ["query.a", "header.x-a", "cookie.a", "path.a"] {
        assert_eq!(look(&request, value), Err(ValueError::NotText), "{value}");
    }
    assert_eq!(
        look(&request, "cookie.b").as_deref(),
        Ok("2"),
        "its neighbour does not matter"
    );
}
