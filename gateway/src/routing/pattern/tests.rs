//! Match lines: what reads, what it prints as, and where each mistake is pointed out.

use super::*;

#[test]
fn reads_and_prints() {
    for (line, canonical) in [
        ("/", "/"),
        ("  /a/ ", "/a/"),
        (
            "GET,POST {tenant}.api.example.com/orders/{id}",
            "GET,POST {tenant}.api.example.com/orders/{id}",
        ),
        (
            "POST,GET,HEAD API.Example.com/**",
            "GET,POST api.example.com/**",
        ),
        ("PURGE,GET /{path*}", "GET,PURGE /{path*}"),
        ("HEAD *.example.com/*/a", "HEAD *.example.com/*/a"),
        ("10.0.0.1/a", "10.0.0.1/a"),
        ("[0:0:0::1]/a", "[::1]/a"),
        ("/a%20b/%C3%A4;v=1", "/a%20b/%C3%A4;v=1"),
    ] {
        let matcher = Matcher::parse_line(line).unwrap();
        assert_eq!(matcher.to_string(), canonical);
        assert_eq!(Matcher::parse_line(canonical).unwrap(), matcher);
    }
}

#[test]
fn points_at_mistakes() {
    for (line, wrong) in [
        ("", ""),
        ("GET", "GET"),
        ("GET example.com", "example.com"),
        ("GET, POST /a", "/a"),
        ("get /a", "get"),
        ("GET,post /a", "post"),
        ("GET,,POST /a", ""),
        ("GET,GET /a", "GET"),
        ("G@T /a", "G@T"),
        ("example.com:80/a", ":80"),
        ("a.*.com/a", "*"),
        ("*a.example.com/a", "*a"),
        ("*/a", "*"),
        ("{t}/a", "{t}"),
        ("*.10.0.0.1/a", "10.0.0.1"),
        ("1.2.3/a", "1.2.3"),
        ("[::g]/a", "[::g]"),
        ("example.com./a", "."),
        ("a..b/a", ""),
        ("bücher.example/a", "bücher"),
        ("/a//b", ""),
        ("/a/../b", ".."),
        ("/a/%2e", "%2e"),
        ("/a/%41b", "%41b"),
        ("/a/%2541", "%2541"),
        ("/ä", "ä"),
        ("/a/b*", "b*"),
        ("/a/x{id}", "x{id}"),
        ("/a/{Id}", "Id"),
        ("/a/{}", ""),
        ("/**/a", "/a"),
        ("/{x*}/", "/"),
        ("/a?b=c", "?b=c"),
        ("/{a}/{a}", "/{a}/{a}"),
        ("{a}.example.com/{a}", "{a}.example.com/{a}"),
    ] {
        let error = Matcher::parse_line(line).expect_err(line);
        let at = line.get(error.at.clone());
        // The last of equal texts is the wrong one in every line above.
        assert_eq!(at, Some(wrong), "{line}: {error:?}");
    }
}

#[test]
fn captures_are_limited_and_agree_between_hosts() {
    let many = |count| {
        (0..count)
            .map(|at: usize| format!("/{{p{at}}}"))
            .collect::<Vec<_>>()
            .concat()
    };
    assert!(Matcher::parse_line(&many(16)).is_ok());
    assert!(Matcher::parse_line(&many(17)).is_err());
    let with_hosts = |hosts: &[&str]| {
        let hosts = hosts
            .iter()
            .map(|host| HostPattern::parse(host).unwrap())
            .collect();
        Matcher::new(
            Methods::ANY,
            hosts,
            PathPattern::parse("/").unwrap(),
            Vec::new(),
        )
    };
    assert!(with_hosts(&["{t}.a.com", "{t}.b.com"]).is_ok());
    assert!(with_hosts(&["{t}.a.com", "*.b.com"]).is_err());
    assert!(with_hosts(&["a.com", "a.com"]).is_err());
    assert!(with_hosts(&["*.a.com", "{t}.a.com"]).is_err());
}

#[test]
fn conditions_read_their_four_forms() {
    let parse = |test| Condition::parse(ConditionSource::Header, "X-Tenant", test).unwrap();
    for (test, printed) in [
        ("*", "header x-tenant = \"*\""),
        ("!", "header x-tenant = \"!\""),
        ("~a|b", "header x-tenant = \"~a|b\""),
        ("acme", "header x-tenant = \"acme\""),
    ] {
        assert_eq!(parse(test).to_string(), printed);
    }
    let literal = Condition::exact(ConditionSource::Header, "x", "~a").unwrap();
    assert_eq!(literal.to_string(), "header x = { exact = \"~a\" }");
    let anchored = parse("~a|b");
    for (value, fits) in [
        ("a", true),
        ("b", true),
        ("ab", false),
        ("a\n", false),
        ("", false),
    ] {
        assert_eq!(
            anchored.test().accepts(Some(value.as_bytes())),
            fits,
            "{value:?}"
        );
    }
}

#[test]
fn conditions_refuse_what_cannot_be() {
    use ConditionSource::{Cookie, Header, Query};
    let parse = |source, name, test| Condition::parse(source, name, test).unwrap_err();
    assert!(matches!(parse(Header, "a b", "*"), ConditionError::Name(_)));
    assert!(matches!(parse(Header, "x_y", "!"), ConditionError::Name(_)));
    assert!(matches!(parse(Cookie, "a=b", "*"), ConditionError::Name(_)));
    assert!(matches!(parse(Query, "", "*"), ConditionError::Name(_)));
    assert!(matches!(parse(Query, "q", "~("), ConditionError::Test(_)));
    assert!(matches!(
        parse(Query, "q", "~a)(b"),
        ConditionError::Test(_)
    ));
    assert!(matches!(
        parse(Header, "x", "a\nb"),
        ConditionError::Test(_)
    ));
    let twice = vec![
        Condition::parse(Header, "X", "1").unwrap(),
        Condition::parse(Header, "x", "2").unwrap(),
    ];
    let path = PathPattern::parse("/").unwrap();
    assert!(Matcher::new(Methods::ANY, Vec::new(), path, twice).is_err());
}
