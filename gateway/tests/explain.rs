//! Golden files: what `gateway explain` says to the arguments in `explain/NAME.args`, one a line with the configuration
//! first, is in `explain/NAME.expected`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p gateway --test explain` writes them anew; read what it wrote.

#![allow(
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain")
}

fn gateway(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(args)
        .current_dir(directory())
        .env_clear()
        .output()
        .expect("the binary starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("output is UTF-8")
}

fn spoken(output: &Output) -> String {
    let code = output.status.code().expect("the binary ends by itself");
    format!(
        "exit code {code}\n{}{}",
        text(&output.stdout),
        text(&output.stderr)
    )
}

fn explain(args: &[&str]) -> Output {
    gateway(&[&["explain"], args].concat())
}

fn story(args: &[&str]) -> Value {
    let output = explain(&[args, &["--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

#[test]
fn stories_are_the_expected_ones() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    let entries = fs::read_dir(directory()).expect("the directory is there");
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let cases = paths.filter(|path| path.extension().is_some_and(|kind| kind == "args"));
    for case in cases {
        let args = fs::read_to_string(&case).expect("the arguments can be read");
        let said = spoken(&explain(&args.lines().collect::<Vec<_>>()));
        let golden = case.with_extension("expected");
        if update {
            fs::write(&golden, &said).expect("the golden file can be written");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if said != expected {
            wrong.push(format!(
                "{}:\n--- expected\n{expected}\n--- said\n{said}",
                case.display()
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_routes_are_one_table() {
    let output = gateway(&["routes", "shop.toml"]);
    let said = spoken(&output);
    let golden = directory().join("routes.expected");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &said).expect("the golden file can be written");
    }
    assert_eq!(said, fs::read_to_string(&golden).unwrap_or_default());
    let json = gateway(&["routes", "shop.toml", "--format", "json"]);
    let routes: Value = serde_json::from_slice(&json.stdout).expect("it is JSON");
    assert_eq!(
        routes.as_array().map(Vec::len),
        Some(text(&output.stdout).lines().count() - 1)
    );
}

#[test]
fn json_tells_the_same_story() {
    let passed = story(&["shop.toml", "GET http://api.example.com/orders/7"]);
    assert_eq!(passed["route"]["name"], "orders");
    assert_eq!(passed["matching"]["candidates"][0]["route"], "orders-beta");
    assert_eq!(passed["matching"]["candidates"][1]["chosen"], true);
    assert_eq!(passed["policies"][0]["verdict"], "passes");
    assert_eq!(passed["outcome"]["kind"], "forward");
    assert_eq!(passed["outcome"]["request-line"], "GET /orders/7 HTTP/1.1");
    let refused = story(&[
        "shop.toml",
        "http://api.example.com/orders/7",
        "--from",
        "198.51.100.7",
    ]);
    assert_eq!(refused["outcome"]["kind"], "reply");
    assert_eq!(refused["outcome"]["status"], 403);
    assert_eq!(refused["policies"][1]["verdict"], "not-asked");
}

#[test]
fn a_shadowed_refusal_lets_the_request_pass() {
    let story = story(&["shop.toml", "http://internal.example.com/"]);
    assert_eq!(story["policies"][1]["verdict"], "would-refuse");
    assert_eq!(story["outcome"]["kind"], "forward");
}

#[test]
fn an_answer_is_as_long_as_the_one_that_clients_get() {
    let story = story(&["shop.toml", "/nothing"]);
    let headers = story["outcome"]["headers"].as_array().expect("headers");
    let length = headers
        .iter()
        .find(|field| field["name"] == "content-length")
        .expect("a length");
    assert_eq!(
        length["value"].as_str(),
        Some(&*story["outcome"]["bytes"].to_string())
    );
}

#[test]
fn wrong_arguments_and_configurations_end_with_2() {
    for (args, part) in [
        (
            &["shop.toml", "api.example.com/x"][..],
            "neither a path nor a URL",
        ),
        (&["shop.toml", "/x", "-H", "nonsense"], "has no colon"),
        (&["shop.toml", "/x", "--from", "nobody"], "--from"),
        (
            &["shop.toml", "/x", "--listener", "privat"],
            "there is no listener `privat`; there is public",
        ),
        (
            &["two.toml", "/x"],
            "say which with --listener NAME: inside, outside",
        ),
        (
            &[
                "two.toml",
                "/x",
                "--listener",
                "inside",
                "--from",
                "10.0.0.1",
            ],
            "unix socket",
        ),
        (&["no-such-file.toml", "/x"], "cannot read"),
        (&["shop.toml"], "REQUEST"),
    ] {
        let said = spoken(&explain(args));
        assert!(
            said.starts_with("exit code 2\n") && said.contains(part),
            "{said}"
        );
    }
}

#[test]
fn the_port_of_the_url_may_say_which_listener() {
    let by_port = story(&["two.toml", "http://a.example.com:8081/x"]);
    assert_eq!(by_port["listener"]["name"], "outside");
    let by_name = story(&["two.toml", "/x", "--listener", "inside"]);
    assert_eq!(by_name["client"]["address"], Value::Null);
}
