use proptest::prelude::*;

use super::*;
use crate::contract::testing::TestRequest;

fn template(text: &str) -> Template {
    text.parse().unwrap()
}

fn render(text: &str, request: &TestRequest, place: Place) -> Result<String, ValueError> {
    let mut out = String::new();
    template(text)
        .render(&request.view(), place, &mut out)
        .map(|()| out)
}

fn with_header(value: &str) -> TestRequest {
    TestRequest::get("http://example.com/").header("x", value)
}

#[test]
fn reads_values_and_literal_braces() {
    let read = template("/v2/{path.id}{{x}}?a={query.a}");
    assert_eq!(read.to_string(), "/v2/{path.id}{{x}}?a={query.a}");
    assert_eq!(
        read.values().map(ToString::to_string).collect::<Vec<_>>(),
        ["path.id", "query.a"]
    );
    assert_eq!((read.literal(), read.literal_start()), (None, "/v2/"));
    assert_eq!(template("a{{b}}").literal(), Some("a{b}"));
    assert_eq!(template("").literal(), Some(""));
    assert!(template("{host}").starts_with_value());
    assert!(!template("a{host}").starts_with_value());
}

#[test]
fn points_at_the_part_that_is_wrong() {
    let at = |text: &str| text.parse::<Template>().unwrap_err().at.unwrap();
    assert_eq!(at("/v2/{cleint.ip}"), 5..14);
    assert_eq!(at("/v2/{path.7}"), 10..11);
    assert_eq!(at("a{host"), 1..6);
    assert_eq!(at("a}b"), 1..2);
    assert_eq!(at("a{}"), 2..2);
}

#[test]
fn encodes_for_the_place() {
    let request = with_header("a/b c&d=é;%");
    let expected = [
        (Place::Header, "a/b c&d=%C3%A9;%"),
        (Place::PathSegment, "a%2Fb%20c&d=%C3%A9%3B%25"),
        (Place::Path, "a/b%20c&d=%C3%A9%3B%25"),
        (Place::Query, "a/b%20c%26d%3D%C3%A9%3B%25"),
        (Place::Host, "a%2Fb%20c%26d%3D%C3%A9%3B%25"),
    ];
    for (place, text) in expected {
        assert_eq!(
            render("{header.x}", &request, place).as_deref(),
            Ok(text),
            "{place:?}"
        );
    }
}

#[test]
fn a_captured_part_stays_as_it_stood_in_the_path() {
    let request = TestRequest::get("http://example.com/").capture_path("rest", "a%2Fb/c%20d");
    assert_eq!(
        render("/{path.rest}", &request, Place::Path).unwrap(),
        "/a%2Fb/c%20d"
    );
    assert_eq!(
        render("/{path.rest}", &request, Place::PathSegment).unwrap(),
        "/a%2Fb%2Fc%20d"
    );
    assert_eq!(
        render("{path.rest}", &request, Place::Header).unwrap(),
        "a/b/c d"
    );
}

#[test]
fn values_after_a_question_mark_are_a_query() {
    let request = with_header("a&b/../c");
    assert_eq!(
        render("/x?y={header.x}", &request, Place::Path).unwrap(),
        "/x?y=a%26b/../c"
    );
    let request = with_header("a?b");
    assert_eq!(
        render("/{header.x}", &request, Place::Path).unwrap(),
        "/a%3Fb"
    );
}

#[test]
fn refuses_to_change_the_shape_of_a_path() {
    for value in [
        "..",
        ".",
        "a/../b",
        "/evil.example",
        "a//b",
        "..\\x",
        "a/..",
    ] {
        assert_eq!(
            render("/v2/{header.x}", &with_header(value), Place::Path),
            Err(ValueError::NotPath),
            "{value}"
        );
    }
    for value in ["..", ".", "../x", "..\\x"] {
        let rendered = render("/v2/{header.x}/y", &with_header(value), Place::PathSegment);
        assert_eq!(rendered, Err(ValueError::NotPath), "{value}");
    }
    assert_eq!(
        render("/.{header.x}", &with_header("."), Place::Path),
        Err(ValueError::NotPath)
    );
    assert_eq!(
        render("/{header.x}/y", &with_header(""), Place::PathSegment),
        Err(ValueError::NotPath)
    );
    let nul = TestRequest::get("http://example.com/?x=%00");
    assert_eq!(
        render("/{query.x}", &nul, Place::Path),
        Err(ValueError::NotPath)
    );
}

#[test]
fn a_literal_scheme_does_not_count_as_an_empty_segment() {
    let request = TestRequest::get("http://example.com/").capture_path("rest", "a/b");
    let target = render("https://{host}/{path.rest}", &request, Place::Path);
    assert_eq!(target.unwrap(), "https://example.com/a/b");
    let empty = TestRequest::get("http://example.com/").capture_path("rest", "");
    assert_eq!(
        render("/v2/{path.rest}", &empty, Place::Path).unwrap(),
        "/v2/"
    );
}

#[test]
fn a_missing_value_is_said() {
    let request = with_header("1");
    assert_eq!(
        render("{header.y}", &request, Place::Header),
        Err(ValueError::Missing)
    );
}

proptest! {
    #[test]
    fn display_and_parse_agree(text in "[a-z/{}?%é]{0,12}(\\{(host|path\\.id|query\\.x)\\}[a-z{}]{0,4}){0,3}") {
        if let Ok(read) = text.parse::<Template>() {
            prop_assert_eq!(read.to_string().parse::<Template>().unwrap(), read);
        }
    }

    #[test]
    fn no_value_leaves_its_place(value in any::<String>()) {
        let query: String = utf8_percent_encode(&value, NON_ALPHANUMERIC).collect();
        let request = TestRequest::get(&format!("http://example.com/?x={query}"));
        let header = render("{query.x}", &request, Place::Header).unwrap();
        prop_assert!(header.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
        let query = render("{query.x}", &request, Place::Query).unwrap();
        prop_assert!(!query.contains(['&', '=', '#', '+', ' ', '"', '<', '\\']));
        if let Ok(path) = render("/v2/{query.x}", &request, Place::Path) {
            prop_assert!(!path.contains(['?', '#', ' ', '\\', ';']) && !path.contains("//"));
            prop_assert!(path.split('/').all(|segment| segment != "." && segment != ".."));
        }
    }
}
