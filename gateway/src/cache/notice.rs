//! What one gateway tells the others about answers to forget, as bytes. Pure.
//!
//! What is read comes from a store that others write to as well: anything but exactly this form is nothing.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::purge::Target;

/// The version of the form; another one has another name in the store.
pub const VERSION: u8 = 1;

/// Larger ones are nothing.
const BYTES_MAX: usize = 64 << 10;

/// Somebody has forgotten answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Which gateway has.
    pub from: Box<str>,
    /// Which answers.
    pub target: Target,
    /// Whether they are only stale.
    pub soft: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<'a> {
    from: Cow<'a, str>,
    soft: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<Cow<'a, str>>,
}

impl Notice {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let of = |text: Option<&'_ String>| text.map(|text| Cow::Owned(text.clone()));
        let (url, prefix, tag) = match &self.target {
            Target::Url(url) => (Some(url), None, None),
            Target::Prefix(prefix) => (None, Some(prefix), None),
            Target::Tag(tag) => (None, None, Some(tag)),
        };
        let wire = Wire {
            from: Cow::Borrowed(&self.from),
            soft: self.soft,
            url: of(url),
            prefix: of(prefix),
            tag: of(tag),
        };
        // Strings and a truth value: nothing in them that JSON cannot say.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > BYTES_MAX {
            return None;
        }
        let wire: Wire<'_> = serde_json::from_slice(bytes).ok()?;
        let target = match (wire.url, wire.prefix, wire.tag) {
            (Some(url), None, None) => Target::Url(url.into_owned()),
            (None, Some(prefix), None) => Target::Prefix(prefix.into_owned()),
            (None, None, Some(tag)) => Target::Tag(tag.into_owned()),
            _ => return None,
        };
        Some(Self {
            from: wire.from.into(),
            target,
            soft: wire.soft,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_told_is_understood(what in 0..3, text in ".*", from in ".*", soft: bool) {
            let target = match what {
                0 => Target::Url(text),
                1 => Target::Prefix(text),
                _ => Target::Tag(text),
            };
            let notice = Notice { from: from.into(), target, soft };
            prop_assert_eq!(Notice::decode(&notice.encode()), Some(notice));
        }

        #[test]
        fn anything_else_is_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert_eq!(Notice::decode(&bytes), None);
        }
    }

    #[test]
    fn half_a_notice_is_none() {
        for wrong in [
            r#"{"from":"a","soft":false}"#,
            r#"{"from":"a","soft":false,"url":"b","tag":"c"}"#,
            r#"{"from":"a","soft":false,"url":"b","more":1}"#,
            r#"{"from":"a","soft":0,"url":"b"}"#,
            r#"{"soft":false,"url":"b"}"#,
            r#"["a"]"#,
        ] {
            assert_eq!(Notice::decode(wrong.as_bytes()), None, "{wrong}");
        }
        let long = format!(
            r#"{{"from":"a","soft":false,"url":"{}"}}"#,
            "b".repeat(BYTES_MAX)
        );
        assert_eq!(Notice::decode(long.as_bytes()), None);
    }
}
