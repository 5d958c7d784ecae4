//! A condition on a header, a query parameter or a cookie.

use std::fmt;

use http::{HeaderName, HeaderValue};
use regex::bytes::Regex;

use super::PatternError;

/// Which part of the head a condition reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConditionSource {
    /// A header field; its name has no case.
    Header,
    /// A query parameter, read as forms are written: escapes decoded, `+` is a space.
    Query,
    /// A cookie, read as it was sent (RFC 6265 section 4.2.1): nothing decoded, quotes kept.
    Cookie,
}

/// What the value must be.
#[derive(Debug, Clone)]
pub enum ConditionTest {
    /// There, whatever it says.
    Present,
    /// Not there.
    Absent,
    /// Exactly this.
    Exact(String),
    /// Matched by this expression from its beginning to its end.
    Regex {
        /// As written, without `~`.
        text: String,
        /// The same, anchored.
        regex: Regex,
    },
}

/// One condition of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    source: ConditionSource,
    name: String,
    header: Option<HeaderName>,
    test: ConditionTest,
}

/// Which of a condition's two texts is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// The key: no such header, parameter or cookie can exist.
    #[error("{0}")]
    Name(PatternError),
    /// The value: no such test.
    #[error("{0}")]
    Test(PatternError),
}

impl Condition {
    /// Reads `"*"` (present), `"!"` (absent), `"~regex"` (anchored) or a literal.
    pub fn parse(source: ConditionSource, name: &str, test: &str) -> Result<Self, ConditionError> {
        let test = match test {
            "*" => ConditionTest::Present,
            "!" => ConditionTest::Absent,
            _ => match test.strip_prefix('~') {
                Some(expression) => regex(expression).map_err(ConditionError::Test)?,
                None => return Self::exact(source, name, test),
            },
        };
        Self::new(source, name, test)
    }

    /// A literal, whatever it looks like: the `{ exact = "~literal" }` form.
    pub fn exact(source: ConditionSource, name: &str, text: &str) -> Result<Self, ConditionError> {
        if source == ConditionSource::Header && HeaderValue::from_str(text).is_err() {
            let error = PatternError::new(0..text.len(), "no header can hold this value");
            return Err(ConditionError::Test(error));
        }
        Self::new(source, name, ConditionTest::Exact(text.to_owned()))
    }

    fn new(
        source: ConditionSource,
        name: &str,
        test: ConditionTest,
    ) -> Result<Self, ConditionError> {
        let bad = |message: String| ConditionError::Name(PatternError::new(0..name.len(), message));
        if name.is_empty() {
            return Err(bad(format!("the {source} has no name")));
        }
        if source == ConditionSource::Header && name.contains('_') {
            let error =
                PatternError::new(0..name.len(), "headers with _ in their name are dropped");
            return Err(ConditionError::Name(
                error.help(format!("write {}", name.replace('_', "-"))),
            ));
        }
        let token = HeaderName::from_bytes(name.as_bytes());
        let header = match source {
            ConditionSource::Query => None,
            // A cookie's name is a token too, but its case counts.
            ConditionSource::Cookie => {
                token.map_err(|_| bad(format!("\"{name}\" cannot name a cookie")))?;
                None
            }
            ConditionSource::Header => {
                Some(token.map_err(|_| bad(format!("\"{name}\" cannot name a header")))?)
            }
        };
        let name = header.as_ref().map_or(name, HeaderName::as_str).to_owned();
        Ok(Self {
            source,
            name,
            header,
            test,
        })
    }

    /// What it reads.
    pub const fn source(&self) -> ConditionSource {
        self.source
    }

    /// The name of what it reads; of a header, in lower case.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it asks.
    pub const fn test(&self) -> &ConditionTest {
        &self.test
    }

    /// The header it reads, if it reads one.
    pub(in crate::routing) const fn header(&self) -> Option<&HeaderName> {
        self.header.as_ref()
    }

    /// Whether both read the same value.
    pub(in crate::routing) fn same_key(&self, other: &Self) -> bool {
        self.source == other.source && self.name == other.name
    }
}

impl ConditionTest {
    /// Whether a value (none: it is not there) passes.
    pub(in crate::routing) fn accepts(&self, value: Option<&[u8]>) -> bool {
        match (self, value) {
            (Self::Present, Some(_)) | (Self::Absent, None) => true,
            (Self::Exact(text), Some(value)) => text.as_bytes() == value,
            (Self::Regex { regex, .. }, Some(value)) => regex.is_match(value),
            (Self::Absent, Some(_))
            | (Self::Present | Self::Exact(_) | Self::Regex { .. }, None) => false,
        }
    }

    /// The only value that passes, if there is only one.
    pub(in crate::routing) fn literal(&self) -> Option<&str> {
        match self {
            Self::Exact(text) => Some(text),
            Self::Present | Self::Absent | Self::Regex { .. } => None,
        }
    }

    /// Whether certainly no value passes both tests.
    pub(in crate::routing) fn disjoint(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Absent, other) | (other, Self::Absent) => !matches!(other, Self::Absent),
            (Self::Exact(literal), other) | (other, Self::Exact(literal)) => {
                !other.accepts(Some(literal.as_bytes()))
            }
            // Two expressions may always share a value, as far as we can tell.
            (Self::Present | Self::Regex { .. }, Self::Present | Self::Regex { .. }) => false,
        }
    }
}

impl PartialEq for ConditionTest {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Present, Self::Present) | (Self::Absent, Self::Absent) => true,
            (Self::Exact(a), Self::Exact(b))
            | (Self::Regex { text: a, .. }, Self::Regex { text: b, .. }) => a == b,
            _ => false,
        }
    }
}

fn regex(text: &str) -> Result<ConditionTest, PatternError> {
    // Alone first, so that "a)(b" cannot close our group.
    let anchored = Regex::new(text).and_then(|_| Regex::new(&format!(r"\A(?:{text})\z")));
    match anchored {
        Ok(regex) => Ok(ConditionTest::Regex {
            text: text.to_owned(),
            regex,
        }),
        Err(error) => {
            let message = format!("this is not a regular expression: {}", last_line(&error));
            Err(PatternError::new(0..text.len() + 1, message))
        }
    }
}

/// The sentence of a many-line complaint; the picture above it repeats the text.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

impl fmt::Display for ConditionSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Query => "query",
            Self::Cookie => "cookie",
        })
    }
}

impl fmt::Display for ConditionTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("\"*\""),
            Self::Absent => f.write_str("\"!\""),
            Self::Exact(text) if text == "*" || text == "!" || text.starts_with('~') => {
                write!(f, "{{ exact = {text:?} }}")
            }
            Self::Exact(text) => write!(f, "{text:?}"),
            Self::Regex { text, .. } => write!(f, "\"~{text}\""),
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} = {}", self.source, self.name, self.test)
    }
}
