//! Base64 as gRPC-Web uses it: pieces that may each have padding of their own, cut anywhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// Letters that belong together.
const GROUP: usize = 4;

/// Takes a body out of base64 as it comes.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Letters of a group that is not complete.
    begun: Vec<u8>,
}

impl Decoder {
    /// Decodes all complete groups; `None` when something is no base64.
    pub(super) fn decode(&mut self, piece: &[u8]) -> Option<Bytes> {
        let mut letters = std::mem::take(&mut self.begun);
        letters.extend_from_slice(piece);
        let whole = letters.len() - letters.len() % GROUP;
        self.begun = letters.split_off(whole);
        let mut decoded = Vec::with_capacity(whole / GROUP * 3);
        let mut rest = letters.as_slice();
        while !rest.is_empty() {
            // Padding ends a piece, not the body.
            let padding = rest.iter().position(|letter| *letter == b'=');
            let end = padding.map_or(rest.len(), |at| at - at % GROUP + GROUP);
            let (part, after) = rest.split_at_checked(end)?;
            STANDARD.decode_vec(part, &mut decoded).ok()?;
            rest = after;
        }
        Some(decoded.into())
    }

    /// Whether no group is half received.
    pub(super) fn is_whole(&self) -> bool {
        self.begun.is_empty()
    }
}

/// A piece with its own padding, so that it can leave at once.
pub(super) fn encode(bytes: &[u8]) -> Bytes {
    STANDARD.encode(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_pieces_with_padding_however_they_are_cut() {
        let body: String = ["a", "bc", "def", "ghij", ""]
            .map(|piece| STANDARD.encode(piece))
            .concat();
        for size in [1, 2, 3, 4, 5, 100] {
            let mut decoder = Decoder::default();
            let bytes: Vec<u8> = body
                .as_bytes()
                .chunks(size)
                .flat_map(|piece| decoder.decode(piece).unwrap())
                .collect();
            assert_eq!(
                (bytes.as_slice(), decoder.is_whole()),
                (&b"abcdefghij"[..], true)
            );
        }
    }

    #[test]
    fn refuses_what_is_no_base64() {
        for body in ["YQ=a", "Y===", "====", "Y Q=", "YQ\r\n", "YR==", "a-_b"] {
            assert!(
                Decoder::default().decode(body.as_bytes()).is_none(),
                "{body}"
            );
        }
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(b"YWJjZ").unwrap(), &b"abc"[..]);
        assert!(!decoder.is_whole());
    }
}
