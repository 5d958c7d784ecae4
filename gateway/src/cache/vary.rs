//! `Vary`: which fields of a request choose among the answers to one URL, and their values in normal form. Pure.

use http::HeaderMap;
use http::header::{self, HeaderName};

use super::directives::members;
use super::key::Key;

/// More names than this are as good as `*`.
const NAMES_MAX: usize = 16;

/// The names in `Vary`, sorted, each once; `None` where no later request can be said to match.
pub fn names(fields: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for line in fields.get_all(header::VARY) {
        for member in line.to_str().ok()?.split(',').map(str::trim) {
            if member.is_empty() {
                continue;
            }
            // `*` is a token and would parse.
            if member.contains('*') {
                return None;
            }
            names.push(member.parse::<HeaderName>().ok()?);
        }
    }
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    names.dedup();
    (names.len() <= NAMES_MAX).then_some(names)
}

/// The values of a request's fields by these names.
pub fn values(fields: &HeaderMap, names: &[HeaderName]) -> Key {
    let mut key = Key::default();
    for name in names {
        let value = fields.contains_key(name).then(|| normal(fields, name));
        key.optional(value.as_deref());
    }
    key
}

/// The value with its lines joined and the space around commas gone; preferences also in lower case and sorted.
fn normal(fields: &HeaderMap, name: &HeaderName) -> Vec<u8> {
    let mut items: Vec<Vec<u8>> = Vec::new();
    let preference = [header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE].contains(name);
    for line in fields.get_all(name) {
        match line.to_str() {
            Ok(text) if preference => items.extend(members(text).map(preferred)),
            Ok(text) => items.extend(members(text).map(|item| item.as_bytes().to_vec())),
            Err(_) => items.push(line.as_bytes().to_vec()),
        }
    }
    if preference {
        items.retain(|item| !item.is_empty());
        items.sort();
    }
    items.join(&b","[..])
}

/// One preference: what has no weight has the weight 1.
fn preferred(item: &str) -> Vec<u8> {
    let mut item: Vec<u8> = item
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .map(|byte| byte.to_ascii_lowercase())
        .collect();
    for full in [&b";q=1"[..], b";q=1.0", b";q=1.00", b";q=1.000"] {
        if let Some(bare) = item.strip_suffix(full) {
            item = bare.to_vec();
            break;
        }
    }
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in pairs {
            fields.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        fields
    }

    fn same(name: &str, one: &[&str], other: &[&str]) -> bool {
        let of = |values: &[&str]| {
            let pairs: Vec<_> = values.iter().map(|value| (name, *value)).collect();
            super::values(&fields(&pairs), &[name.parse().unwrap()])
        };
        of(one) == of(other)
    }

    #[test]
    fn a_star_anywhere_matches_nothing() {
        for lines in [
            &["*"][..],
            &["*, *"],
            &["", "*"],
            &["*, foo"],
            &["foo", "*"],
            &["foo*"],
        ] {
            let pairs: Vec<_> = lines.iter().map(|line| ("vary", *line)).collect();
            assert_eq!(names(&fields(&pairs)), None, "{lines:?}");
        }
        let found = names(&fields(&[("vary", "B, a"), ("vary", "b")])).unwrap();
        assert_eq!(found, ["a", "b"]);
    }

    #[test]
    fn values_are_compared_in_normal_form() {
        assert!(same("foo", &["1, 2"], &["1,2"]));
        assert!(same("foo", &["1", "2"], &["1, 2"]));
        assert!(!same("foo", &["1, 2"], &["2, 1"]));
        assert!(!same("foo", &["\"1, 2\""], &["\"1,2\""]));
        assert!(!same("foo", &[""], &[]));
        assert!(same(
            "accept-language",
            &["en, de;q=0.5"],
            &["DE; q=0.5,en"]
        ));
        assert!(same("accept-encoding", &["gzip, br"], &["br;q=1.0, gzip"]));
        assert!(!same("accept-encoding", &["gzip"], &["gzip;q=0"]));
    }
}
