use serde_json::json;

use super::*;
use crate::contract::identity::Consumer;
use crate::contract::testing::TestRequest;

fn somebody() -> Identity {
    let mut identity = Identity::new("idp", Some("https://idp.example".into()), "alice");
    identity.claims = json!({
        "level": 3, "roles": ["clerk", "admin"], "address": { "city": "Oslo" }, "paid": true, "share": 0.5,
        "many": vec!["x"; MANY],
    })
    .as_object()
    .unwrap()
    .clone();
    identity.scopes = vec!["orders.read".into()];
    identity
}

const MANY: usize = 257;

fn request() -> TestRequest {
    TestRequest::get("https://acme.example.com/orders/7?v=2&v2=a&v2=b")
        .header("x-tenant", "acme")
        .header("x-twice", "a")
        .header("x-twice", "b")
}

/// `yes`, `no`, or why it cannot be told.
fn judged(condition: &str) -> String {
    let condition: Condition = condition
        .parse()
        .unwrap_or_else(|error| panic!("{condition}: {error}"));
    match condition.judge(&request().view(), &somebody()) {
        Judged::Holds => "yes".to_owned(),
        Judged::Fails(why) if why == "does not hold" => "no".to_owned(),
        Judged::Fails(why) => why,
        Judged::Unreadable(value, error) => format!("{value} {error}"),
    }
}

#[test]
fn sees_request_claims_and_consumer() {
    for condition in [
        "request.method == 'GET' && request.host == 'acme.example.com' && request.path == '/orders/7'",
        "request.secure && client.ip == '192.0.2.1'",
        "request.headers['x-tenant'] == 'acme' && request.query['v'] == '2'",
        "'x-tenant' in request.headers && !('x-other' in request.headers)",
        "has(request.query.v) && !has(request.query.w)",
        "claims.level >= 3 && claims.paid && claims.share < 1.0",
        "'admin' in claims.roles && claims.roles.exists(role, role.startsWith('ad'))",
        "claims.address.city == 'Oslo' && claims['address']['city'] == 'Oslo'",
        "has(claims.level) && !has(claims.none)",
        "'orders.read' in identity.scopes && identity.subject == 'alice' && identity.plan == null",
        "consumer == null",
        "request.path.matches('^/orders/[0-9]+$') && size(claims.roles) == 2",
        "claims.roles.map(r, r + '!').exists(r, r == 'admin!')",
        "type(claims.level) == int",
    ] {
        assert_eq!(judged(condition), "yes", "{condition}");
    }
    assert_eq!(judged("claims.level > 3"), "no");
}

#[test]
fn sees_a_consumer() {
    let mut identity = somebody();
    identity.consumer = Some(Arc::new(Consumer {
        name: "shop".into(),
        plan: Some("free".into()),
        groups: vec!["partners".into()],
        metadata: json!({ "region": "eu" }).as_object().unwrap().clone(),
    }));
    let condition: Condition = "consumer.name == 'shop' && consumer.plan == 'free' \
        && 'partners' in consumer.groups && consumer.metadata.region == 'eu'"
        .parse()
        .unwrap();
    assert!(matches!(
        condition.judge(&request().view(), &identity),
        Judged::Holds
    ));
}

#[test]
fn what_cannot_be_told_does_not_hold() {
    for condition in [
        "claims.none == 1",
        "claims.level == 3 && claims.none",
        "claims.roles > 3",
        "consumer.name == 'shop'",
        "request.headers['x-other'] == ''",
        "claims.roles[7] == 'x'",
        "!(claims.many.exists(x, x == 'y'))",
        "1 / (claims.level - 3) == 0",
    ] {
        let told = judged(condition);
        assert!(told.starts_with("cannot be told: "), "{condition}: {told}");
    }
    assert_eq!(
        judged("claims.level"),
        "came to something else than yes or no"
    );
    // Without a macro, length does not matter.
    assert_eq!(judged("'x' in claims.many"), "yes");
}

#[test]
fn what_is_there_twice_is_noticed_only_where_it_is_read() {
    assert_eq!(
        judged("'x-twice' in request.headers"),
        "header.x-twice is repeated"
    );
    assert_eq!(judged("request.query.v2 == 'a'"), "query.v2 is repeated");
    assert_eq!(
        judged("true || request.query['v2'] == 'a'"),
        "query.v2 is repeated"
    );
    assert_eq!(judged("request.query.v == '2'"), "yes");
}

#[test]
fn complains_about_what_cannot_be_meant() {
    for (condition, part) in [
        ("", "not a condition"),
        ("claims.level >=", "not a condition"),
        ("1 + 1", "something else than yes or no"),
        ("'yes'", "something else than yes or no"),
        ("[true]", "something else than yes or no"),
        ("size(claims.roles)", "something else than yes or no"),
        ("claim.level > 3", "did you mean `claims`?"),
        ("request.pth == '/'", "did you mean `request.path`?"),
        ("request == 1", "write one of its fields"),
        ("request['path'] == '/'", "write one of its fields"),
        ("consumer.names == 'a'", "did you mean `consumer.name`?"),
        (
            "request.headers.exists(h, h == 'x')",
            "by a literal name only",
        ),
        ("request.headers[claims.h] == 'x'", "by a literal name only"),
        ("request.headers['X-A'] == 'x'", "write 'x-a'"),
        ("request.headers['x_a'] == 'x'", "no header"),
        ("request.path.matches(claims.p)", "no literal"),
        ("request.path.matches('(')", "not a pattern"),
        ("request.path.lower() == 'a'", "no function `lower`"),
        ("request.path.startWith('/a')", "did you mean `startsWith`?"),
        (
            "claims.roles.exists(claims, claims == 'a')",
            "has a meaning already",
        ),
        (
            "claims.a.exists(a, claims.b.exists(b, claims.c.exists(c, c == a)))",
            "macros are nested",
        ),
        ("Foo{a: 1} == 1", "messages"),
    ] {
        let error = condition.parse::<Condition>().unwrap_err().to_string();
        assert!(error.contains(part), "{condition}: {error}");
    }
}

#[test]
fn a_source_has_a_limit() {
    let of = |length: usize| format!("'{}' == ''", "a".repeat(length - 8));
    assert!(of(SOURCE_MAX).parse::<Condition>().is_ok());
    let error = of(SOURCE_MAX + 1).parse::<Condition>().unwrap_err();
    assert!(error.message.contains("1025"), "{error}");
}

/// Each of these kills the process where nothing holds it.
#[test]
fn no_source_exhausts_the_stack() {
    let fill = |start: &str, part: &str, end: &str| {
        let count = (SOURCE_MAX - start.len() - end.len()) / part.len();
        format!("{start}{}{end}", part.repeat(count))
    };
    for source in [
        fill("", "1+", "1==1"),
        fill("", "!", "true"),
        fill("", "-", "1==1"),
        fill("claims", ".a", "==1"),
        fill("", "true?true:", "true"),
        fill("", "true||", "true"),
        fill("", "(", ""),
        fill("", "[", ""),
        fill("", "{1:", ""),
        fill("claims", "[0]", "==1"),
        fill("claims", ".map(x,x)", "==1"),
        fill("", "size(", ""),
        fill("", "[1].all(x,", ""),
    ] {
        let ended = std::panic::catch_unwind(|| source.parse::<Condition>().is_ok());
        assert!(ended.is_ok(), "{source}");
    }
}

/// As deep as allowed, on a stack as small as a worker's.
#[test]
fn what_is_allowed_fits_a_worker() {
    let deepest = |start: &str, part: &str, end: &str| {
        let source = |count| format!("{start}{}{end}", part.repeat(count));
        let fits = |count: &usize| {
            source(*count).len() <= SOURCE_MAX && source(*count).parse::<Condition>().is_ok()
        };
        let count = (0..DEPTH_MAX * 2).rev().find(fits).unwrap();
        source(count).parse::<Condition>().unwrap()
    };
    for condition in [
        deepest("", "1+", "1==1"),
        deepest("", "true?true:", "true"),
        deepest("claims.roles.exists(r,[1].exists(x,", "1+", "1==1))"),
    ] {
        let judge = move || {
            matches!(
                condition.judge(&request().view(), &somebody()),
                Judged::Holds | Judged::Fails(_)
            )
        };
        let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(judge);
        assert!(thread.unwrap().join().unwrap());
    }
}
