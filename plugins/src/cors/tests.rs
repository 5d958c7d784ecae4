use super::*;
use crate::contract::testing::{TestRequest, TestResponse, compiled, complaints, config, wait};

const TABLE: &str = "
    origins = ['https://app.example.com', 'https://*.partner.example']
    methods = ['GET', 'PUT']
    headers = ['content-type', 'x-a']
    expose = ['x-b']
    credentials = true
    max-age = '10min'
";

fn cors(table: &str) -> Cors {
    compiled(&config::<Cors>(table))
}

fn from(origin: &str) -> TestRequest {
    TestRequest::get("https://api.example.com/orders").header("origin", origin)
}

fn preflight(origin: &str, method: &str) -> TestRequest {
    TestRequest::new("OPTIONS", "https://api.example.com/orders")
        .header("origin", origin)
        .header("access-control-request-method", method)
}

/// Runs both hooks: the refusal's code, `pass`, or `204`, and the head that the client gets.
fn run(table: &str, request: &TestRequest, upstream: TestResponse) -> (&'static str, TestResponse) {
    let (cors, mut state) = (cors(table), Asked::default());
    let (verdict, mut response) = match wait(cors.on_request(&request.view(), &mut state)) {
        Flow::Continue => ("pass", upstream),
        Flow::Reply(reply) => {
            assert!(reply.headers.is_empty());
            (
                reply.refusal.map_or("204", |refusal| refusal.code),
                TestResponse::ours(reply.status.as_u16()),
            )
        }
    };
    cors.on_response(&request.view(), &mut response.view(), &mut state);
    (verdict, response)
}

fn verdict(table: &str, request: &TestRequest) -> &'static str {
    run(table, request, TestResponse::new(200)).0
}

/// What an answer permits, as `name: value` without the common prefix, sorted.
fn permissions(response: &TestResponse) -> Vec<String> {
    let mut found: Vec<String> = response
        .head
        .headers
        .iter()
        .filter_map(|(name, value)| {
            let name = name.as_str().strip_prefix("access-control-")?;
            Some(format!("{name}: {}", value.to_str().unwrap()))
        })
        .collect();
    found.sort();
    found
}

#[test]
fn grants_a_preflight() {
    let request = preflight("https://app.example.com", "PUT")
        .header("access-control-request-headers", "X-A,content-type");
    let (verdict, response) = run(TABLE, &request, TestResponse::new(200));
    assert_eq!((verdict, response.head.status.as_u16()), ("204", 204));
    assert_eq!(
        permissions(&response),
        [
            "allow-credentials: true",
            "allow-headers: content-type, x-a",
            "allow-methods: GET, PUT, HEAD",
            "allow-origin: https://app.example.com",
            "max-age: 600",
        ]
    );
    let vary = response.value("vary").unwrap();
    assert_eq!(
        vary,
        "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
    );
}

#[test]
fn refuses_a_preflight_for_each_reason() {
    let allowed = "https://app.example.com";
    assert_eq!(
        verdict(TABLE, &preflight("https://evil.example", "PUT")),
        "cors.origin"
    );
    assert_eq!(verdict(TABLE, &preflight("null", "PUT")), "cors.origin");
    assert_eq!(verdict(TABLE, &preflight(allowed, "DELETE")), "cors.method");
    assert_eq!(verdict(TABLE, &preflight(allowed, "POST")), "cors.method");
    let header =
        |value: &str| preflight(allowed, "PUT").header("access-control-request-headers", value);
    assert_eq!(verdict(TABLE, &header("x-a, x-c")), "cors.header");
    assert_eq!(verdict(TABLE, &header("x-\u{e9}")), "cors.header");
    assert_eq!(verdict(TABLE, &header("")), "204");
    assert_eq!(
        verdict(
            TABLE,
            &header("x-a").header("access-control-request-headers", "x-a")
        ),
        "cors.repeated"
    );
    assert_eq!(
        verdict(TABLE, &from(allowed).header("origin", allowed)),
        "cors.repeated"
    );
}

#[test]
fn a_refused_preflight_still_says_what_it_depends_on() {
    let (_, response) = run(
        TABLE,
        &preflight("https://evil.example", "PUT"),
        TestResponse::new(200),
    );
    assert_eq!(response.head.status.as_u16(), 403);
    assert!(permissions(&response).is_empty());
    assert!(response.value("vary").unwrap().starts_with("Origin"));
}

#[test]
fn an_allowed_page_may_read_the_answer_and_the_gateway_alone_says_so() {
    let upstream = TestResponse::new(200)
        .header("access-control-allow-origin", "*")
        .header("access-control-allow-origin", "https://other.example")
        .header("access-control-allow-methods", "TRACE")
        .header("vary", "accept-encoding, ORIGIN");
    let (verdict, response) = run(TABLE, &from("https://x.partner.example"), upstream);
    assert_eq!(verdict, "pass");
    assert_eq!(
        permissions(&response),
        [
            "allow-credentials: true",
            "allow-origin: https://x.partner.example",
            "expose-headers: x-b",
        ]
    );
    assert_eq!(response.value("vary").unwrap(), "accept-encoding, ORIGIN");
}

#[test]
fn a_page_that_is_not_allowed_gets_no_permission() {
    for request in [
        from("https://evil.example"),
        from("null"),
        TestRequest::get("https://api.example.com/"),
    ] {
        let upstream = TestResponse::new(200)
            .header("access-control-allow-origin", "*")
            .header("vary", "accept");
        let (verdict, response) = run(TABLE, &request, upstream);
        assert_eq!(verdict, "pass");
        assert!(permissions(&response).is_empty());
        assert_eq!(response.value("vary").unwrap(), "accept, Origin");
    }
}

#[test]
fn our_own_answers_can_be_read_too() {
    let mut response = TestResponse::ours(401);
    let request = from("https://app.example.com");
    cors(TABLE).on_response(&request.view(), &mut response.view(), &mut Asked::default());
    assert_eq!(
        response.value("access-control-allow-origin").unwrap(),
        "https://app.example.com"
    );
}

#[test]
fn everyone_is_a_star_and_needs_no_vary() {
    let table = "origins = ['*']\nheaders = ['*']\nexpose = ['*']";
    let (_, response) = run(table, &from("https://any.example"), TestResponse::new(200));
    assert_eq!(
        permissions(&response),
        ["allow-origin: *", "expose-headers: *"]
    );
    assert_eq!(response.value("vary"), None);
    let asked = |name| preflight("null", "POST").header("access-control-request-headers", name);
    let (verdict, response) = run(table, &asked("x-any"), TestResponse::new(200));
    assert_eq!(verdict, "204");
    assert_eq!(
        permissions(&response),
        [
            "allow-headers: *",
            "allow-methods: GET, HEAD, POST",
            "allow-origin: *"
        ]
    );
    assert_eq!(self::verdict(table, &asked("authorization")), "cors.header");
}

#[test]
fn options_that_is_no_preflight_goes_to_the_upstream() {
    let plain = TestRequest::new("OPTIONS", "https://api.example.com/orders");
    assert_eq!(verdict(TABLE, &plain), "pass");
    assert_eq!(
        verdict(TABLE, &plain.header("origin", "https://app.example.com")),
        "pass"
    );
}

#[test]
fn a_vary_of_everything_stays() {
    let upstream = TestResponse::new(200).header("vary", "*");
    let (_, response) = run(TABLE, &from("https://app.example.com"), upstream);
    assert_eq!(response.value("vary").unwrap(), "*");
}

#[test]
fn a_shadow_leaves_answers_and_preflights_alone() {
    let table = format!("{TABLE}\nmode = 'shadow'");
    let upstream =
        TestResponse::new(200).header("access-control-allow-origin", "https://theirs.example");
    let (verdict, response) = run(
        &table,
        &preflight("https://app.example.com", "PUT"),
        upstream,
    );
    assert_eq!(verdict, "pass");
    assert_eq!(
        permissions(&response),
        ["allow-origin: https://theirs.example"]
    );
    assert_eq!(
        self::verdict(&table, &preflight("https://evil.example", "PUT")),
        "cors.origin"
    );
}

#[test]
fn complains_about_rules_that_cannot_be_meant() {
    let with = |rest: &str| complaints::<Cors>(&format!("origins = ['https://a.example']\n{rest}"));
    assert_eq!(complaints::<Cors>("origins = []"), ["cors.no-origin"]);
    assert_eq!(
        complaints::<Cors>("origins = ['*', 'https://a.example']"),
        ["cors.any-and-some"]
    );
    assert_eq!(
        complaints::<Cors>("origins = ['*']\ncredentials = true"),
        ["cors.any-with-credentials"]
    );
    assert_eq!(
        with("headers = ['*']\ncredentials = true"),
        ["cors.any-with-credentials"]
    );
    assert_eq!(
        with("expose = ['*']\ncredentials = true"),
        ["cors.any-with-credentials"]
    );
    assert_eq!(with("methods = []"), ["cors.no-method"]);
    assert_eq!(with("max-age = '25h'"), ["cors.max-age"]);
    assert_eq!(with("max-age = '1500ms'"), ["cors.max-age"]);
    assert!(with("max-age = '24h'\ncredentials = false\nheaders = ['*']").is_empty());
}
