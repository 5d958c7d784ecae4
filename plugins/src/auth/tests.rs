//! The whole way of a request through `auth`, from the table to what client and upstream see.

use aws_lc_rs::digest::{SHA256, digest};

use super::*;
use crate::contract::consumers::ConsumerConfig;
use crate::contract::identity::Consumer;
use crate::contract::policy::{Layer, PolicyRef};
use crate::contract::testing::{TestRequest, complaints, joined, wait};

/// A consumer `ada` with the key `sesame`, plan `free`; and `worker`, who has a certificate.
fn consumers() -> Directory {
    let consumer = |name: &str, plan: Option<&str>| Consumer {
        name: name.into(),
        plan: plan.map(Into::into),
        groups: vec!["staff".into()],
        ..Consumer::default()
    };
    let mut key = [0; 32];
    key.copy_from_slice(digest(&SHA256, b"sesame").as_ref());
    let mut directory = Directory::default();
    directory
        .add(ConsumerConfig {
            consumer: consumer("ada", Some("free")),
            api_keys: vec![key],
            ..ConsumerConfig::default()
        })
        .unwrap();
    directory
        .add(ConsumerConfig {
            consumer: consumer("worker", None),
            certificate: Some("spiffe://example.com/worker".into()),
            ..ConsumerConfig::default()
        })
        .unwrap();
    directory
}

/// What a route's `auth` means, beside `[auth.NAME]` tables.
fn gathered(named: &str, own: &str) -> (Option<AuthConfig>, Vec<&'static str>) {
    #[derive(Deserialize)]
    struct Route {
        auth: At<PolicyRef<RawAuth>>,
    }
    let mut report = Report::default();
    let raw: BTreeMap<String, At<RawAuth>> = toml::from_str(named).unwrap();
    let named = crate::chain::resolve::named::<Auth>(raw, &mut report);
    let route: Route = toml::from_str(own).unwrap();
    let found =
        crate::chain::resolve::layer::<Auth>(Some(route.auth), Layer::Route, &named, &mut report);
    let codes = report.complaints().iter().map(|it| it.code).collect();
    let config = found.unwrap_or_default().pop().map(|placed| placed.config);
    (config, codes)
}

const NAMED: &str = "
    keys = { api-key = {}, identity-headers = { x-user = 'consumer.name', x-plan = 'consumer.plan' } }
    web = { api-key = { from = ['cookie.key'] } }
    people = { basic = { realm = 'people' } }
    certs = { client-certificate = { by = 'uri-san' }, identity-headers = { x-plan = 'consumer.plan' } }
    everybody = { any = ['keys', 'people'], optional = true }
";

fn auth(own: &str) -> Auth {
    let (config, codes) = gathered(NAMED, own);
    assert!(codes.is_empty(), "{codes:?}");
    let services = Services {
        consumers: Arc::new(consumers()),
        ..Services::nothing()
    };
    crate::contract::testing::compiled_with(&config.unwrap(), &services)
}

/// `code challenge, challenge` of the refusal, or who passes.
fn asked(auth: &Auth, request: &TestRequest) -> String {
    match wait(auth.on_request(&request.view(), &mut Remembered::default())) {
        Flow::Continue => request
            .facts()
            .identity()
            .map_or("nobody".into(), |identity| identity.subject.to_string()),
        Flow::Reply(reply) => {
            let challenges: Vec<_> = reply
                .headers
                .iter()
                .map(|(_, value)| value.to_str().unwrap())
                .collect();
            let code = reply.refusal.unwrap().code;
            format!("{code} {}", challenges.join(", "))
        }
    }
}

fn get() -> TestRequest {
    TestRequest::get("https://api.example.com/orders/7")
}

fn with_key(key: &str) -> TestRequest {
    get().header("x-api-key", key)
}

const KEY: &str = "ApiKey in=\"header.x-api-key\"";

#[test]
fn the_presented_credential_decides() {
    let auth = auth("auth = ['keys', 'people']");
    let people = "Basic realm=\"people\", charset=\"UTF-8\"";
    assert_eq!(asked(&auth, &with_key("sesame")), "ada");
    assert_eq!(
        asked(&auth, &with_key("open")),
        format!("auth.invalid {KEY}, {people}")
    );
    assert_eq!(
        asked(&auth, &get()),
        format!("auth.missing {KEY}, {people}")
    );
    let bearer = get().header("authorization", "Bearer sesame");
    assert!(asked(&auth, &bearer).starts_with("auth.invalid"));
}

#[test]
fn two_credentials_are_none() {
    let auth = auth("auth = ['keys', 'people']");
    let both = with_key("sesame").header("authorization", "Basic YWRhOng=");
    let twice = with_key("sesame").header("x-api-key", "sesame");
    let broken = with_key("sesame").header("authorization", "Basic");
    for request in [both, twice, broken] {
        assert!(asked(&auth, &request).starts_with("auth.ambiguous"));
    }
}

#[test]
fn only_who_shows_nothing_is_nobody() {
    let auth = auth("auth = 'everybody'");
    assert_eq!(asked(&auth, &get()), "nobody");
    assert_eq!(asked(&auth, &with_key("sesame")), "ada");
    for wrong in [
        with_key("open"),
        with_key(""),
        get().header("authorization", "Basic eve"),
        get().header("authorization", "Digest x"),
    ] {
        assert!(asked(&auth, &wrong).starts_with("auth.invalid"));
    }
}

#[test]
fn a_certificate_counts_where_nothing_else_is_shown() {
    let certificate = |uri: &str| ClientCertificate {
        uris: vec!["spiffe://other".into(), uri.into()],
        ..ClientCertificate::default()
    };
    let auth = auth("auth = ['certs', 'keys']");
    let worker = || get().certificate(certificate("spiffe://example.com/worker"));
    assert_eq!(asked(&auth, &worker()), "worker");
    assert_eq!(asked(&auth, &worker().header("x-api-key", "sesame")), "ada");
    let other = worker().header("x-api-key", "open");
    assert!(asked(&auth, &other).starts_with("auth.invalid"));
    let unknown = get().certificate(certificate("spiffe://example.com/eve"));
    assert!(asked(&auth, &unknown).starts_with("auth.invalid"));
}

#[test]
fn a_page_of_another_origin_cannot_use_a_cookie() {
    let auth = auth("auth = 'web'");
    let post = |site: Option<&str>| {
        let request = TestRequest::new("POST", "https://api.example.com/orders");
        let request = request.header("cookie", "key=sesame");
        match site {
            Some(site) => request.header("sec-fetch-site", site),
            None => request,
        }
    };
    assert_eq!(asked(&auth, &get().header("cookie", "key=sesame")), "ada");
    assert_eq!(asked(&auth, &post(Some("same-origin"))), "ada");
    for site in [Some("cross-site"), Some("same-site"), None] {
        assert_eq!(asked(&auth, &post(site)), "auth.origin ", "{site:?}");
    }
}

#[test]
fn the_upstream_learns_who_and_not_by_what() {
    let auth = auth("auth = ['keys', 'certs']");
    let request = with_key("sesame").header("accept", "*/*");
    let mut state = Remembered::default();
    assert!(matches!(
        wait(auth.on_request(&request.view(), &mut state)),
        Flow::Continue
    ));
    // Twice, as on a repeated attempt.
    for _ in 0..2 {
        let mut head = request.upstream_head();
        auth.on_upstream_request(&request.view(), &mut head, &mut state);
        assert_eq!(joined(&head.headers, "x-user").unwrap(), "ada");
        assert_eq!(joined(&head.headers, "x-plan").unwrap(), "free");
        assert_eq!(joined(&head.headers, "x-api-key"), None);
        assert_eq!(joined(&head.headers, "accept").unwrap(), "*/*");
    }
}

#[test]
fn strip_false_keeps_the_credential() {
    let auth = auth("auth = { api-key = {}, strip = false }");
    let request = with_key("sesame");
    let mut state = Remembered::default();
    drop(wait(auth.on_request(&request.view(), &mut state)));
    let mut head = request.upstream_head();
    auth.on_upstream_request(&request.view(), &mut head, &mut state);
    assert_eq!(joined(&head.headers, "x-api-key").unwrap(), "sesame");
}

#[test]
fn tells_the_operator_why() {
    let auth = auth("auth = 'keys'");
    let request = with_key("open").explained();
    asked(&auth, &request);
    assert_eq!(
        request.facts().take_notes(),
        ["no consumer has this key", "`keys` rejects it: unknown"]
    );
}

#[test]
fn a_list_means_any_of_it() {
    let codes = |own: &str| gathered(NAMED, own).1;
    let names = |own: &str| -> Vec<Option<String>> {
        let config = gathered(NAMED, own).0.unwrap();
        config.providers.into_iter().map(|it| it.name).collect()
    };
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(names("auth = ['keys', 'web']"), [some("keys"), some("web")]);
    assert_eq!(names("auth = { any = ['keys'] }"), [some("keys")]);
    assert_eq!(
        names("auth = ['keys', { basic = {} }]"),
        [some("keys"), None]
    );
    assert!(gathered(NAMED, "auth = 'none'").0.is_none());
    assert_eq!(codes("auth = ['keys', 'everybody']"), ["auth.nested"]);
    assert_eq!(codes("auth = { any = ['everybody'] }"), ["auth.nested"]);
    assert_eq!(
        codes("auth = { any = ['kees'] }"),
        ["config.unknown-reference"]
    );
    assert_eq!(codes("auth = ['keys', 'keys']"), ["auth.twice"]);
    let shadow = "auth = ['keys', { basic = {}, mode = 'shadow', shadow-until = '2999-01-01' }]";
    assert_eq!(codes(shadow), ["auth.mixed-modes"]);
}

#[test]
fn complains_about_tables_that_cannot_be_meant() {
    let codes = complaints::<Auth>;
    assert_eq!(codes(""), ["auth.kind"]);
    assert_eq!(codes("api-key = {}\nbasic = {}"), ["auth.kind"]);
    assert_eq!(codes("any = []"), ["auth.nobody"]);
    assert_eq!(codes("any = ['a']\nstrip = true"), ["auth.any-and-more"]);
    assert_eq!(codes("any = ['a']\nbasic = {}"), ["auth.any-and-more"]);
    assert_eq!(
        codes("basic = {}\noptional = true"),
        ["auth.optional-alone"]
    );
    assert_eq!(codes("basic = { realm = '' }"), ["auth.realm"]);
    assert_eq!(codes("api-key = { from = [] }"), ["auth.from"]);
    assert_eq!(codes("api-key = { from = ['claim.sub'] }"), ["auth.from"]);
    let twice = "api-key = { from = ['query.a', 'query.a'] }";
    assert_eq!(codes(twice), ["auth.from"]);
    assert_eq!(
        codes("basic = {}\nmode = 'shadow'"),
        ["policy.shadow-without-end"]
    );
    for headers in [
        "{ host = 'identity' }",
        "{ x_user = 'identity' }",
        "{ x-forwarded-user = 'identity' }",
        "{ x-user = 'header.x-user' }",
    ] {
        let table = format!("basic = {{}}\nidentity-headers = {headers}");
        assert_eq!(codes(&table), ["auth.identity-header"], "{headers}");
    }
}
