//! The id of a request: kept from trusted proxies where it is well formed, else made here.

use std::cell::RefCell;

use http::HeaderValue;
use rand::rngs::SmallRng;
use rand::{RngCore, SeedableRng};

thread_local! {
    // An id must be unique, not secret.
    static RANDOM: RefCell<SmallRng> = RefCell::new(SmallRng::from_entropy());
}

/// 128 random bits as 32 hexadecimal digits.
pub(super) fn make() -> HeaderValue {
    let mut bytes = [0u8; 16];
    RANDOM.with_borrow_mut(|random| random.fill_bytes(&mut bytes));
    let mut text = [0u8; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        #[expect(
            clippy::indexing_slicing,
            reason = "the table has an entry for every byte"
        )]
        pair.copy_from_slice(&HEX[usize::from(byte)]);
    }
    HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("0"))
}

/// All pairs of digits.
#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler, where a wrong index is an error"
)]
const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};

/// An id that a trusted proxy sent: 1 to 128 of `A-Z a-z 0-9 . _ -`.
pub fn accept(sent: &HeaderValue) -> Option<HeaderValue> {
    let good = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let bytes = sent.as_bytes();
    ((1..=128).contains(&bytes.len()) && bytes.iter().all(good)).then(|| sent.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_distinct_ids() {
        let (one, two) = (make(), make());
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
        assert!(
            one.to_str()
                .unwrap()
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit())
        );
    }

    #[test]
    fn accepts_only_harmless_ids_of_at_most_128_bytes() {
        let accepted = |text: &str| accept(&HeaderValue::from_str(text).unwrap()).is_some();
        assert!(accepted("a-Z_0.9"));
        assert!(accepted(&"a".repeat(128)));
        assert!(!accepted(&"a".repeat(129)));
        for bad in ["", "a b", "a\"b", "ä", "a,b", "{}"] {
            assert!(!accepted(bad), "{bad:?}");
        }
    }
}
