//! What a trusted proxy says of the URL that its client asked for: upstreams may answer by it, so it is part of the key. From
//! anybody else these fields do not reach an upstream.

use http::header::{self, HeaderMap, HeaderName};

use crate::cache::key::Key;

/// Adds what was said, if anything was.
pub(super) fn add(key: &mut Key, fields: &HeaderMap) {
    let mut names: Vec<&HeaderName> = fields.keys().filter(|name| tells_of_url(name)).collect();
    if names.is_empty() {
        return;
    }
    names.sort_by(|one, other| one.as_str().cmp(other.as_str()));
    // By its length alone it is no other part that may follow here.
    let mut said = Key::default();
    for name in names {
        said.part(name.as_str().as_bytes());
        for value in fields.get_all(name) {
            if *name == header::FORWARDED {
                hosts(&mut said, value.as_bytes());
            } else {
                said.part(value.as_bytes());
            }
        }
    }
    key.part(b"said by a proxy");
    key.part(said.bytes());
}

/// Of the fields that only proxies may send, those that are not about the client or its connection.
fn tells_of_url(name: &HeaderName) -> bool {
    let name = name.as_str();
    match name.strip_prefix("x-forwarded-") {
        Some(rest) => !matches!(rest, "for" | "proto"),
        None => matches!(
            name,
            "forwarded"
                | "x-original-url"
                | "x-rewrite-url"
                | "x-original-host"
                | "x-http-method-override"
        ),
    }
}

/// The hosts that it names (RFC 7239 section 5.3).
fn hosts(said: &mut Key, value: &[u8]) {
    for pair in value.split(|byte| matches!(byte, b',' | b';')) {
        let pair = pair.trim_ascii();
        if let Some((name, host)) = pair.split_at_checked(5)
            && name.eq_ignore_ascii_case(b"host=")
        {
            said.part(&host.to_ascii_lowercase());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pairs: &[(&str, &str)]) -> Key {
        let mut fields = HeaderMap::new();
        for (name, value) in pairs {
            fields.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let mut key = Key::default();
        add(&mut key, &fields);
        key
    }

    #[test]
    fn what_is_said_of_the_url_counts_and_nothing_else() {
        let nothing = key(&[("x-forwarded-for", "1"), ("x-forwarded-proto", "https")]);
        assert_eq!(nothing, Key::default());
        let one = [("x-forwarded-host", "a"), ("x-original-url", "/b")];
        let other = [one[1], one[0]];
        assert_eq!(key(&one), key(&other));
        assert_ne!(key(&one), key(&one[..1]));
        let by = |value: &str| key(&[("forwarded", value)]);
        assert_eq!(by("for=1;host=A"), by("for=2; Host=a;proto=http"));
        assert_ne!(by("for=1;host=a"), by("for=1;host=b"));
        assert_ne!(by("host=a, host=b"), by("host=a"));
    }
}
