//! Types of content: what a configuration allows and what a request declares (RFC 9110 section 8.3).

use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, header};

use crate::contract::leaf::LeafError;
use crate::leaf;

/// One type, `"application/json"`, or all of a kind, `"image/*"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRange {
    kind: Box<str>,
    /// `None` for `*`.
    subtype: Option<Box<str>>,
}

leaf!(
    MediaRange,
    "media-range",
    "a type of content: \"application/json\", \"image/*\""
);

/// What a head says of its content's type.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Declared<'a> {
    /// Nothing that could be read as a type.
    Nothing,
    /// One type, without parameters, as it was written.
    One(&'a str),
    /// More than one, in several fields or in one.
    Several,
}

impl MediaRange {
    /// Whether a type, written in any case, is in the range.
    pub fn holds(&self, essence: &str) -> bool {
        essence.split_once('/').is_some_and(|(kind, subtype)| {
            self.kind.eq_ignore_ascii_case(kind)
                && self
                    .subtype
                    .as_deref()
                    .is_none_or(|own| own.eq_ignore_ascii_case(subtype))
        })
    }
}

impl FromStr for MediaRange {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let wrong = || LeafError::new(format!("`{text}` is not a type of content"));
        if let Some((essence, _)) = text.split_once(';') {
            let help = format!("parameters do not matter; write \"{}\"", essence.trim());
            return Err(wrong().help(help));
        }
        let example = "write \"application/json\" or \"image/*\"";
        let (kind, subtype) = text.split_once('/').ok_or_else(|| wrong().help(example))?;
        if kind == "*" {
            return Err(wrong().help("leave `content-types` out to allow every type"));
        }
        if !is_token(kind) || !(is_token(subtype)) || (subtype.contains('*') && subtype != "*") {
            return Err(wrong().help(example));
        }
        Ok(Self {
            kind: kind.to_ascii_lowercase().into(),
            subtype: (subtype != "*").then(|| subtype.to_ascii_lowercase().into()),
        })
    }
}

impl fmt::Display for MediaRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}",
            self.kind,
            self.subtype.as_deref().unwrap_or("*")
        )
    }
}

/// Reads the type that a head declares.
pub(super) fn declared(headers: &HeaderMap) -> Declared<'_> {
    let mut fields = headers.get_all(header::CONTENT_TYPE).iter();
    let (first, second) = (fields.next(), fields.next());
    if second.is_some() {
        return Declared::Several;
    }
    let Some(text) = first.and_then(|value| value.to_str().ok()) else {
        return Declared::Nothing;
    };
    if has_bare_comma(text) {
        return Declared::Several;
    }
    let essence = text.split(';').next().unwrap_or_default().trim();
    match essence.split_once('/') {
        Some((kind, subtype)) if is_token(kind) && is_token(subtype) => Declared::One(essence),
        _ => Declared::Nothing,
    }
}

/// Some servers take the last of several types in one field, so a comma outside quotes is a second type.
fn has_bare_comma(text: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b',' if !quoted => return true,
            _ => {}
        }
    }
    // A quote that is never closed hides what follows from us, perhaps not from the upstream.
    quoted && text.contains(',')
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_TYPE, value.parse().unwrap());
        }
        format!("{:?}", declared(&headers))
    }

    #[test]
    fn reads_one_type_and_refuses_several() {
        assert_eq!(
            of(&["application/json; charset=\"a,b\""]),
            "One(\"application/json\")"
        );
        assert_eq!(of(&["text/plain"]), "One(\"text/plain\")");
        for nothing in ["", "json", "/", "a b/c", "a/b/c"] {
            assert_eq!(of(&[nothing]), "Nothing", "{nothing:?}");
        }
        assert_eq!(of(&["text/plain", "text/plain"]), "Several");
        for several in [
            "text/plain, a/b",
            "text/plain;x=1,a/b",
            "text/plain;x=\"1,a/b",
        ] {
            assert_eq!(of(&[several]), "Several", "{several:?}");
        }
    }

    #[test]
    fn a_range_holds_its_types_in_any_case() {
        let range = |text: &str| text.parse::<MediaRange>().unwrap();
        assert!(range("Application/JSON").holds("application/Json"));
        assert!(range("image/*").holds("IMAGE/png"));
        assert!(!range("image/*").holds("imag/png"));
        assert!(!range("application/json").holds("application/jsonp"));
    }

    #[test]
    fn refuses_what_is_no_range() {
        let help = |text: &str| text.parse::<MediaRange>().unwrap_err().help.unwrap();
        assert_eq!(
            help("text/plain; charset=utf-8"),
            "parameters do not matter; write \"text/plain\""
        );
        assert_eq!(help("*/*"), "leave `content-types` out to allow every type");
        for text in ["", "json", "a/", "/b", "a/*b", "a/b/c"] {
            assert!(text.parse::<MediaRange>().is_err(), "{text:?}");
        }
    }
}
