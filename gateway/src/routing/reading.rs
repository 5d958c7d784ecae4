//! Reads what a condition asks about out of a head: at most one value, or "said twice".
//!
//! Every form of a name counts as that name, so that no spelling slips past a condition which the
//! upstream would read as the same parameter.

use std::borrow::Cow;

use http::header::COOKIE;
use percent_encoding::percent_decode;

use super::RouteRequest;
use super::pattern::{Condition, ConditionSource};

/// What the request says.
pub(super) enum Reading<'a> {
    Missing,
    One(Cow<'a, [u8]>),
    /// Whoever reads the first and whoever reads the last would disagree.
    Repeated,
}

impl Condition {
    /// Whether a request meets it; `None` when the request says the value more than once.
    pub fn meets(&self, request: &RouteRequest<'_>) -> Option<bool> {
        match read(self, request) {
            Reading::Missing => Some(self.test().accepts(None)),
            Reading::One(value) => Some(self.test().accepts(Some(&value))),
            Reading::Repeated => None,
        }
    }
}

/// Reads the value that the condition is about.
pub(super) fn read<'a>(condition: &Condition, request: &RouteRequest<'a>) -> Reading<'a> {
    match condition.source() {
        ConditionSource::Header => match condition.header() {
            Some(name) => {
                let values = request.headers.get_all(name).iter();
                one(values.map(|value| Cow::Borrowed(value.as_bytes())))
            }
            None => Reading::Missing,
        },
        ConditionSource::Query => {
            let name = condition.name().as_bytes();
            let found = parameters(request.query.unwrap_or_default())
                .filter(|(key, _)| form_decode(key).as_ref() == name);
            one(found.map(|(_, value)| form_decode(value)))
        }
        ConditionSource::Cookie => {
            let name = condition.name().as_bytes();
            // HTTP/2 may split the cookies over several fields (RFC 9113 section 8.2.3).
            let fields = request.headers.get_all(COOKIE).iter();
            let found = fields.flat_map(|field| cookies(field.as_bytes()));
            one(found
                .filter(|(key, _)| *key == name)
                .map(|(_, value)| Cow::Borrowed(value)))
        }
    }
}

fn one<'a>(mut values: impl Iterator<Item = Cow<'a, [u8]>>) -> Reading<'a> {
    match (values.next(), values.next()) {
        (None, _) => Reading::Missing,
        (Some(value), None) => Reading::One(value),
        (Some(_), Some(_)) => Reading::Repeated,
    }
}

/// Name and value of each parameter, still encoded; a name without `=` has an empty value.
fn parameters(query: &str) -> impl Iterator<Item = (&[u8], &[u8])> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name.as_bytes(), value.as_bytes())
    })
}

/// `%XX` is a byte, `+` is a space, a `%` that begins no escape is itself (WHATWG URL section 5.1).
fn form_decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let spaced: Vec<u8> = text
        .iter()
        .map(|&byte| if byte == b'+' { b' ' } else { byte })
        .collect();
    Cow::Owned(percent_decode(&spaced).collect())
}

/// Name and value of each cookie as sent (RFC 6265 section 4.2.1); what has no `=` is no cookie.
fn cookies(field: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    field.split(|byte| *byte == b';').filter_map(|pair| {
        let pair = pair.trim_ascii();
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = pair.split_at_checked(at)?;
        Some((name.trim_ascii_end(), value.get(1..)?.trim_ascii_start()))
    })
}
