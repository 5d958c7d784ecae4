//! Texts of the configuration with values of the request in braces: `"/v2/{path.id}"`.
//!
//! Whatever a client sent is percent-encoded for the place it lands in, so that it can end neither a header line nor a
//! path segment nor a query parameter, and a path cannot be climbed: a value that would make an empty segment or a
//! `.` or `..` is an error.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::ops::Range;
use std::str::FromStr;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use super::leaf::LeafError;
use super::value::{Value, ValueError};
use super::view::RequestView;
use crate::leaf;

/// A text, parts of which come from the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Box<[Part]>,
}

leaf!(
    Template,
    "template",
    "a text that may hold values of the request: \"/v2/{path.id}\"; `{{` is a literal brace"
);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Value {
        value: Value,
        /// Whether a `?` stands before it: then it lands in a query, also where the whole text is a path.
        after_question: bool,
    },
}

/// Where a rendered text is put, which decides what must be percent-encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A header's value: visible ASCII and spaces stay.
    Header,
    /// A path of which each value is one segment: `/` is encoded. Values after a `?` are treated as `Query`.
    PathSegment,
    /// A path in which a value may be several segments: `/` stays. Values after a `?` are treated as `Query`.
    Path,
    /// A query: `&`, `=`, `+` and `#` are encoded.
    Query,
    /// A host name.
    Host,
}

/// RFC 3986 `unreserved`, in any place.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// RFC 3986 `pchar`, but not `;`, which some servers read as the start of parameters.
const SEGMENT: &AsciiSet = &UNRESERVED
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');
const PATH: &AsciiSet = &SEGMENT.remove(b'/');
const QUERY: &AsciiSet = &UNRESERVED
    .remove(b'/')
    .remove(b':')
    .remove(b'@')
    .remove(b',');

impl Template {
    /// The values it needs, in the order of the text.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.parts.iter().filter_map(|part| match part {
            Part::Value { value, .. } => Some(value),
            Part::Text(_) => None,
        })
    }

    /// The parts that do not come from the request.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(text) => Some(&**text),
            Part::Value { .. } => None,
        })
    }

    /// The whole text, if it holds no value.
    pub fn literal(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Whether a value comes first.
    pub fn starts_with_value(&self) -> bool {
        matches!(self.parts.first(), Some(Part::Value { .. }))
    }

    /// The text before the first value.
    pub fn literal_start(&self) -> &str {
        match self.parts.first() {
            Some(Part::Text(text)) => text,
            Some(Part::Value { .. }) | None => "",
        }
    }

    /// The text with the request's values as they are, to be compared with something: nothing is encoded, so it must not
    /// be sent on. On an error, the value that is to blame.
    pub fn plain(&self, request: &RequestView<'_>) -> Result<Cow<'_, str>, (Value, ValueError)> {
        if let Some(literal) = self.literal() {
            return Ok(Cow::Borrowed(literal));
        }
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value { value, .. } => {
                    let found = request.lookup(value);
                    out.push_str(&found.map_err(|error| (value.clone(), error))?);
                }
            }
        }
        Ok(Cow::Owned(out))
    }

    /// Appends the text with the request's values to `out`. On an error, `out` holds a part of it.
    pub fn render(
        &self,
        request: &RequestView<'_>,
        place: Place,
        out: &mut String,
    ) -> Result<(), ValueError> {
        let is_path = matches!(place, Place::Path | Place::PathSegment);
        let mut values_from = None;
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value {
                    value,
                    after_question: true,
                } if is_path => {
                    encode(&request.lookup(value)?, QUERY, out);
                }
                Part::Value { value, .. } => {
                    values_from.get_or_insert(out.len());
                    let before = out.len();
                    push(request, value, place, out)?;
                    // A rest may be empty: then the request's own path ended here too.
                    let nothing = out.len() == before && !matches!(value, Value::PathPart(_));
                    if is_path && nothing && out.ends_with('/') {
                        return Err(ValueError::NotPath);
                    }
                }
            }
        }
        match values_from.filter(|_| is_path) {
            Some(from) if !is_plain_path(out, from) => Err(ValueError::NotPath),
            _ => Ok(()),
        }
    }
}

fn push(
    request: &RequestView<'_>,
    value: &Value,
    place: Place,
    out: &mut String,
) -> Result<(), ValueError> {
    match (place, value) {
        // From path to path: as it stands, since decoding could turn a kept `%2F` into a separator.
        (Place::Path, Value::PathPart(name)) => out.push_str(request.captured_path(name)?),
        (Place::PathSegment, Value::PathPart(name)) => {
            out.push_str(&request.captured_path(name)?.replace('/', "%2F"));
        }
        // The listener has checked the host; a literal IPv6 address keeps its brackets.
        (Place::Host, Value::Host | Value::HostPart(_)) => out.push_str(&request.lookup(value)?),
        (Place::Header, _) => encode(&request.lookup(value)?, CONTROLS, out),
        (Place::PathSegment, _) => encode(pathworthy(&request.lookup(value)?)?, SEGMENT, out),
        (Place::Path, _) => encode(pathworthy(&request.lookup(value)?)?, PATH, out),
        (Place::Query, _) => encode(&request.lookup(value)?, QUERY, out),
        (Place::Host, _) => encode(&request.lookup(value)?, UNRESERVED, out),
    }
    Ok(())
}

/// What may not come in as a path may not get into one by way of a parameter either: an upstream that decodes before it
/// splits would climb.
fn pathworthy(text: &str) -> Result<&str, ValueError> {
    let odd = text.contains(|c: char| c.is_control() || c == '\\');
    if odd || text.split('/').any(is_dots) {
        return Err(ValueError::NotPath);
    }
    Ok(text)
}

/// Bytes beyond ASCII are encoded in every set.
fn encode(text: &str, set: &'static AsciiSet, out: &mut String) {
    out.extend(utf8_percent_encode(text, set));
}

/// Whether no segment that holds a value, nor one after it, is empty or made of dots.
fn is_plain_path(text: &str, values_from: usize) -> bool {
    let (before, _) = text.split_at_checked(values_from).unwrap_or((text, ""));
    let start = before.rfind('/').map_or(0, |slash| slash + 1);
    let rest = text.get(start..).unwrap_or_default();
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    let last = path.rsplit('/').next().unwrap_or_default();
    let inner = path.strip_suffix(last).unwrap_or_default();
    !is_dots(last)
        && !inner
            .split_terminator('/')
            .any(|segment| segment.is_empty() || is_dots(segment))
}

fn is_dots(segment: &str) -> bool {
    segment == "." || segment == ".."
}

impl FromStr for Template {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let mut reader = Reader {
            text,
            parts: Vec::new(),
            literal: String::new(),
            after_question: false,
        };
        let mut from = 0;
        while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
            from += reader.next(rest, from)?;
        }
        reader.flush();
        Ok(Self {
            parts: reader.parts.into(),
        })
    }
}

struct Reader<'a> {
    text: &'a str,
    parts: Vec<Part>,
    literal: String,
    after_question: bool,
}

impl Reader<'_> {
    /// Reads one piece and says how long it is.
    fn next(&mut self, rest: &str, from: usize) -> Result<usize, LeafError> {
        let brace = |range: Range<usize>, message: &str, help: &str| {
            Err(LeafError::new(message).help(help).at(range))
        };
        if rest.starts_with("{{") || rest.starts_with("}}") {
            self.literal.extend(rest.chars().next());
            return Ok(2);
        }
        if rest.starts_with('}') {
            return brace(
                from..from + 1,
                "this `}` closes nothing",
                "write `}}` for a literal brace",
            );
        }
        let Some(open) = rest.strip_prefix('{') else {
            let literal = rest.find(['{', '}']).unwrap_or(rest.len());
            self.literal
                .push_str(rest.get(..literal).unwrap_or_default());
            return Ok(literal);
        };
        let Some(length) = open.find('}') else {
            return brace(
                from..self.text.len(),
                "this `{` is never closed",
                "write `{{` for a literal brace",
            );
        };
        let name = open.get(..length).unwrap_or_default();
        self.value(name, from + 1)?;
        Ok(length + 2)
    }

    fn value(&mut self, name: &str, from: usize) -> Result<(), LeafError> {
        self.flush();
        let value = name.parse::<Value>().map_err(|error| {
            let at = error.at.clone().unwrap_or(0..name.len());
            error.at(from + at.start..from + at.end)
        })?;
        self.parts.push(Part::Value {
            value,
            after_question: self.after_question,
        });
        Ok(())
    }

    fn flush(&mut self) {
        if !self.literal.is_empty() {
            self.after_question |= self.literal.contains('?');
            let text = std::mem::take(&mut self.literal);
            self.parts.push(Part::Text(text.into()));
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Text(text) => text.chars().try_for_each(|c| match c {
                    '{' => f.write_str("{{"),
                    '}' => f.write_str("}}"),
                    other => f.write_char(other),
                })?,
                Part::Value { value, .. } => write!(f, "{{{value}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
