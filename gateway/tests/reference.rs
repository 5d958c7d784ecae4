//! `conf/reference.toml` against the code: every key is in it, every key in it exists, every default is the default.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "this is a test, though its helpers do not look like one to clippy"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gateway::config::model::Config;
use gateway::config::{Loaded, load, load_text, schema};
use serde_json::Value;
use toml::Table;

fn conf(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../conf")
        .join(name)
}

fn reference() -> String {
    std::fs::read_to_string(conf("reference.toml")).expect("the file is there")
}

/// The text with every default written out; no byte moves, so that places stay comparable.
fn with_defaults() -> String {
    let is_key = |line: &str| {
        let key = line.split(" = ").next().unwrap_or_default();
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        line.contains(" = ") && !key.is_empty() && key.chars().all(fits)
    };
    let shown = |line: &str| match line.strip_prefix("# ") {
        Some(rest) if is_key(rest) => format!("  {rest}\n"),
        _ => format!("{line}\n"),
    };
    reference().lines().map(shown).collect()
}

fn loaded(text: &str) -> Loaded {
    let env = BTreeMap::<String, String>::new();
    // A text is no file: what it names is relative to where the test runs.
    let text = text.replace("file:tls/", "file:../conf/tls/");
    let text = text.replace("file:consumers/", "file:../conf/consumers/");
    load_text("reference.toml", &text, &env).unwrap_or_else(|failure| panic!("{failure:?}"))
}

/// Where the schema's `node` leads: the definitions that describe tables.
fn tables(node: &Value, found: &mut Vec<String>) {
    if let Some(name) = node.get("$ref").and_then(Value::as_str) {
        let name = name.trim_start_matches("#/$defs/").to_owned();
        let definition = &schema()["$defs"][&name];
        if definition.get("properties").is_some() {
            found.push(name);
        } else {
            tables(definition, found);
        }
    }
    for choice in node
        .get("anyOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        tables(choice, found);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = node.get(inner) {
            tables(inner, found);
        }
    }
}

/// Remembers which properties of which tables occur below a value.
fn visit(value: &toml::Value, node: &Value, seen: &mut BTreeSet<(String, String)>) {
    let mut names = Vec::new();
    tables(node, &mut names);
    match value {
        toml::Value::Array(items) => items.iter().for_each(|item| visit(item, node, seen)),
        toml::Value::Table(table) => {
            for (key, inner) in table {
                let mut known = false;
                for name in &names {
                    let property = &schema()["$defs"][name]["properties"][key];
                    if !property.is_null() {
                        known = true;
                        seen.insert((name.clone(), key.clone()));
                        visit(inner, property, seen);
                    }
                }
                if !known {
                    // The name of an object, or the key of a map.
                    visit(inner, node, seen);
                }
            }
        }
        toml::Value::String(_)
        | toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_) => {}
    }
}

#[test]
fn every_key_is_in_the_reference() {
    let text = with_defaults();
    let table: Table = text.parse().expect("the reference is TOML");
    let mut seen = BTreeSet::new();
    for (key, value) in &table {
        visit(value, &schema()["properties"][key], &mut seen);
    }
    let mut missing = Vec::new();
    for (name, definition) in schema()["$defs"].as_object().unwrap() {
        let properties = definition.get("properties").and_then(Value::as_object);
        for key in properties
            .into_iter()
            .flat_map(|properties| properties.keys())
        {
            // [always] lists the same policies as [defaults].
            if name != "RawPolicies" && !seen.contains(&(name.clone(), key.clone())) {
                missing.push(format!("{name}.{key}"));
            }
        }
    }
    for key in schema()["properties"].as_object().unwrap().keys() {
        if !table.contains_key(key) {
            missing.push(key.clone());
        }
    }
    assert!(missing.is_empty(), "not in reference.toml: {missing:?}");
}

#[test]
fn the_defaults_shown_are_the_defaults() {
    let (shown, written) = (loaded(&reference()).config, loaded(&with_defaults()).config);
    // Every directory of consumers is another one, even of the same consumers.
    let consumers = shown.consumers.clone();
    let essence = |config: Config| {
        let routes = config
            .routes
            .into_iter()
            .map(|mut route| {
                route.provenance.clear();
                route
            })
            .collect();
        let consumers = consumers.clone();
        Config {
            routes,
            consumers,
            ..config
        }
    };
    assert_eq!(essence(shown), essence(written));
    assert_ne!(reference(), with_defaults());
}

#[test]
fn every_file_in_conf_loads_without_a_word() {
    for entry in std::fs::read_dir(conf("")).expect("the directory is there") {
        let path = entry.expect("the entry can be read").path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            let loaded = load(&path).unwrap_or_else(|failure| panic!("{path:?}: {failure:?}"));
            assert!(
                loaded.report.complaints().is_empty(),
                "{path:?}: {:?}",
                loaded.report
            );
        }
    }
}

#[test]
fn the_minimal_configuration_is_minimal() {
    let text = std::fs::read_to_string(conf("minimal.toml")).expect("the file is there");
    assert!(text.lines().count() <= 12);
}
