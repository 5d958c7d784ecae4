//! `gateway hash` makes credentials, and the gateway takes them.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use harness::{Backend, Gateway};

use super::with_top;
use crate::fixture::assert_refused;

/// What `gateway hash ARGS…` says to this input.
fn hash(args: &[&str], input: &str) -> (bool, String) {
    let mut process = Command::new(Gateway::binary())
        .arg("hash")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = process.stdin.take().unwrap();
    // It need not read any of it.
    stdin.write_all(input.as_bytes()).ok();
    drop(stdin);
    let output = process.wait_with_output().unwrap();
    (
        output.status.success(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

#[test]
fn what_is_hashed_here_is_known_there() {
    let (done, made) = hash(&["api-key"], "");
    assert!(done);
    let (key, key_hash) = made.trim().split_once('\n').unwrap();
    assert!(key.starts_with("gw_"), "{made}");
    assert_eq!(
        hash(&["api-key", "--stdin"], &format!("{key}\n")),
        (true, format!("{key_hash}\n"))
    );
    let (done, password) = hash(&["password"], "lovelace: \u{fc}\n");
    assert!(done && password.starts_with("$argon2id$"), "{password}");
    let password = password.trim();

    let orders = Backend::start();
    let text = format!(
        "[consumer.ada]\napi-keys = [\"{key_hash}\"]\npassword = \"{password}\"\n\
         [auth.keys]\napi-key = {{}}\n[auth.people]\nbasic = {{ realm = \"orders\" }}\nidentity-headers = {{ x-user = \"consumer.name\" }}\n\
         [route.all]\nmatch = \"/**\"\nupstream = \"orders\"\nauth = [\"keys\", \"people\"]\n"
    );
    let gateway = Gateway::start(with_top("", &text, &orders));
    assert_eq!(
        gateway
            .request("GET", "/a", &[("x-api-key", key)], b"")
            .status,
        200
    );
    // ada:lovelace: ü, twice: checked, then remembered.
    for _ in 0..2 {
        let known = [("authorization", "Basic YWRhOmxvdmVsYWNlOiDDvA==")];
        let answer = gateway.request("GET", "/a", &known, b"");
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(orders.last().header("x-user"), Some("ada"));
        assert_eq!(orders.last().header("authorization"), None);
    }
    // ada:x, eve:x, no colon, not the one way to write it.
    for wrong in [
        "YWRhOng=",
        "ZXZlOng=",
        "YWRh",
        "YWRhOmxvdmVsYWNlOiDDvA",
        "YWRhOmxvdmVsYWNlOiDDvB==",
    ] {
        let header = format!("Basic {wrong}");
        let answer = gateway.request("GET", "/a", &[("authorization", &header)], b"");
        assert_refused(&answer, 401, "auth.invalid");
    }
}

#[test]
fn a_terminal_does_not_show_the_password() {
    // `script` makes a terminal and passes on what is typed and shown.
    let command = format!("{} hash password", Gateway::binary().display());
    let mut process = Command::new("script")
        .args([
            "--quiet",
            "--flush",
            "--return",
            "--command",
            &command,
            "/dev/null",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut keyboard, mut screen) = (
        process.stdin.take().unwrap(),
        process.stdout.take().unwrap(),
    );
    let mut shown = Vec::new();
    while !shown.ends_with(b"it is not shown: ") {
        let mut byte = [0];
        screen.read_exact(&mut byte).unwrap();
        shown.push(byte[0]);
    }
    keyboard.write_all(b"lovelace\n").unwrap();
    screen.read_to_end(&mut shown).unwrap();
    assert!(process.wait().unwrap().success());
    let shown = String::from_utf8(shown).unwrap();
    assert!(
        shown.contains("$argon2id$") && !shown.contains("lovelace"),
        "{shown}"
    );
}

#[test]
fn nothing_to_hash_is_an_error() {
    assert!(!hash(&["password"], "\n").0);
    assert!(!hash(&["api-key", "--stdin"], "").0);
    assert!(!hash(&["password"], &"x".repeat(5000)).0);
}
