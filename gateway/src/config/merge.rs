//! Parses every text of a configuration and joins the trees: each object may be defined once, in any file.

use plugins::contract::report::Report;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::dom::{Key, Node, shift};
use super::source::{SourceFile, SourceMap};

/// All syntax errors of all files in one run, else one tree. `is_map` tells which tables at the top hold named objects.
pub(super) fn parse<'i>(
    sources: &'i SourceMap,
    is_map: impl Fn(&str) -> bool,
    report: &mut Report,
) -> Option<DeTable<'i>> {
    let mut root = DeTable::new();
    let mut broken = false;
    for file in sources.files() {
        let base = file.base();
        let (table, errors) = DeTable::parse_recoverable(file.text());
        broken |= !errors.is_empty();
        syntax(&errors, file, report);
        if !broken {
            join(&mut root, shift(table.into_inner(), base), &is_map, report);
        }
    }
    (!broken).then_some(root)
}

fn syntax(errors: &[toml::de::Error], file: &SourceFile, report: &mut Report) {
    // After a header that is there already, its keys are there already too: one complaint is enough.
    let mut again = 0..0;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let message = error.message().replace('\n', ", ");
        let place = span.start + file.base()..span.end + file.base();
        if !message.starts_with("duplicate key") {
            let unquoted = message.starts_with("invalid") || message.starts_with("string values");
            let message = format!("this is not TOML: {message}");
            let complaint = report.error(place, "config.syntax", message);
            if unquoted {
                complaint.help("text stands in quotes");
            }
        } else if !again.contains(&span.start) {
            if is_header(file.text(), span.start) {
                again = span.start..next_header(file.text(), span.end);
            }
            let name = file.text().get(span).unwrap_or_default();
            let message = format!("`{name}` is written twice");
            let complaint = report.error(place, "config.syntax", message);
            complaint
                .label("the second time")
                .help("remove one of the two");
        }
    }
}

/// Whether a position is in the header of a table.
fn is_header(text: &str, at: usize) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    line.trim_start().starts_with('[')
}

fn next_header(text: &str, after: usize) -> usize {
    let rest = text.get(after..).unwrap_or_default();
    rest.find("\n[").map_or(text.len(), |at| after + at + 1)
}

fn join<'i>(
    root: &mut DeTable<'i>,
    table: DeTable<'i>,
    is_map: &impl Fn(&str) -> bool,
    report: &mut Report,
) {
    for (key, node) in table {
        // Followed by the reader; each file has its own.
        if key.get_ref() == "include" && root.contains_key("include") {
            if !node.get_ref().is_array() {
                let message = "`include` is a list of files";
                report.error(node.span(), "config.wrong-type", message);
            }
            continue;
        }
        let mergeable = is_map(key.get_ref()) && node.get_ref().is_table();
        match root.get_mut(key.get_ref().as_ref()) {
            Some(there) if mergeable && there.get_ref().is_table() => {
                objects(&key, there, node, report);
            }
            Some(_) => twice(&format!("[{}]", key.get_ref()), &key, root, report),
            None => {
                root.insert(key, node);
            }
        }
    }
}

/// Adds the named objects of one file's table to those of the files before it.
fn objects<'i>(kind: &Key<'i>, there: &mut Node<'i>, node: Node<'i>, report: &mut Report) {
    let (DeValue::Table(there), DeValue::Table(table)) = (there.get_mut(), node.into_inner())
    else {
        return;
    };
    for (name, object) in table {
        if there.contains_key(name.get_ref().as_ref()) {
            let shown = format!("[{}.{}]", kind.get_ref(), name.get_ref());
            twice(&shown, &name, there, report);
        } else {
            there.insert(name, object);
        }
    }
}

fn twice(shown: &str, key: &Key<'_>, table: &DeTable<'_>, report: &mut Report) {
    let first = table
        .get_key_value(key.get_ref().as_ref())
        .map(|(first, _)| Spanned::span(first));
    let complaint = report.error(
        key.span(),
        "config.defined-twice",
        format!("{shown} is defined twice"),
    );
    complaint.label("the second time");
    if let Some(first) = first {
        complaint.related(first, "the first time");
    }
    complaint.help("rename or remove one of the two");
}
