//! The tag by which a sticky cookie names a target: a keyed hash, from which nobody learns the target's address.

use std::sync::LazyLock;

use aws_lc_rs::hmac;

/// The key of this process, for upstreams that name none.
static OWN: LazyLock<[u8; 32]> = LazyLock::new(rand::random);

/// Names targets.
pub(in crate::upstream) struct Tagger(hmac::Key);

impl Tagger {
    /// With the key that the configuration names, or with one that lives as long as the process.
    pub(in crate::upstream) fn new(secret: Option<&str>) -> Self {
        let key = secret.map_or(&OWN[..], str::as_bytes);
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// The tag of a target. The same address has another one in another upstream.
    pub(in crate::upstream) fn tag(&self, upstream: &str, address: &str) -> u64 {
        let mut context = hmac::Context::with_key(&self.0);
        for part in [upstream, "\0", address] {
            context.update(part.as_bytes());
        }
        let signed = context.sign();
        let first = signed.as_ref().first_chunk().copied();
        u64::from_be_bytes(first.unwrap_or_default())
    }
}

/// The tag as a cookie's value.
pub fn write(tag: u64) -> String {
    format!("{tag:016x}")
}

/// A cookie's value as a tag; anything that we did not write is none.
pub fn read(value: &str) -> Option<u64> {
    let written = value.len() == 16
        && value
            .bytes()
            .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    written
        .then(|| u64::from_str_radix(value, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_depends_on_key_upstream_and_address() {
        let tag = |key, upstream, address| Tagger::new(key).tag(upstream, address);
        let one = tag(Some("k"), "a", "10.0.0.1:80");
        assert_eq!(one, tag(Some("k"), "a", "10.0.0.1:80"));
        for other in [
            tag(Some("l"), "a", "10.0.0.1:80"),
            tag(Some("k"), "b", "10.0.0.1:80"),
            tag(Some("k"), "a", "10.0.0.1:81"),
            tag(None, "a", "10.0.0.1:80"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn reads_what_it_wrote_and_nothing_else() {
        for tag in [0, 7, u64::MAX] {
            assert_eq!(read(&write(tag)), Some(tag));
        }
        for other in [
            "",
            "7",
            "+00000000000000f",
            "FFFFFFFFFFFFFFFF",
            "10.0.0.1:8000000",
        ] {
            assert_eq!(read(other), None);
        }
    }
}
