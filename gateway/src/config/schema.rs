//! The JSON Schema of a configuration, made from the `Raw` types: editors read it, and the shape check walks it.

use std::sync::OnceLock;

use plugins::chain::{RawNamed, RawPolicies};
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::raw::RawFile;

/// The schema, draft 2020-12.
pub fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(generate)
}

/// The definition behind a `$ref`, or the node itself.
pub(super) fn resolved(node: &Value) -> &Value {
    let target = node
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|reference| reference.strip_prefix('#'))
        .and_then(|pointer| schema().pointer(pointer));
    target.unwrap_or(node)
}

/// The schemas of which a value must fit one.
pub(super) fn alternatives(node: &Value) -> Vec<&Value> {
    let node = resolved(node);
    let choices = node.get("anyOf").or_else(|| node.get("oneOf"));
    match choices.and_then(Value::as_array) {
        Some(choices) => choices.iter().flat_map(alternatives).collect(),
        None => vec![node],
    }
}

/// Whether a key at the top holds named objects.
pub(super) fn is_map(key: &str) -> bool {
    object_of(key).is_some()
}

/// The schema of one named object of a table at the top.
pub(super) fn object_of(key: &str) -> Option<&'static Value> {
    let table = resolved(schema().get("properties")?.get(key)?);
    table
        .get("additionalProperties")
        .filter(|one| one.is_object())
}

fn generate() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    // Registers the definitions, which are then merged into the tables that hold them.
    generator.subschema_for::<RawNamed>();
    generator.subschema_for::<RawPolicies>();
    let mut schema = generator.into_root_schema_for::<RawFile>().to_value();
    describe(&mut schema, "RawPolicies", |name| {
        format!(
            "`{name}`: the name of a policy, a table, a list of both (all must pass), or \"none\""
        )
    });
    describe(&mut schema, "RawNamed", |name| {
        format!("Policies that routes name: `[{name}.NAME]`")
    });
    let policies = properties(&schema, "RawPolicies");
    for table in ["RawRoute", "RawDefaults"] {
        if let Some(own) = schema
            .pointer_mut(&format!("/$defs/{table}/properties"))
            .and_then(Value::as_object_mut)
        {
            own.extend(policies.clone());
        }
    }
    let named = properties(&schema, "RawNamed");
    if let Some(own) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        own.extend(named);
    }
    if let Some(definitions) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        definitions.remove("RawNamed");
    }
    without_null(&mut schema);
    title(&mut schema);
    schema
}

/// Says what a policy's key is; the comment in the list of plugins says why it stands where it stands.
fn describe(schema: &mut Value, table: &str, about: impl Fn(&str) -> String) {
    let properties = schema.pointer_mut(&format!("/$defs/{table}/properties"));
    for (name, property) in properties
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
    {
        if let Some(property) = property.as_object_mut() {
            property.insert("description".to_owned(), json!(about(name)));
        }
    }
}

fn properties(schema: &Value, table: &str) -> Map<String, Value> {
    schema
        .pointer(&format!("/$defs/{table}/properties"))
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

/// TOML has no null: an optional key is one that may be left out.
fn without_null(node: &mut Value) {
    match node {
        Value::Object(object) => {
            object.remove("default");
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = types.as_slice() {
                    let one = one.clone();
                    object.insert("type".to_owned(), one);
                }
            }
            for key in ["anyOf", "oneOf"] {
                let Some(Value::Array(choices)) = object.get_mut(key) else {
                    continue;
                };
                choices.retain(|choice| choice.get("type") != Some(&json!("null")));
                if let [Value::Object(one)] = choices.as_slice() {
                    let one = one.clone();
                    object.remove(key);
                    for (key, value) in one {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn title(schema: &mut Value) {
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), json!("gateway configuration"));
        // An included file need not have what the whole must have.
        root.remove("required");
        let about =
            "The configuration of the gateway: one TOML file, or several joined by `include`.";
        root.insert("description".to_owned(), json!(about));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formats(node: &Value, found: &mut Vec<String>) {
        match node {
            Value::Object(object) => {
                if object.get("type") == Some(&json!("string"))
                    && let Some(Value::String(format)) = object.get("format")
                {
                    found.push(format.clone());
                }
                object.values().for_each(|value| formats(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| formats(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_format_has_a_check() {
        let mut found = Vec::new();
        formats(schema(), &mut found);
        assert!(found.len() > 20, "{found:?}");
        for format in found {
            assert!(
                super::super::shape::format_check(&format).is_some(),
                "{format}"
            );
        }
    }

    #[test]
    fn every_key_is_described() {
        fn walk(node: &Value, at: &str) {
            if let Some(properties) = node.get("properties").and_then(Value::as_object) {
                for (key, value) in properties {
                    assert!(
                        value.get("description").is_some(),
                        "{at}.{key} has no description"
                    );
                }
            }
            match node {
                Value::Object(object) => object.iter().for_each(|(key, value)| walk(value, key)),
                Value::Array(items) => items.iter().for_each(|value| walk(value, at)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        walk(schema(), "");
    }

    #[test]
    fn routes_have_policies() {
        let route = object_of("route").map(resolved).unwrap();
        for name in plugins::chain::NAMES {
            assert!(route["properties"].get(name).is_some(), "{name}");
            assert!(is_map(name), "{name}");
        }
        assert!(!is_map("server"));
    }
}
