//! Consumers in a file of their own: read again when it changes, and a broken one changes nothing.

use harness::wait::{DEADLINE, until};
use harness::{Backend, Gateway};

use super::{ABRACADABRA, SESAME, with_top};
use crate::fixture::assert_refused;

const TEXT: &str = "[auth.keys]\napi-key = {}\n\
    [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\nauth = \"keys\"\n";

fn status(gateway: &Gateway, key: &str) -> u16 {
    gateway
        .request("GET", "/a", &[("x-api-key", key)], b"")
        .status
}

#[test]
fn a_file_of_consumers_is_read_again_when_it_changes() {
    let orders = Backend::start();
    let consumer = |name: &str, key: &str| format!("[consumer.{name}]\napi-keys = [\"{key}\"]\n");
    let config = with_top("consumers = \"file:people.toml\"", TEXT, &orders);
    let gateway = Gateway::start(config.file("people.toml", consumer("ada", SESAME)));
    assert_eq!(status(&gateway, "sesame"), 200);
    assert_eq!(status(&gateway, "abracadabra"), 401);

    let more = consumer("ada", SESAME) + &consumer("bob", ABRACADABRA);
    std::fs::write(gateway.path("people.toml"), &more).unwrap();
    until(DEADLINE, "bob to be known", || {
        status(&gateway, "abracadabra") == 200
    });
    assert_eq!(status(&gateway, "sesame"), 200);

    let before = gateway.reloads();
    std::fs::write(
        gateway.path("people.toml"),
        more + "[consumer.eve]\nkeys = 1\n",
    )
    .unwrap();
    gateway.wait_reload_after(before);
    gateway.wait_log("people.toml:6");
    assert_eq!(status(&gateway, "abracadabra"), 200, "all or nothing");

    std::fs::write(gateway.path("people.toml"), consumer("bob", ABRACADABRA)).unwrap();
    until(DEADLINE, "ada to be forgotten", || {
        status(&gateway, "sesame") == 401
    });
    let answer = gateway.request("GET", "/a", &[("x-api-key", "sesame")], b"");
    assert_refused(&answer, 401, "auth.invalid");
}

#[test]
fn an_unreadable_file_is_an_error() {
    let orders = Backend::start();
    let exit = Gateway::try_start(with_top("consumers = \"file:none.toml\"", TEXT, &orders));
    assert_eq!(exit.code, Some(2), "{exit}");
    assert!(exit.stderr.contains("none.toml"), "{exit}");
}
