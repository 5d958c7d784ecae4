//! The gateways that most tests want: one listener, one upstream, the routes of the test.

use harness::{Backend, Client, Config, Gateway, Response};

/// A route for everything.
pub(crate) const EVERYTHING: &str = "[route.all]\nmatch = \"/**\"\nupstream = \"orders\"\n";

/// The hash of the key `sesame`.
pub(crate) const SESAME: &str =
    "sha256:d0c04f4b1951e4aeaaec8223ed2039e542f3aae805a6fa7f6d794e5afff5d272";
/// The hash of the key `abracadabra`.
pub(crate) const ABRACADABRA: &str =
    "sha256:045babdcd2118960e8c8b8e0ecf65b734686e1b18f58710c9646779f49e942ae";

/// A provider `keys` and two consumers: ann is of the plan free and has `sesame`, bob is of premium and has `abracadabra`.
pub(crate) fn consumers() -> String {
    let consumer = |name: &str, plan: &str, key: &str| {
        format!("[consumer.{name}]\nplan = \"{plan}\"\napi-keys = [\"{key}\"]\n")
    };
    let (ann, bob) = (
        consumer("ann", "free", SESAME),
        consumer("bob", "premium", ABRACADABRA),
    );
    format!("[auth.keys]\napi-key = {{}}\n{ann}{bob}")
}

/// `[listener.public]` and `[upstream.orders]` before the text of a test.
pub(crate) fn config(text: &str, orders: &Backend) -> Config {
    Config::new(format!("{}{text}", head("", ""))).upstream("orders", orders.addr())
}

/// The same with further keys for the listener and the upstream.
pub(crate) fn config_with(listener: &str, upstream: &str, text: &str, orders: &Backend) -> Config {
    Config::new(format!("{}{text}", head(listener, upstream))).upstream("orders", orders.addr())
}

fn head(listener: &str, upstream: &str) -> String {
    format!(
        "[listener.public]\naddress = \"@address.public@\"\n{listener}\n\
         [upstream.orders]\ntargets = [\"@upstream.orders@\"]\n{upstream}\n"
    )
}

/// A gateway in front of one echoing backend, with these routes.
pub(crate) fn gateway(routes: &str) -> (Gateway, Backend) {
    let orders = Backend::start();
    let gateway = Gateway::start(config(routes, &orders));
    (gateway, orders)
}

/// A gateway that forwards everything, with further keys for the listener and the upstream.
pub(crate) fn forwarding(listener: &str, upstream: &str) -> (Gateway, Backend) {
    let orders = Backend::start();
    let gateway = Gateway::start(config_with(listener, upstream, EVERYTHING, &orders));
    (gateway, orders)
}

/// A gateway without any upstream: its routes answer themselves.
pub(crate) fn answering(routes: &str) -> Gateway {
    Gateway::start(format!(
        "[listener.public]\naddress = \"@address.public@\"\n{routes}"
    ))
}

/// Asserts a problem answer: status, `code`, media type, and that header and body agree about the request's id.
#[track_caller]
pub(crate) fn assert_refused(answer: &Response, status: u16, code: &str) {
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (status, code),
        "{}",
        answer.text()
    );
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json")
    );
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    assert_eq!(
        problem["request-id"].as_str(),
        answer.header("x-request-id")
    );
}

/// Asserts that this very connection still serves: `path` must be answered with 200.
#[track_caller]
pub(crate) fn assert_usable(client: &mut Client, path: &str) {
    let answer = client.try_request("GET", path, &[], b"");
    let answer = answer.expect("the connection should be kept");
    assert_eq!(answer.status, 200, "{}", answer.text());
}
