//! Every TOML snippet in a document is loaded: what can rot is executed.
//!
//! Looks at fenced `toml` blocks of all Markdown files and of the plugins' `//!` documents. A listener and upstreams
//! that a snippet lacks are added. A block marked `toml,fragment` holds keys of a route. Other words after `toml,`
//! mark what is no configuration of the gateway.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test, though its helpers do not look like one to clippy"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gateway::config::env::Env;
use gateway::config::load_text;
use toml::{Table, Value};

struct Snippet {
    place: String,
    fragment: bool,
    text: String,
}

/// Every variable is set.
struct AnyEnv;

impl Env for AnyEnv {
    fn var(&self, _name: &str) -> Option<String> {
        Some("value".to_owned())
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn files(directory: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).expect("the directory can be read") {
        let path = entry.expect("the entry can be read").path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if path.is_dir() && !path.is_symlink() && name != "target" && !name.starts_with('.') {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|other| other == extension) {
            found.push(path);
        }
    }
}

/// The fenced blocks of a document whose lines all start with `prefix`.
fn snippets(path: &Path, prefix: &str, found: &mut Vec<Snippet>) {
    let text = fs::read_to_string(path).expect("the document can be read");
    let mut open: Option<Snippet> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let Some(line) = line.trim_start().strip_prefix(prefix) else {
            continue;
        };
        let fence = line.trim_start().strip_prefix("```");
        match (fence, open.as_mut()) {
            (Some(info), None) => {
                let fragment = info == "toml,fragment";
                let place = format!("{}:{number}", path.display());
                let text = String::new();
                // Blocks in other languages are walked over, so that their ends do not look like starts.
                let place = if info == "toml" || fragment {
                    place
                } else {
                    String::new()
                };
                open = Some(Snippet {
                    place,
                    fragment,
                    text,
                });
            }
            (Some(_), Some(_)) => found.extend(open.take().filter(|one| !one.place.is_empty())),
            (None, Some(snippet)) => {
                snippet.text.push_str(line);
                snippet.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(
        open.is_none(),
        "{}: a block is never closed",
        path.display()
    );
}

/// The names of upstreams that routes use.
fn used(table: &Table) -> BTreeSet<String> {
    let routes = table.get("route").and_then(Value::as_table);
    let mut names = BTreeSet::new();
    for route in routes.into_iter().flat_map(|routes| routes.values()) {
        match route.get("upstream") {
            Some(Value::String(name)) => drop(names.insert(name.clone())),
            Some(dispatch) => {
                let map = dispatch.get("map").and_then(Value::as_table);
                let values = map.into_iter().flat_map(|map| map.values());
                let all = values.chain(dispatch.get("otherwise"));
                names.extend(all.filter_map(Value::as_str).map(str::to_owned));
            }
            None => {}
        }
        let split = route.get("split").and_then(|split| split.get("to"));
        let arms = split.and_then(Value::as_table);
        names.extend(arms.into_iter().flat_map(|arms| arms.keys().cloned()));
    }
    names
}

/// A snippet with what it lacks.
fn completed(snippet: &Snippet) -> String {
    // What a snippet names is relative to where the test runs.
    let mut text = snippet.text.replace("file:tls/", "file:../conf/tls/");
    if snippet.fragment {
        let keys: Table = text.parse().unwrap_or_default();
        let mut route = "[route.example]\n".to_owned();
        if !keys.contains_key("match") {
            route.push_str("match = \"/**\"\n");
        }
        let actions = ["upstream", "split", "redirect", "respond"];
        if !actions.iter().any(|key| keys.contains_key(*key)) {
            route.push_str("upstream = \"example\"\n");
        }
        text = format!("{route}{text}");
    }
    let table: Table = text.parse().unwrap_or_default();
    if !table.contains_key("listener") {
        text.push_str("\n[listener.public]\naddress = \"127.0.0.1:8080\"\n");
    }
    let defined = |name: &str| {
        table
            .get("upstream")
            .and_then(|all| all.get(name))
            .is_some()
    };
    for name in used(&table).iter().filter(|name| !defined(name)) {
        text = format!("{text}\n[upstream.{name}]\ntargets = [\"127.0.0.1:9000\"]\n");
    }
    text
}

#[test]
fn every_snippet_loads() {
    let mut found = Vec::new();
    let mut documents = Vec::new();
    files(&root(), "md", &mut documents);
    for path in &documents {
        snippets(path, "", &mut found);
    }
    let mut sources = Vec::new();
    files(&root().join("plugins/src"), "rs", &mut sources);
    for path in &sources {
        snippets(path, "//! ", &mut found);
    }
    assert!(
        found.len() >= plugins::chain::NAMES.len(),
        "few snippets: {}",
        found.len()
    );
    let wrong: Vec<String> = found
        .iter()
        .filter_map(|snippet| {
            let failure = load_text(&snippet.place, &completed(snippet), &AnyEnv).err()?;
            let complaints = failure.report.complaints().iter();
            let said: Vec<&str> = complaints.map(|one| one.message.as_str()).collect();
            Some(format!("{}: {}", snippet.place, said.join("; ")))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
