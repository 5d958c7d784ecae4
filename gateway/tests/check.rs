//! Golden files: what `gateway check` says about each `check/NAME.toml` is in `check/NAME.expected`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p gateway --test check` writes them anew; read what it wrote.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test, though its helpers do not look like one to clippy"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Output};
use std::sync::OnceLock;

#[path = "check/certificates.rs"]
mod certificates;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check")
}

/// A copy of the directory with certificates beside it, which are made anew: none is in the repository, and none expires.
fn workplace() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    PLACE.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("check-{}", process::id()));
        copy(&directory(), &place);
        certificates::make(&place.join("certs"));
        place
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for entry in fs::read_dir(from).expect("the directory is there") {
        let entry = entry.expect("the entry can be read");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).expect("the file can be copied");
        }
    }
}

fn gateway(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(args)
        .current_dir(workplace())
        .env_clear()
        .env("GREETING", "hello")
        .output()
        .expect("the binary starts")
}

fn spoken(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("output is UTF-8");
    let code = output.status.code().expect("the binary ends by itself");
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    format!("exit code {code}\n{stdout}{stderr}")
}

fn cases() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory())
        .expect("the directory is there")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| Path::new(name).extension().is_some_and(|end| end == "toml"))
        .collect();
    names.sort();
    names
}

#[test]
fn complaints_are_the_expected_ones() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for name in cases() {
        let said = spoken(&gateway(&["check", &name]));
        let golden = directory().join(&name).with_extension("expected");
        if update {
            fs::write(&golden, &said).expect("the golden file can be written");
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if said != expected {
            wrong.push(format!(
                "{name}:\n--- expected\n{expected}\n--- said\n{said}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn there_is_a_golden_file_for_each_of_forty_complaints() {
    let wrong = cases()
        .iter()
        .filter(|name| !name.starts_with("ok-"))
        .count();
    assert!(wrong >= 40, "{wrong}");
}

#[test]
fn wrong_configurations_end_with_2_and_good_ones_with_0() {
    for name in cases() {
        let code = gateway(&["check", &name]).status.code();
        let expected = if name.starts_with("ok-") || name.starts_with("warns-") {
            0
        } else {
            2
        };
        assert_eq!(code, Some(expected), "{name}");
    }
}

#[test]
fn json_says_the_same() {
    let output = gateway(&["check", "--format", "json", "five-mistakes.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stderr.is_empty());
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let found = found.as_array().expect("an array");
    assert_eq!(found.len(), 5);
    let tie = found.iter().find(|one| one["code"] == "route.tie").unwrap();
    assert_eq!(tie["severity"], "error");
    assert_eq!(tie["file"], "five-mistakes.toml");
    assert_eq!((&tie["line"], &tie["column"]), (&18.into(), &9.into()));
    assert_eq!(tie["end_line"], 18);
    assert_eq!(tie["related"][0]["line"], 14);
    assert!(tie["help"].is_string());
}

#[test]
fn a_secret_is_never_shown() {
    for args in [
        &["check", "secret-literal.toml"][..],
        &["check", "--format", "json", "secret-literal.toml"],
        &["check", "secret-typo.toml"],
    ] {
        let said = spoken(&gateway(args));
        assert!(!said.contains("hunter2"), "{said}");
    }
}

#[test]
fn a_file_that_is_not_there_is_a_complaint() {
    let said = spoken(&gateway(&["check", "no-such-file.toml"]));
    assert_eq!(
        said,
        "exit code 2\nerror[config.file]: cannot read no-such-file.toml: there is no such file\n\n1 error\n"
    );
}

#[test]
fn wrong_arguments_end_with_2() {
    assert_eq!(gateway(&["chekc"]).status.code(), Some(2));
    assert_eq!(gateway(&["check"]).status.code(), Some(2));
}
