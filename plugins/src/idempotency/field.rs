//! The key that a client sends: a string of structured fields, or the bare text that most clients send.
//!
//! Both spellings of a text are one key. Whatever is not clearly a key is refused, never cut or guessed.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, Parser};

/// The field.
pub(super) static NAME: HeaderName = HeaderName::from_static("idempotency-key");

/// The longest key, in characters.
pub(super) const LENGTH_MAX: usize = 255;
/// A field that is longer is not read: every character escaped, quotes, and some parameters.
const FIELD_MAX: usize = 2 * LENGTH_MAX + 256;

/// Why a field holds no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is there twice.
    Repeated,
    /// It is neither a string nor a bare text.
    Malformed,
    /// It is longer than anybody needs.
    TooLong,
}

impl Fault {
    /// A sentence for the client.
    pub(super) fn told(self) -> String {
        match self {
            Self::Repeated => "The field is there more than once.".into(),
            Self::Malformed => {
                "Send a string (\"8e03978e\") or a text of letters and digits.".into()
            }
            Self::TooLong => format!("A key has at most {LENGTH_MAX} characters."),
        }
    }
}

/// The key of a request; `None` where it has none.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let mut fields = headers.get_all(&NAME).iter();
    let Some(field) = fields.next() else {
        return Ok(None);
    };
    if fields.next().is_some() {
        return Err(Fault::Repeated);
    }
    let bytes = field.as_bytes();
    if bytes.len() > FIELD_MAX {
        return Err(Fault::TooLong);
    }
    let key = if bytes.starts_with(b"\"") {
        string(bytes)
    } else {
        bare(bytes)
    };
    match key.ok_or(Fault::Malformed)? {
        key if key.is_empty() => Err(Fault::Malformed),
        key if key.len() > LENGTH_MAX => Err(Fault::TooLong),
        key => Ok(Some(key)),
    }
}

/// An item that is a string (RFC 9651 section 3.3.3). Its parameters mean nothing here, as for any item.
fn string(bytes: &[u8]) -> Option<String> {
    let BareItem::String(text) = Parser::parse_item(bytes).ok()?.bare_item else {
        return None;
    };
    Some(text)
}

/// Visible characters that are part of no list, no item with parameters and no string.
fn bare(bytes: &[u8]) -> Option<String> {
    let plain = |byte: &u8| byte.is_ascii_graphic() && !br#"",;\"#.contains(byte);
    let text = bytes.iter().all(plain).then_some(bytes)?;
    std::str::from_utf8(text).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn read(values: &[&[u8]]) -> Result<Option<String>, Fault> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(&NAME, HeaderValue::from_bytes(value).unwrap());
        }
        key(&headers)
    }

    fn one(text: &str) -> Result<Option<String>, Fault> {
        read(&[text.as_bytes()])
    }

    #[test]
    fn a_string_and_a_bare_text_are_one_key() {
        for text in ["8e03978e-40d5-43dd-bc93-6894a57f9324", "7", "a/b+c=.~_:!"] {
            assert_eq!(one(text), Ok(Some(text.into())));
            assert_eq!(one(&format!("\"{text}\"")), Ok(Some(text.into())));
            assert_eq!(one(&format!("\"{text}\";a=1")), Ok(Some(text.into())));
        }
        assert_eq!(one(r#""a \"b\" \\ c""#), Ok(Some(r#"a "b" \ c"#.into())));
        assert_eq!(read(&[]), Ok(None));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for wrong in [
            "",
            "\"\"",
            "\"a",
            "a\"",
            "\"a\"b",
            "\"a\", \"b\"",
            "a,b",
            "a b",
            "a;b=1",
            "a\\b",
            "\"\\n\"",
            "\"a\tb\"",
            "\"a\";A",
        ] {
            assert_eq!(one(wrong), Err(Fault::Malformed), "{wrong}");
        }
        assert_eq!(read(&["ä".as_bytes()]), Err(Fault::Malformed));
        assert_eq!(read(&[b"\"\xff\""]), Err(Fault::Malformed));
        assert_eq!(read(&[b"a", b"a"]), Err(Fault::Repeated));
    }

    #[test]
    fn a_key_has_a_longest() {
        let (most, more) = ("k".repeat(LENGTH_MAX), "k".repeat(LENGTH_MAX + 1));
        assert_eq!(one(&most), Ok(Some(most.clone())));
        assert_eq!(one(&format!("\"{most}\"")), Ok(Some(most)));
        assert_eq!(one(&more), Err(Fault::TooLong));
        assert_eq!(one(&format!("\"{more}\"")), Err(Fault::TooLong));
        let escaped = format!("\"{}\"", "\\\\".repeat(LENGTH_MAX));
        assert_eq!(one(&escaped).unwrap().unwrap().len(), LENGTH_MAX);
        assert_eq!(one(&"k".repeat(FIELD_MAX + 1)), Err(Fault::TooLong));
    }

    proptest! {
        #[test]
        fn whatever_is_sent_a_key_is_short_and_printable(bytes in prop::collection::vec(0x20_u8..0x7f, 0..600)) {
            if let Ok(Some(key)) = read(&[&bytes]) {
                prop_assert!((1..=LENGTH_MAX).contains(&key.len()));
                prop_assert!(key.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            }
        }

        #[test]
        fn every_printable_text_can_be_said(text in "[ -~]{1,255}") {
            let escaped = text.replace('\\', "\\\\").replace('"', "\\\"");
            prop_assert_eq!(one(&format!("\"{escaped}\"")), Ok(Some(text)));
        }
    }
}
