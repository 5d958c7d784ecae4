//! `gateway reload` against an admin listener that answers as told: what is asked, what is said, how it ends.

#![allow(
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::thread;

/// Answers one request with these bytes; gives the head that was sent and what the command said.
fn reload(answer: &'static str, token: Option<&str>) -> (String, Output) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let admin = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut head = String::new();
        let mut lines = BufReader::new(stream.try_clone().expect("a second handle"));
        while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).is_ok_and(|read| read > 0) {
        }
        stream
            .write_all(answer.as_bytes())
            .expect("the answer can be sent");
        head
    });
    let output = command(&format!("http://{address}"), token);
    (admin.join().expect("the admin listener ends"), output)
}

fn command(admin: &str, token: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
    command.args(["reload", "--admin", admin]).env_clear();
    if let Some(token) = token {
        command.env("GATEWAY_ADMIN_TOKEN", token);
    }
    command.output().expect("the binary starts")
}

fn said(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("output is UTF-8")
}

#[test]
fn a_reload_ends_with_0_and_says_which_configuration_serves() {
    let (head, output) = reload(
        "HTTP/1.1 200 OK\r\n\r\n{\"result\": \"ok\", \"hash\": \"abc\"}",
        Some("t0k"),
    );
    assert!(head.starts_with("POST /reload HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nAuthorization: Bearer t0k\r\n"), "{head}");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(said(&output.stdout), "reloaded: abc\n");
}

#[test]
fn a_refused_reload_ends_with_1_and_shows_the_complaints() {
    let answer =
        "HTTP/1.1 422 Unprocessable Entity\r\n\r\n{\"rendered\": \"error: no such key\\n\\n\"}";
    let (head, output) = reload(answer, None);
    assert!(!head.contains("Authorization"), "{head}");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        said(&output.stderr),
        "error: no such key\nerror: the reload was refused; the old configuration serves on\n"
    );
}

#[test]
fn a_missing_token_and_a_wrong_one_are_told_apart() {
    let answer = "HTTP/1.1 401 Unauthorized\r\n\r\n{\"title\": \"A valid token is needed here.\"}";
    let (_, without) = reload(answer, None);
    assert!(said(&without.stderr).contains("set GATEWAY_ADMIN_TOKEN"));
    let (_, with) = reload(answer, Some("wrong"));
    assert!(said(&with.stderr).contains("not the right one"));
    assert_eq!(
        (without.status.code(), with.status.code()),
        (Some(1), Some(1))
    );
}

#[test]
fn what_is_no_gateway_and_what_is_no_address_are_said() {
    let (_, output) = reload("SSH-2.0-OpenSSH_9\r\n", None);
    assert!(
        said(&output.stderr).contains("is not HTTP"),
        "{}",
        said(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(1));
    let output = command("ftp://127.0.0.1:9090", None);
    assert!(said(&output.stderr).contains("write http://ADDRESS:PORT, https://… or unix:/PATH"));
    assert_eq!(output.status.code(), Some(2));
}
