//! The head of a stored answer as it leaves, prepared once: a hit only fills in what differs from one to the next.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use pingora::http::ResponseHeader;

use super::entry::Entry;
use super::storage::head_of;

/// What a number of seconds needs with its sign.
const DIGITS_MAX: usize = 20;
const HIT: &[u8] = b"gateway; hit; ttl=";

impl Entry {
    /// The head, with room for these fields, whose values the sender sets. It lives as long as the answer, which must be
    /// whole.
    pub fn ready(&self, room_for: &[HeaderName]) -> &ResponseHeader {
        self.marks.ready.get_or_init(|| {
            let mut parts = http::response::Parts::from(head_of(self));
            for name in room_for {
                if !parts.headers.contains_key(name) {
                    // Room that is taken in a map is copied with it, free room is not.
                    parts.headers.insert(name, HeaderValue::from_static(""));
                }
            }
            ResponseHeader::from(parts)
        })
    }
}

/// Says how old an answer is.
pub fn set_age(fields: &mut HeaderMap, seconds: u64) {
    let mut digits = itoa::Buffer::new();
    set(fields, header::AGE, digits.format(seconds).as_bytes());
}

/// `Cache-Status` of a hit that stays fresh for so many seconds.
pub fn hit_status(left: i64) -> Option<HeaderValue> {
    let mut text = [0; HIT.len() + DIGITS_MAX];
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(left).as_bytes();
    let (words, rest) = text.split_at_mut(HIT.len());
    words.copy_from_slice(HIT);
    rest.get_mut(..digits.len())?.copy_from_slice(digits);
    HeaderValue::from_bytes(text.get(..HIT.len() + digits.len())?).ok()
}

fn set(fields: &mut HeaderMap, name: HeaderName, text: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(text) {
        fields.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_no_length_that_does_not_fit() {
        for (left, text) in [
            (0, "gateway; hit; ttl=0"),
            (3599, "gateway; hit; ttl=3599"),
            (i64::MIN, "gateway; hit; ttl=-9223372036854775808"),
        ] {
            assert_eq!(hit_status(left).unwrap(), text);
        }
        let mut fields = HeaderMap::new();
        set_age(&mut fields, u64::MAX);
        assert_eq!(fields[header::AGE], u64::MAX.to_string());
    }
}
