//! What a schema expects, in words, and the complaint when something else is there.

use plugins::contract::report::Report;
use serde_json::Value;
use toml::de::DeValue;

use crate::config::dom::{Node, kind};

/// Reports a value of the wrong kind.
pub(super) fn wrong_type(key: &str, node: &Node<'_>, choices: &[&Value], report: &mut Report) {
    let value = node.get_ref();
    if let Some(cure) = unit_cure(value, choices) {
        report
            .error(
                node.span(),
                "config.no-unit",
                format!("`{key}` has no unit"),
            )
            .label("a bare number")
            .help(cure);
        return;
    }
    let message = format!("`{key}` cannot be {}", article(kind(value)));
    let expected = expectation(choices);
    let complaint = report.error(node.span(), "config.wrong-type", message);
    complaint.label(format!("expected {expected}"));
    if let Some(cure) = cure(value, choices) {
        complaint.help(cure);
    }
}

/// All that may stand here, without repetition.
fn expectation(choices: &[&Value]) -> String {
    let mut expected: Vec<String> = Vec::new();
    for words in choices.iter().map(|choice| describe(choice)) {
        if !expected.contains(&words) {
            expected.push(words);
        }
    }
    expected.join(", or ")
}

/// One alternative in words.
pub(super) fn describe(schema: &Value) -> String {
    let text = |key: &str| schema.get(key).and_then(Value::as_str);
    if let Some(constant) = text("const") {
        return format!("\"{constant}\"");
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = words.iter().map(Value::to_string).collect();
        return words.join(" or ");
    }
    match (text("type"), text("format")) {
        (Some("string"), Some("policy-name")) => "the name of a policy".to_owned(),
        (Some("string"), Some("template")) => "a string".to_owned(),
        (Some("string"), Some(format)) => with_article(&format.replace('-', " ")),
        (Some(kind), _) => article(kind).to_owned(),
        (None, _) => "something else".to_owned(),
    }
}

/// "a share", "an ip network"
pub(super) fn with_article(noun: &str) -> String {
    let vowel = noun.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {noun}", if vowel { "an" } else { "a" })
}

/// A kind of value in words.
fn article(kind: &str) -> &'static str {
    match kind {
        "string" => "a string",
        "integer" => "a whole number",
        "number" => "a number with a fraction",
        "boolean" => "true or false",
        "array" => "a list",
        "datetime" => "a date",
        _ => "a table",
    }
}

/// A number where a quantity with a unit is expected.
fn unit_cure(value: &DeValue<'_>, choices: &[&Value]) -> Option<String> {
    let number = match value {
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::String(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => return None,
    };
    let format = |choice: &&&Value| choice.get("format").and_then(Value::as_str).is_some();
    let quantity = choices.iter().find(format)?;
    match quantity.get("format").and_then(Value::as_str)? {
        "time" => Some(format!(
            "write \"{number}s\", or another of ms, s, min, h, d"
        )),
        "size" => Some(format!(
            "write \"{number}B\", or another of B, KiB, MiB, GiB"
        )),
        "byte-rate" => Some(format!(
            "write \"{number}B/s\", or another of B/s, KiB/s, MiB/s"
        )),
        "share" => Some(format!("write \"{number}%\"")),
        _ => None,
    }
}

/// What to write instead, where that is plain.
fn cure(value: &DeValue<'_>, choices: &[&Value]) -> Option<String> {
    let expects = |kind: &str| choices.iter().any(|choice| super::accepts(choice, kind));
    match value {
        DeValue::String(text) if expects("integer") && text.parse::<u64>().is_ok() => {
            Some(format!("write it without quotes: {text}"))
        }
        DeValue::String(text) if expects("boolean") && matches!(&**text, "true" | "false") => {
            Some(format!("write it without quotes: {text}"))
        }
        DeValue::String(text) if expects("array") => Some(format!("write [\"{text}\"]")),
        DeValue::Integer(number) if expects("string") => {
            Some(format!("write it in quotes: \"{number}\""))
        }
        DeValue::Boolean(value) if expects("string") && choices.len() == 1 => {
            Some(format!("write it in quotes: \"{value}\""))
        }
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => None,
    }
}
