//! A report for people: the lines it speaks of, with carets; or for programs: JSON.
//!
//! Text that may be a secret is shown as asterisks.

use std::borrow::Cow;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use plugins::contract::place::Span;
use plugins::contract::report::{Complaint, Report, Severity};
use serde_json::{Value, json};

use super::count;
use super::source::{SourceFile, SourceMap};

/// Whether escape sequences may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// To a terminal that wants colour.
    Yes,
    /// To anything else.
    No,
}

/// Writes all complaints, and a line that counts them. Empty if there are none.
pub fn text(report: &Report, sources: &SourceMap, colour: Colour) -> String {
    let renderer = match colour {
        Colour::Yes => Renderer::styled(),
        Colour::No => Renderer::plain(),
    }
    .decor_style(DecorStyle::Ascii);
    let mut written = String::new();
    for complaint in report.complaints() {
        written.push_str(&renderer.render(&groups(complaint, sources)));
        written.push_str("\n\n");
    }
    if let Some(summary) = summary(report, sources) {
        written.push_str(&summary);
        written.push('\n');
    }
    written
}

/// "5 errors, 1 warning in gateway.toml"
pub fn summary(report: &Report, sources: &SourceMap) -> Option<String> {
    let several = |number: usize, word: &str| match number {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{number} {word}s")),
    };
    let parts: Vec<String> = [
        several(count(report, Severity::Error), "error"),
        several(count(report, Severity::Warning), "warning"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if parts.is_empty() {
        return None;
    }
    let place = match sources.files() {
        [] => String::new(),
        [only] => format!(" in {}", only.name()),
        [first, rest @ ..] => format!(
            " in {} and {}",
            first.name(),
            several(rest.len(), "more file")?
        ),
    };
    Some(format!("{}{place}", parts.join(", ")))
}

/// The same as data: an array of complaints.
pub fn json(report: &Report, sources: &SourceMap) -> Value {
    let complaints = report.complaints().iter();
    Value::Array(
        complaints
            .map(|complaint| as_json(complaint, sources))
            .collect(),
    )
}

fn groups<'a>(complaint: &'a Complaint, sources: &'a SourceMap) -> Vec<Group<'a>> {
    let level = match complaint.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(complaint.message.as_str());
    let mut group = Group::with_title(title.id(complaint.code));
    for file in files(complaint, sources) {
        group = group.element(snippet(file, complaint, sources));
    }
    if let Some(help) = &complaint.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    vec![group]
}

/// The files that a complaint speaks of, its own first.
fn files<'a>(complaint: &Complaint, sources: &'a SourceMap) -> Vec<&'a SourceFile> {
    let mut found: Vec<&SourceFile> = Vec::new();
    let related = complaint.related.iter().map(|(span, _)| span);
    // A complaint without a file of its own is shown by its sentence alone.
    for span in complaint
        .span
        .iter()
        .filter(|span| is_place(span))
        .chain(related)
    {
        let Some(file) = sources.file(span.start) else {
            continue;
        };
        if !found.iter().any(|other| other.base() == file.base()) {
            found.push(file);
        }
    }
    found
}

fn snippet<'a>(
    file: &'a SourceFile,
    complaint: &'a Complaint,
    sources: &'a SourceMap,
) -> Snippet<'a, Annotation<'a>> {
    let own = complaint
        .span
        .iter()
        .map(|span| (AnnotationKind::Primary, span, &complaint.label));
    let related = complaint.related.iter();
    let related = related.map(|(span, label)| (AnnotationKind::Context, span, label));
    let here: Vec<(AnnotationKind, Range<usize>, &String)> = own
        .chain(related)
        .filter(|(_, span, _)| is_in(file, span, sources))
        .map(|(kind, span, label)| (kind, one_line(file, span), label))
        .collect();
    let window = window(file.text(), here.iter().map(|(_, span, _)| span));
    let before = file.text().get(..window.start).unwrap_or_default();
    let annotations = here.into_iter().map(|(kind, span, label)| {
        let caret = kind.span(span.start - window.start..span.end - window.start);
        if label.is_empty() {
            caret
        } else {
            caret.label(label.as_str())
        }
    });
    Snippet::source(shown(file, &window, sources))
        .line_start(before.matches('\n').count() + 1)
        .path(file.name())
        .annotations(annotations)
}

fn is_in(file: &SourceFile, span: &Span, sources: &SourceMap) -> bool {
    let holder = sources.file(span.start);
    holder.is_some_and(|holder| holder.base() == file.base())
}

/// The lines that hold all these ranges: a file may be long, and complaints many.
fn window<'r>(text: &str, ranges: impl Iterator<Item = &'r Range<usize>> + Clone) -> Range<usize> {
    let first = ranges.clone().map(|range| range.start).min().unwrap_or(0);
    let last = ranges.map(|range| range.end).max().unwrap_or(0);
    let before = text.get(..first).unwrap_or_default();
    let after = text.get(last..).unwrap_or_default();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    start..last + after.find('\n').unwrap_or(after.len())
}

/// The empty start of everything stands for the configuration as a whole.
fn is_place(span: &Span) -> bool {
    *span != (0..0)
}

/// A table of many lines is pointed at where it starts.
fn one_line(file: &SourceFile, span: &Span) -> Range<usize> {
    let local = file.local(span);
    let written = file.text().get(local.clone()).unwrap_or_default();
    match written.find('\n') {
        Some(end) => {
            local.start..local.start + written.get(..end).map_or(0, |line| line.trim_end().len())
        }
        None => local,
    }
}

/// A part of a file without what may be a secret.
fn shown<'a>(file: &'a SourceFile, window: &Range<usize>, sources: &SourceMap) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(file.text().get(window.clone()).unwrap_or_default());
    for span in sources.hidden() {
        let local = file.local(span);
        let inside = window.start <= local.start && local.end <= window.end;
        if let Some(secret) = file.text().get(local.clone())
            && inside
            && is_in(file, span, sources)
        {
            let part = local.start - window.start..local.end - window.start;
            text.to_mut().replace_range(part, &covered(secret));
        }
    }
    text
}

/// As many bytes in as many lines, quotes kept.
fn covered(secret: &str) -> String {
    let cover = |c: char| match c {
        '"' | '\'' | '\n' => std::iter::repeat_n(c, 1),
        _ => std::iter::repeat_n('*', c.len_utf8()),
    };
    secret.chars().flat_map(cover).collect()
}

fn as_json(complaint: &Complaint, sources: &SourceMap) -> Value {
    let related: Vec<Value> = complaint
        .related
        .iter()
        .map(|(span, label)| {
            let mut object = place(Some(span), sources);
            insert(&mut object, "label", json!(label));
            object
        })
        .collect();
    let mut object = json!({
        "severity": match complaint.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "code": complaint.code,
        "message": complaint.message,
    });
    let span = complaint.span.as_ref().filter(|span| is_place(span));
    if let Value::Object(fields) = place(span, sources) {
        for (key, value) in fields {
            insert(&mut object, &key, value);
        }
    }
    let label = Some(&complaint.label).filter(|label| !label.is_empty());
    insert(&mut object, "label", json!(label));
    insert(&mut object, "help", json!(complaint.help));
    insert(&mut object, "related", Value::Array(related));
    object
}

fn insert(object: &mut Value, key: &str, value: Value) {
    if let Value::Object(fields) = object {
        fields.insert(key.to_owned(), value);
    }
}

/// File, line and column of both ends; the end is the first position that is no longer meant.
fn place(span: Option<&Span>, sources: &SourceMap) -> Value {
    let start = span.and_then(|span| sources.locate(span.start));
    let end = span.and_then(|span| sources.locate(span.end));
    json!({
        "file": start.map(|start| start.file),
        "line": start.map(|start| start.line),
        "column": start.map(|start| start.column),
        "end_line": end.map(|end| end.line),
        "end_column": end.map(|end| end.column),
    })
}
