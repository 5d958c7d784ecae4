//! The normal form of a request path: what routes match and what upstreams receive.
//!
//! Trusts nothing but that the query has been cut off. Promises that the output starts with `/`, holds
//! no dot segment, no empty segment but the last, no decodable or lower-case escape, and that
//! normalising it again changes nothing. Allocates only when something changes.

use std::borrow::Cow;
use std::fmt;

mod escapes;

/// What to do with something that is legal in a path but dangerous behind a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tolerance {
    /// Answer 400.
    #[default]
    Refuse,
    /// Match and forward it as it came.
    Keep,
}

/// A listener's two choices about paths (`encoded-slash`, `path-params`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PathPolicy {
    /// `%2F`: a slash for some upstreams, a letter for others.
    pub encoded_slash: Tolerance,
    /// `;params`, also written `%3B`: some upstreams cut them off before they look at the path.
    pub path_params: Tolerance,
}

impl PathPolicy {
    /// Keeps whatever a listener may keep: for texts that are checked before any listener is known.
    pub const LENIENT: Self = Self {
        encoded_slash: Tolerance::Keep,
        path_params: Tolerance::Keep,
    };
}

/// Why a path was refused with 400.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathRefusal {
    /// It does not start with `/`.
    NotAbsolute,
    /// A byte that no path may hold: space, `?`, `#`, or anything outside ASCII.
    IllegalByte,
    /// A control byte, plain or encoded; NUL among them.
    Control,
    /// `\` or `%5C`: a slash for some upstreams.
    Backslash,
    /// `%` that two hexadecimal digits do not follow.
    MalformedEscape,
    /// `%25` followed by two hexadecimal digits: an escape for whoever decodes twice.
    DoubleEscape,
    /// The escapes do not decode to UTF-8.
    InvalidUtf8,
    /// `%2F` where the listener refuses it.
    EncodedSlash,
    /// `;` or `%3B` where the listener refuses it.
    PathParams,
    /// A dot segment behind a kept `%2F` or before a kept `;`: it would move whoever decodes later.
    HiddenDots,
    /// More `..` than segments before them.
    AboveRoot,
}

impl PathRefusal {
    /// The stable code for problem answers, logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotAbsolute => "path.not-absolute",
            Self::IllegalByte => "path.illegal-byte",
            Self::Control => "path.control-byte",
            Self::Backslash => "path.backslash",
            Self::MalformedEscape => "path.malformed-escape",
            Self::DoubleEscape => "path.double-escape",
            Self::InvalidUtf8 => "path.invalid-utf8",
            Self::EncodedSlash => "path.encoded-slash",
            Self::PathParams => "path.params",
            Self::HiddenDots => "path.hidden-dots",
            Self::AboveRoot => "path.above-root",
        }
    }
}

impl fmt::Display for PathRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "the path does not start with /",
            Self::IllegalByte => "the path holds a byte that must be percent-encoded",
            Self::Control => "the path holds a control byte",
            Self::Backslash => "the path holds a backslash",
            Self::MalformedEscape => "the path holds a % that two hexadecimal digits do not follow",
            Self::DoubleEscape => "the path holds an escaped escape (%25xx)",
            Self::InvalidUtf8 => "the path does not decode to UTF-8",
            Self::EncodedSlash => "the path holds an encoded slash (%2F)",
            Self::PathParams => "the path holds parameters (;)",
            Self::HiddenDots => "the path hides a dot segment behind %2F or ;",
            Self::AboveRoot => "the path climbs above the root",
        })
    }
}

impl std::error::Error for PathRefusal {}

/// Brings a path (without its query) into normal form, or says why it must be refused.
pub fn normalise(raw: &str, policy: PathPolicy) -> Result<Cow<'_, str>, PathRefusal> {
    if raw.is_empty() {
        // `GET http://host` has an empty path, which means the root (RFC 9110 section 4.2.3).
        return Ok(Cow::Borrowed("/"));
    }
    if !raw.starts_with('/') {
        return Err(PathRefusal::NotAbsolute);
    }
    if is_plain(raw.as_bytes()) {
        return Ok(Cow::Borrowed(raw));
    }
    let unescaped = escapes::settle(raw, policy)?;
    if escapes::has_double(&unescaped) {
        return Err(PathRefusal::DoubleEscape);
    }
    if hides_dots(&unescaped) {
        return Err(PathRefusal::HiddenDots);
    }
    if needs_no_climbing(&unescaped) {
        return Ok(unescaped);
    }
    resolve_dots(&unescaped).map(Cow::Owned)
}

/// Whether nothing in the path can need a second look: the one loop that most requests run.
fn is_plain(raw: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in raw {
        let after_slash = previous == b'/';
        let suspicious = match byte {
            b'/' | b'.' => after_slash,
            b'%' | b';' | b'\\' | b'?' | b'#' => true,
            other => !other.is_ascii_graphic(),
        };
        if suspicious {
            return false;
        }
        previous = byte;
    }
    true
}

/// The segments behind the leading slash; a trailing slash gives an empty last one.
fn segments(path: &str) -> std::str::Split<'_, char> {
    path.strip_prefix('/').unwrap_or(path).split('/')
}

fn needs_no_climbing(path: &str) -> bool {
    let clean = !segments(path).any(|segment| matches!(segment, "." | ".."));
    clean && !path.contains("//")
}

/// Dot segments that only a later decoder would see: `..%2Fadmin`, `..;x`.
fn hides_dots(path: &str) -> bool {
    let kept = path.contains(';') || path.contains("%2F") || path.contains("%3B");
    kept && segments(path)
        .filter(|segment| !matches!(*segment, "." | ".."))
        .any(|segment| {
            segment.split("%2F").any(|part| {
                let name = part
                    .split(';')
                    .next()
                    .and_then(|part| part.split("%3B").next());
                matches!(name, Some("." | ".."))
            })
        })
}

/// Collapses slashes, then resolves dot segments (RFC 3986 section 5.2.4), refusing to climb out.
fn resolve_dots(path: &str) -> Result<String, PathRefusal> {
    let mut out = String::with_capacity(path.len());
    let mut ends_in_directory = false;
    for segment in segments(path) {
        ends_in_directory = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                let parent = out.rfind('/').ok_or(PathRefusal::AboveRoot)?;
                out.truncate(parent);
            }
            name => {
                out.push('/');
                out.push_str(name);
            }
        }
    }
    if ends_in_directory {
        out.push('/');
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
