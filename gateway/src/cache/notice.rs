//! What one gateway tells the others about answers to forget, purged or changed by requests, as bytes. Pure.
//!
//! What is read comes from a store that others write to as well: anything but exactly this form is nothing.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::purge::Target;

/// The version of the form; another one has another name in the store.
pub const VERSION: u8 = 1;

/// Larger ones are nothing.
pub const BYTES_MAX: usize = 64 << 10;

/// Somebody has forgotten answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Which gateway has.
    pub from: Box<str>,
    /// Which answers.
    pub what: What,
}

/// Which answers, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// An operator wanted it.
    Purged {
        /// Which.
        target: Target,
        /// Whether they are only stale.
        soft: bool,
    },
    /// Requests have changed what is at these URLs.
    Changed(Vec<Box<str>>),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    changed: Option<Cow<'a, [Box<str>]>>,
}

impl Notice {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut wire = Wire {
            from: Cow::Borrowed(&self.from),
            soft: false,
            url: None,
            prefix: None,
            tag: None,
            changed: None,
        };
        match &self.what {
            What::Changed(urls) => wire.changed = Some(Cow::Borrowed(urls)),
            What::Purged { target, soft } => {
                wire.soft = *soft;
                let (place, text) = match target {
                    Target::Url(url) => (&mut wire.url, url),
                    Target::Prefix(prefix) => (&mut wire.prefix, prefix),
                    Target::Tag(tag) => (&mut wire.tag, tag),
                };
                *place = Some(Cow::Borrowed(text));
            }
        }
        // Strings and a truth value: nothing in them that JSON cannot say.
        serde_json::to_vec(&wire).unwrap_or_default()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > BYTES_MAX {
            return None;
        }
        let wire: Wire<'_> = serde_json::from_slice(bytes).ok()?;
        let purged = |target| What::Purged {
            target,
            soft: wire.soft,
        };
        let what = match (wire.url, wire.prefix, wire.tag, wire.changed) {
            (Some(url), None, None, None) => purged(Target::Url(url.into_owned())),
            (None, Some(prefix), None, None) => purged(Target::Prefix(prefix.into_owned())),
            (None, None, Some(tag), None) => purged(Target::Tag(tag.into_owned())),
            (None, None, None, Some(urls)) if !wire.soft => What::Changed(urls.into_owned()),
            _ => return None,
        };
        Some(Self {
            from: wire.from.into(),
            what,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_told_is_understood(what in 0..4, text in ".*", from in ".*", soft: bool) {
            let purged = |target| What::Purged { target, soft };
            let what = match what {
                0 => purged(Target::Url(text)),
                1 => purged(Target::Prefix(text)),
                2 => purged(Target::Tag(text)),
                _ => What::Changed(text.split('a').map(Into::into).collect()),
            };
            let notice = Notice { from: from.into(), what };
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
            r#"{"from":"a","soft":true,"changed":["b"]}"#,
            r#"{"from":"a","soft":false,"changed":["b"],"url":"c"}"#,
            r#"{"from":"a","soft":false,"changed":"b"}"#,
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
