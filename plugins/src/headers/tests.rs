use super::*;
use crate::contract::testing::{
    TestRequest, TestResponse, admit, compiled, complaints, config, joined,
};

fn headers(table: &str) -> Headers {
    compiled(&config::<Headers>(table))
}

fn request() -> TestRequest {
    TestRequest::get("http://api.example.com/orders/7?q=a%0d%0ab").capture_path("id", "7")
}

/// The request's fields as the upstream gets them.
fn forwarded(table: &str, request: &TestRequest) -> HeaderMap {
    let mut head = request.upstream_head();
    headers(table).on_upstream_request(&request.view(), &mut head, &mut ());
    head.headers.clone()
}

#[test]
fn sets_adds_and_removes_on_the_way_up() {
    let table = "
        [request]
        set = { x-set = 'new', x-id = 'order {path.id}' }
        add = { X-Add = 'two' }
        remove = ['X-Remove', 'x-absent']
    ";
    let request = request()
        .header("x-set", "a")
        .header("x-set", "b")
        .header("x-add", "one")
        .header("x-remove", "x");
    let seen = forwarded(table, &request);
    assert_eq!(joined(&seen, "x-set").unwrap(), "new");
    assert_eq!(joined(&seen, "x-id").unwrap(), "order 7");
    assert_eq!(joined(&seen, "x-add").unwrap(), "one, two");
    assert_eq!(joined(&seen, "x-remove"), None);
}

#[test]
fn changes_answers_whoever_made_them() {
    let table = "[response]\nset = { x-a = '{path.id}' }\nremove = ['server']";
    for mut response in [TestResponse::new(200), TestResponse::ours(404)] {
        response = response.header("server", "x");
        headers(table).on_response(&request().view(), &mut response.view(), &mut ());
        assert_eq!(
            (response.value("x-a").as_deref(), response.value("server")),
            (Some("7"), None)
        );
    }
}

#[test]
fn nothing_that_a_client_sends_ends_the_line() {
    let seen = forwarded("request.set.x-q = '{query.q}'", &request());
    assert_eq!(joined(&seen, "x-q").unwrap(), "a%0D%0Ab");
}

fn refused(table: &str, request: &TestRequest) -> &'static str {
    match admit(&headers(table), request) {
        Flow::Continue => "pass",
        Flow::Reply(reply) => {
            assert_eq!(reply.status, 400);
            reply.refusal.unwrap().code
        }
    }
}

#[test]
fn a_request_without_a_needed_value_is_refused_before_it_is_forwarded() {
    for side in ["request", "response"] {
        let table = format!("{side}.set.x-a = 'a{{header.x-tenant}}'");
        let tenant = |value: &[u8]| request().header("x-tenant", value);
        assert_eq!(refused(&table, &tenant(b"acme")), "pass");
        assert_eq!(refused(&table, &request()), "headers.value-missing");
        assert_eq!(
            refused(&table, &tenant(b"a").header("x-tenant", "a")),
            "headers.value-repeated"
        );
        assert_eq!(refused(&table, &tenant(b"\xff")), "headers.value-not-text");
    }
    let detail = admit(&headers("request.set.x-a = '{query.a}'"), &request());
    assert!(format!("{detail:?}").contains("query.a is missing"));
}

#[test]
fn a_field_whose_value_is_missing_does_not_keep_the_old_one() {
    let seen = forwarded(
        "request.set.x-user = '{header.x-a}'",
        &request().header("x-user", "mallory"),
    );
    assert_eq!(joined(&seen, "x-user"), None);
}

#[test]
fn a_routes_own_replaces_the_default_name_by_name() {
    let own = config::<Headers>("request.set = { x-a = 'own' }\nrequest.remove = ['x-c']");
    let default = config::<Headers>(
        "request.set = { x-a = 'default', x-b = 'default', x-c = 'default' }\nresponse.remove = ['server']",
    );
    let merged = Headers::over(own, &default);
    let expected = "request.set = { x-a = 'own', x-b = 'default' }\nrequest.remove = ['x-c']\nresponse.remove = ['server']";
    assert_eq!(merged, config::<Headers>(expected));
}

#[test]
fn says_which_values_it_needs() {
    let config =
        config::<Headers>("request.set.x-a = '{path.id}{host}'\nresponse.add.x-b = '{query.q}'");
    let needs: Vec<String> = Headers::needs(&config)
        .iter()
        .map(|value| value.to_string())
        .collect();
    assert_eq!(needs, ["path.id", "host", "query.q"]);
    assert!(
        Headers::needs(&config)
            .iter()
            .all(|value| !value.span().is_empty())
    );
}

#[test]
fn complains_about_what_it_must_not_touch() {
    for name in [
        "content-length",
        "Transfer-Encoding",
        "connection",
        "te",
        "trailer",
        "upgrade",
        "keep-alive",
        "proxy-connection",
    ] {
        assert_eq!(
            complaints::<Headers>(&format!("request.set.{name} = 'x'")),
            ["headers.framing"],
            "{name}"
        );
        assert_eq!(
            complaints::<Headers>(&format!("response.remove = ['{name}']")),
            ["headers.framing"],
            "{name}"
        );
    }
    assert_eq!(
        complaints::<Headers>("request.set.Host = 'x'"),
        ["headers.host"]
    );
    assert_eq!(
        complaints::<Headers>("request.add.x_a = 'x'"),
        ["headers.name"]
    );
    assert_eq!(
        complaints::<Headers>("request.remove = ['x a']"),
        ["headers.name"]
    );
    for value in ["a\\nb", "a\\rb", "a\\u0000", "{host}\\n"] {
        assert_eq!(
            complaints::<Headers>(&format!("request.set.x-a = \"{value}\"")),
            ["headers.value"],
            "{value}"
        );
    }
}

#[test]
fn complains_about_a_name_that_is_changed_twice() {
    let twice = [
        "request.set.x-a = 'a'\nrequest.remove = ['X-A']",
        "request.set = { x-a = 'a', X-A = 'b' }",
    ];
    for table in twice {
        assert_eq!(complaints::<Headers>(table), ["headers.twice"], "{table}");
    }
    assert_eq!(
        complaints::<Headers>("request.add.x-a = 'a'\nrequest.set.x-a = 'a'"),
        ["headers.twice"]
    );
    assert!(complaints::<Headers>("request.set.x-a = 'a'\nresponse.remove = ['x-a']").is_empty());
    assert_eq!(complaints::<Headers>(""), ["headers.empty"]);
    assert_eq!(
        complaints::<Headers>("[request]\nset = {}"),
        ["headers.empty"]
    );
}
