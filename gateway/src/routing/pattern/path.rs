//! The path of a route: literal segments, parameters, and perhaps the rest.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{CaptureKind, PatternError, placeholder};
use crate::routing::path::{PathPolicy, normalise};

/// The most segments that a pattern may have: the search descends once for each.
const SEGMENTS_MAX: usize = 64;

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// Exactly this text, in normal form; an empty last one is a trailing slash.
    Literal(String),
    /// Any one segment that is not empty.
    Param(Option<String>),
    /// Whatever follows, nothing included. Always last.
    Rest(Option<String>),
}

/// A path pattern. Never empty: `/` is one empty literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    segments: Vec<Segment>,
}

impl PathPattern {
    /// Reads `/orders/{id}`, `/files/{path*}`, `/a/**`, `/*/b`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let Some(path) = text.strip_prefix('/') else {
            let error = PatternError::new(0..text.len(), "a path starts with /");
            return Err(error.help(format!("write /{text}")));
        };
        if let Some(at) = text.find(['?', '#']) {
            let error = PatternError::new(at..text.len(), "a path has no query and no fragment");
            return Err(error.help("write { path = \"…\", query = { name = \"value\" } }"));
        }
        let mut segments = Vec::new();
        let mut at = 1;
        for part in path.split('/') {
            let here = at..at + part.len();
            at = here.end + 1;
            if matches!(segments.last(), Some(Segment::Rest(_))) {
                let error =
                    PatternError::new(here.start - 1..text.len(), "nothing can follow the rest");
                return Err(error.help("write * or {name} where one segment is meant"));
            }
            let is_last = here.end == text.len();
            let segment = parse_segment(part, is_last);
            segments.push(segment.map_err(|error| error.shifted(here.start))?);
        }
        if segments.len() > SEGMENTS_MAX {
            let message = format!("a path has at most {SEGMENTS_MAX} segments");
            return Err(PatternError::new(0..text.len(), message));
        }
        Ok(Self { segments })
    }

    /// The steps, from left to right.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The names captured, from left to right.
    pub fn captures(&self) -> impl Iterator<Item = (CaptureKind, &str)> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Param(Some(name)) => Some((CaptureKind::Path, name.as_str())),
            Segment::Rest(Some(name)) => Some((CaptureKind::PathRest, name.as_str())),
            Segment::Literal(_) | Segment::Param(None) | Segment::Rest(None) => None,
        })
    }
}

fn parse_segment(part: &str, is_last: bool) -> Result<Segment, PatternError> {
    match part {
        "*" => return Ok(Segment::Param(None)),
        "**" => return Ok(Segment::Rest(None)),
        "" if !is_last => {
            let error = PatternError::new(0..0, "a path has no empty segment");
            return Err(error.help("requests with // are matched as if they had one /"));
        }
        _ => {}
    }
    if let Some(name) = part.strip_suffix("*}").filter(|name| name.starts_with('{')) {
        let name = placeholder(&format!("{name}}}"))
            .transpose()?
            .map(str::to_owned);
        return Ok(Segment::Rest(name));
    }
    if let Some(name) = placeholder(part) {
        return Ok(Segment::Param(Some(name?.to_owned())));
    }
    if part.contains(['*', '{', '}']) {
        let error = PatternError::new(0..part.len(), "a parameter is a whole segment");
        return Err(error.help("write {name} or * between two slashes"));
    }
    literal(part)
}

/// A literal must be what normalisation makes of it, or no request would ever equal it.
fn literal(part: &str) -> Result<Segment, PatternError> {
    let at = 0..part.len();
    if matches!(part, "." | "..") {
        let error = PatternError::new(at, "dot segments are resolved before matching");
        return Err(error.help("write the path that they lead to"));
    }
    if !part.is_ascii() || part.contains(' ') {
        let error = PatternError::new(at, "this path can only come percent-encoded");
        return Err(error.help(format!("write {}", encoded(part))));
    }
    let whole = format!("/{part}");
    match normalise(&whole, PathPolicy::LENIENT) {
        Ok(normal) if normal == whole => Ok(Segment::Literal(part.to_owned())),
        Ok(normal) => {
            let error = PatternError::new(at, "this path never comes in this form");
            Err(error.help(format!("write {}", normal.trim_start_matches('/'))))
        }
        Err(refusal) => {
            let message = format!("requests with such a path are refused: {refusal}");
            Err(PatternError::new(at, message))
        }
    }
}

fn encoded(part: &str) -> String {
    const PLAIN: AsciiSet = CONTROLS.add(b' ');
    utf8_percent_encode(part, &PLAIN).to_string()
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments
            .iter()
            .try_for_each(|segment| write!(f, "/{segment}"))
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::Param(Some(name)) => write!(f, "{{{name}}}"),
            Self::Param(None) => f.write_str("*"),
            Self::Rest(Some(name)) => write!(f, "{{{name}*}}"),
            Self::Rest(None) => f.write_str("**"),
        }
    }
}
