//! Strings: what they may say, and where in the source a part of one is.

use std::ops::Range;

use plugins::contract::leaf::LeafError;
use plugins::contract::place::Span;
use plugins::contract::report::nearest;
use serde_json::Value;

use super::format_check;
use crate::config::source::SourceMap;

/// Whether a string is one of the words, or in one of the grammars, that the schemas name.
pub(super) fn fits(text: &str, choices: &[&Value]) -> Result<(), LeafError> {
    let words: Vec<&str> = choices.iter().flat_map(|choice| words(choice)).collect();
    if words.contains(&text) {
        return Ok(());
    }
    let mut first = None;
    for choice in choices {
        match choice.get("format").and_then(Value::as_str) {
            Some(format) => match format_check(format).map_or(Ok(()), |check| check(text)) {
                Ok(()) => return Ok(()),
                Err(error) => first = first.or(Some(error)),
            },
            None if self::words(choice).is_empty() => return Ok(()),
            None => {}
        }
    }
    Err(first.unwrap_or_else(|| unknown_word(text, &words)))
}

fn words(schema: &Value) -> Vec<&str> {
    let listed = schema
        .get("enum")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    listed
        .chain(schema.get("const"))
        .filter_map(Value::as_str)
        .collect()
}

fn unknown_word(text: &str, words: &[&str]) -> LeafError {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    let help = match nearest(text, words.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("write {}", quoted.join(" or ")),
    };
    LeafError::new(format!("`{text}` means nothing here")).help(help)
}

/// The place of a part of a string. Where the source spells the string differently (escapes, variables), the place of
/// the whole.
pub(in crate::config) fn inside(
    sources: &SourceMap,
    span: &Span,
    text: &str,
    at: &Range<usize>,
) -> Span {
    let written = sources.text(span).unwrap_or_default();
    let quotes = ["\"\"\"", "'''", "\"", "'"];
    let content = quotes.iter().find_map(|quote| {
        let content = written.strip_prefix(quote)?.strip_suffix(quote)?;
        (content == text).then_some(quote.len())
    });
    match content {
        Some(quote) if at.end <= text.len() => {
            let start = span.start + quote + at.start;
            // A caret needs something to stand under.
            start..(span.start + quote + at.end).max(start + 1)
        }
        _ => span.clone(),
    }
}
