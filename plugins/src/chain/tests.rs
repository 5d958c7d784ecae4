//! The chain as a whole, from configuration text to what client and upstream see.

mod documents;

use http::HeaderMap;
use serde::Deserialize;

use super::*;
use crate::contract::mode::Mode;
use crate::contract::testing::{TestRequest, TestResponse, joined, wait};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    named: RawNamed,
    always: RawPolicies,
    defaults: RawPolicies,
    route: RawPolicies,
}

fn compile(text: &str) -> Chain {
    let (shared, services) = (&mut SharedParts::default(), Services::nothing());
    Chain::compile(
        &config(text),
        ("orders", std::time::Duration::from_mins(1)),
        None,
        shared,
        None,
        &services,
    )
    .unwrap()
}

fn policies(text: &str) -> (PoliciesConfig, Report) {
    let document: Document = toml::from_str(text).unwrap();
    let mut report = Report::default();
    let named = document.named.validate(&mut report);
    let always = document.always.validate(Layer::Always, &named, &mut report);
    let defaults = document
        .defaults
        .validate(Layer::Defaults, &named, &mut report);
    let own = document.route.validate(Layer::Route, &named, &mut report);
    (
        PolicyLayer::join(&always, &defaults, own, &mut report),
        report,
    )
}

fn config(text: &str) -> PoliciesConfig {
    let (config, report) = policies(text);
    assert!(!report.has_errors(), "{:#?}", report.complaints());
    config
}

/// The one complaint about a text: code, message and help.
fn complaint(text: &str) -> (&'static str, String, String) {
    let report = policies(text).1;
    let [only] = report.complaints() else {
        panic!("{:#?}", report.complaints());
    };
    (
        only.code,
        only.message.clone(),
        only.help.clone().unwrap_or_default(),
    )
}

/// Writes down every verdict: `plugin:name:code`, with `~` before a code that was only shadowed.
#[derive(Default)]
struct Diary(Vec<String>);

impl Observer for Diary {
    fn verdict(&mut self, step: &Step<'_>, flow: &Flow) {
        let code = match flow {
            Flow::Continue => "pass",
            Flow::Reply(reply) => reply.refusal.map_or("answer", |refusal| refusal.code),
        };
        let shadow = if step.shadowed { "~" } else { "" };
        self.0.push(format!(
            "{}:{}:{shadow}{code}",
            step.plugin,
            step.name.unwrap_or("-")
        ));
    }
}

/// The diary of a request's way down, and whether it passed.
fn down(text: &str, request: &TestRequest) -> (Vec<String>, bool) {
    let chain = compile(text);
    let mut diary = Diary::default();
    let flow = wait(chain.on_request(&request.view(), &mut Memory::default(), &mut diary));
    (diary.0, matches!(flow, Flow::Continue))
}

fn request() -> TestRequest {
    TestRequest::get("https://api.example.com/orders/7").from("10.0.0.1")
}

#[test]
fn the_order_is_the_designs() {
    assert_eq!(
        NAMES,
        [
            "ip-filter",
            "protect",
            "cors",
            "throttle",
            "auth",
            "authorize",
            "rate-limit",
            "quota",
            "concurrency",
            "idempotency",
            "headers"
        ]
    );
}

#[test]
fn requests_go_down_the_list_until_one_refuses() {
    let text = "
        [route]
        headers = { request = { set = { x-a = '{header.x-b}' } } }
        cors = { origins = ['https://a.example'] }
        protect = { methods = ['POST'] }
        ip-filter = { deny = ['192.0.2.0/24'] }
    ";
    let (diary, passed) = down(text, &request());
    assert_eq!(
        (diary, passed),
        (
            vec!["ip-filter:-:pass".into(), "protect:-:protect.method".into()],
            false
        )
    );
    let (diary, _) = down(text, &request().from("192.0.2.7"));
    assert_eq!(diary, ["ip-filter:-:ip-filter.denied"]);
    let post = TestRequest::new("POST", "https://api.example.com/");
    let (diary, _) = down(&text.replace("192.0.2.0/24", "10.0.0.0/8"), &post);
    assert_eq!(
        diary,
        [
            "ip-filter:-:pass",
            "protect:-:pass",
            "cors:-:pass",
            "headers:-:headers.value-missing"
        ]
    );
}

#[test]
fn responses_come_back_up_the_list() {
    let text = "
        [route]
        cors = { origins = ['https://a.example'] }
        headers = { response = { set = { access-control-allow-origin = '*', vary = 'accept' } } }
    ";
    let chain = compile(text);
    let mut response = TestResponse::new(200);
    let request = request().header("origin", "https://a.example");
    chain.on_response(
        &request.view(),
        &mut response.view(),
        &mut Memory::default(),
    );
    assert_eq!(
        response.value("access-control-allow-origin").unwrap(),
        "https://a.example"
    );
    assert_eq!(response.value("vary").unwrap(), "accept, Origin");
}

#[test]
fn a_preflight_is_answered_before_what_stands_below_and_passes_what_stands_above() {
    let text = "
        [route]
        protect = { methods = ['PUT'] }
        cors = { origins = ['https://a.example'], methods = ['PUT'] }
        headers = { request = { set = { x-a = '{header.x-b}' } } }
    ";
    let preflight = TestRequest::new("OPTIONS", "https://api.example.com/")
        .header("origin", "https://a.example")
        .header("access-control-request-method", "PUT");
    let (diary, passed) = down(text, &preflight);
    assert_eq!(
        (diary, passed),
        (vec!["protect:-:pass".into(), "cors:-:answer".into()], false)
    );
}

#[test]
fn a_shadowed_refusal_passes_and_is_observed() {
    let text = "route.protect = [{ methods = ['POST'], mode = 'shadow' }, { methods = ['GET'] }]";
    let (diary, passed) = down(text, &request());
    assert_eq!(
        (diary, passed),
        (
            vec!["protect:-:~protect.method".into(), "protect:-:pass".into()],
            true
        )
    );
}

#[test]
fn shadowed_body_limits_are_observed_once_and_enforced_ones_end_the_request() {
    let text = "route.protect = [{ body-max = '1B', mode = 'shadow' }, { body-max = '3B' }]";
    let chain = compile(text);
    let (mut memory, mut diary) = (Memory::default(), Diary::default());
    let mut feed = |piece: &'static [u8]| {
        let mut bytes = Some(bytes::Bytes::from_static(piece));
        let mut chunk = BodyChunk {
            bytes: &mut bytes,
            end: false,
        };
        matches!(
            chain.on_request_body(&mut chunk, &mut memory, &mut diary),
            Flow::Continue
        )
    };
    assert_eq!(
        [feed(b"1"), feed(b"2"), feed(b"3"), feed(b"4")],
        [true, true, true, false]
    );
    assert_eq!(
        diary.0,
        [
            "protect:-:~protect.body-too-large",
            "protect:-:protect.body-too-large"
        ]
    );
}

#[test]
fn what_always_holds_stands_beside_a_routes_own() {
    let text = "
        named.protect.large = { body-max = '10MiB' }
        always.protect = 'large'
        route.protect = { methods = ['GET'] }
    ";
    let (diary, passed) = down(text, &request());
    assert_eq!(
        (diary, passed),
        (
            vec!["protect:large:pass".into(), "protect:-:pass".into()],
            true
        )
    );
    let layers: Vec<Layer> = config(text)
        .protect
        .iter()
        .map(|placed| placed.layer)
        .collect();
    assert_eq!(layers, [Layer::Always, Layer::Route]);
}

#[test]
fn none_drops_defaults_and_never_what_always_holds() {
    let text = "
        always.protect = { body-max = '1MiB' }
        defaults.protect = { methods = ['POST'] }
        defaults.ip-filter = { deny = ['10.0.0.0/8'] }
        route.protect = 'none'
        route.ip-filter = 'none'
    ";
    let config = config(text);
    assert_eq!(config.protect.len(), 1);
    assert_eq!(config.protect.first().unwrap().layer, Layer::Always);
    assert!(config.ip_filter.is_empty());
}

#[test]
fn a_routes_own_replaces_the_default_whole() {
    let config =
        config("defaults.protect = { body-max = '1MiB' }\nroute.protect = { methods = ['GET'] }");
    let (own, _) = policies("route.protect = { methods = ['GET'] }");
    let only = |config: &PoliciesConfig| config.protect.first().unwrap().config.clone();
    assert_eq!((config.protect.len(), only(&config)), (1, only(&own)));
}

#[test]
fn always_has_the_last_word_on_a_header_in_both_directions() {
    let text = "
        always.headers = { request = { set = { x-a = 'always' } }, response = { set = { x-a = 'always' } } }
        defaults.headers = { request = { set = { x-b = 'default', x-c = 'default' } } }
        route.headers = { request = { set = { x-a = 'own', x-b = 'own' } }, response = { set = { x-a = 'own' } } }
    ";
    let chain = compile(text);
    let (request, mut memory) = (request(), Memory::default());
    let mut head = request.upstream_head();
    chain.on_upstream_request(&request.view(), &mut head, &mut memory);
    let value = |headers: &HeaderMap, name: &str| joined(headers, name).unwrap();
    let seen = ["x-a", "x-b", "x-c"].map(|name| value(&head.headers, name));
    assert_eq!(seen, ["always", "own", "default"]);
    let mut response = TestResponse::new(200);
    chain.on_response(&request.view(), &mut response.view(), &mut memory);
    assert_eq!(response.value("x-a").unwrap(), "always");
}

#[test]
fn two_attempts_send_the_same() {
    let chain = compile("route.headers = { request = { add = { x-a = '2' } } }");
    let (request, mut memory) = (request().header("x-a", "1"), Memory::default());
    for _attempt in 0..2 {
        let mut head = request.upstream_head();
        chain.on_upstream_request(&request.view(), &mut head, &mut memory);
        assert_eq!(joined(&head.headers, "x-a").unwrap(), "1, 2");
    }
}

#[test]
fn an_unknown_name_suggests_the_one_that_was_meant() {
    let text = "named.protect.small = { body-max = '1KiB' }\nroute.protect = 'smal'";
    let expected = (
        "config.unknown-reference",
        "unknown protect `smal`".into(),
        "did you mean `small`?".into(),
    );
    assert_eq!(complaint(text), expected);
}

#[test]
fn one_route_has_one_cors() {
    let cors = "{ origins = ['*'] }";
    assert_eq!(
        complaint(&format!("always.cors = {cors}\nroute.cors = {cors}")).0,
        "policy.only-once"
    );
    assert_eq!(
        complaint(&format!("route.cors = [{cors}, {cors}]")).0,
        "policy.only-once"
    );
}

#[test]
fn guarding_policies_shadow_only_until_a_day() {
    let shadow =
        |end: &str| format!("route.ip-filter = {{ deny = ['10.0.0.0/8'], mode = 'shadow'{end} }}");
    assert_eq!(complaint(&shadow("")).0, "policy.shadow-without-end");
    let day = config(&shadow(", shadow-until = '2027-01-31'"));
    assert!(matches!(day.ip_filter.first().unwrap().config, ref config
        if matches!(<crate::ip_filter::IpFilter as Plugin>::mode(config), Mode::Shadow { until: Some(_) })));
}

#[test]
fn the_values_that_policies_need_come_with_their_place() {
    let text = "route.headers = { request = { set = { x-a = '{path.id}' } } }";
    let needs = config(text).needs();
    let only = needs.first().unwrap();
    assert_eq!((only.to_string().as_str(), needs.len()), ("path.id", 1));
    assert_eq!(&text[only.span()], "'{path.id}'");
}

#[test]
fn a_route_like_another_says_only_what_differs() {
    let layer = |text: &str| {
        let raw: RawPolicies = toml::from_str(text).unwrap();
        raw.validate(
            Layer::Route,
            &NamedPolicies::default(),
            &mut Report::default(),
        )
    };
    let other = layer("protect = { body-max = '1MiB' }\nip-filter = { deny = ['10.0.0.0/8'] }");
    let own = layer("protect = { methods = ['GET'] }").or(&other);
    assert_eq!(
        own.protect,
        layer("protect = { methods = ['GET'] }").protect
    );
    assert_eq!(own.ip_filter, other.ip_filter);
    let dropped = layer("ip-filter = 'none'").or(&other);
    assert_eq!(dropped.ip_filter, Some(Vec::new()));
}
