//! `gateway check` and the other commands that open no socket: everything wrong in one run, with its place.

use std::fs;
use std::path::PathBuf;

use harness::{cli, cli_in};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn with(name: &str, files: &[(&str, &str)]) -> Self {
        let folder =
            std::env::temp_dir().join(format!("gateway-check-{}-{name}", std::process::id()));
        for (file, text) in files {
            let path = folder.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

const GOOD: &str = r#"[listener.public]
address = "127.0.0.1:8080"

[upstream.orders]
targets = ["127.0.0.1:9000"]

[route.orders]
match = "/orders/**"
upstream = "orders"
"#;

const FIVE: &str = r#"[listener.public]
address = "127.0.0.1:8080"
header-timeout = 10

[upstream.orders]
targets = ["127.0.0.1"]
conect-timeout = "1s"

[route.orders]
match = "/orders/{id"
upstream = "orders"

[route.users]
match = "/users/**"
upstream = "oders"
"#;

#[test]
fn a_good_file_exits_with_0() {
    let folder = Folder::with("good", &[("gateway.toml", GOOD)]);
    let exit = cli_in(&folder.0, &["check", "gateway.toml"]);
    assert_eq!(exit.code, Some(0), "{exit}");
    assert!(
        exit.stdout.contains("gateway.toml") && exit.stdout.contains("1 route"),
        "{exit}"
    );
}

#[test]
fn five_mistakes_yield_five_complaints_with_lines_and_carets() {
    let folder = Folder::with("five", &[("gateway.toml", FIVE)]);
    let exit = cli_in(&folder.0, &["check", "gateway.toml"]);
    assert_eq!(exit.code, Some(2), "{exit}");
    let errors = exit
        .stderr
        .lines()
        .filter(|line| line.starts_with("error"))
        .count();
    assert_eq!(errors, 5, "{exit}");
    for line in [3, 6, 7, 10, 15] {
        assert!(
            exit.stderr.contains(&format!("gateway.toml:{line}:")),
            "line {line}: {exit}"
        );
    }
    assert!(
        exit.stderr
            .lines()
            .filter(|line| line.contains("^^"))
            .count()
            >= 5,
        "{exit}"
    );
    for cure in ["did you mean `connect-timeout`?", "did you mean `orders`?"] {
        assert!(exit.stderr.contains(cure), "{cure}: {exit}");
    }
    assert!(
        !exit.stderr.contains('\x1b'),
        "colour without a terminal: {exit}"
    );
}

#[test]
fn the_same_as_data() {
    let folder = Folder::with("json", &[("gateway.toml", FIVE)]);
    let exit = cli_in(&folder.0, &["check", "--format", "json", "gateway.toml"]);
    assert_eq!(exit.code, Some(2), "{exit}");
    let complaints: serde_json::Value =
        serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("{error}: {exit}"));
    let complaints = complaints.as_array().unwrap();
    assert_eq!(complaints.len(), 5, "{exit}");
    let lines: Vec<u64> = complaints
        .iter()
        .filter_map(|one| one["line"].as_u64())
        .collect();
    let mut sorted = lines.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [3, 6, 7, 10, 15], "{exit}");
    assert_eq!(exit.stderr, "");
}

#[test]
fn several_files_are_checked_each_on_its_own() {
    let folder = Folder::with(
        "several",
        &[("a.toml", GOOD), ("b.toml", FIVE), ("c.toml", GOOD)],
    );
    let exit = cli_in(&folder.0, &["check", "a.toml", "b.toml", "c.toml"]);
    assert_eq!(exit.code, Some(2), "{exit}");
    assert!(
        exit.stdout.contains("a.toml: ok") && exit.stdout.contains("c.toml: ok"),
        "{exit}"
    );
    assert!(!exit.stdout.contains("b.toml"), "{exit}");
}

#[test]
fn a_mistake_in_an_included_file_names_that_file() {
    let main = format!("include = [\"routes/*.toml\"]\n{GOOD}");
    let folder = Folder::with(
        "include",
        &[
            ("gateway.toml", &main),
            (
                "routes/users.toml",
                "[route.users]\nmatch = \"/users\"\nupstream = \"usrs\"\n",
            ),
        ],
    );
    let exit = cli_in(&folder.0, &["check", "gateway.toml"]);
    assert_eq!(exit.code, Some(2), "{exit}");
    assert!(exit.stderr.contains("routes/users.toml:3:"), "{exit}");
}

#[test]
fn what_is_no_file_exits_with_2() {
    let exit = cli(&["check", "no/such.toml"]);
    assert_eq!(exit.code, Some(2), "{exit}");
    assert!(exit.stderr.contains("no/such.toml"), "{exit}");
    assert_eq!(cli(&["check", "/"]).code, Some(2));
    assert_eq!(cli(&["check"]).code, Some(2));
}

#[test]
fn the_schema_is_json_and_the_version_a_number() {
    let schema = cli(&["schema"]);
    assert_eq!(schema.code, Some(0), "{schema}");
    let schema: serde_json::Value = serde_json::from_str(&schema.stdout).unwrap();
    assert!(schema["properties"]["route"].is_object());
    let version = cli(&["version"]);
    assert_eq!(version.code, Some(0));
    assert!(version.stdout.contains('.'), "{version}");
}
