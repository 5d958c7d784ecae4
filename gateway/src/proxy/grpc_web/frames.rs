//! Where one message of gRPC ends and the next begins: a flag, four bytes of length, then so many bytes.

/// Bytes before each message.
const PREFIX: u8 = 5;

/// Follows a body without changing it.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Bytes of the current prefix that have been seen.
    seen: u8,
    /// The length as far as the prefix says it.
    length: u32,
    /// Bytes of the current message still to come.
    left: u32,
}

impl Frames {
    /// Takes the next piece of the body.
    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let here = bytes
                    .len()
                    .min(usize::try_from(self.left).unwrap_or(usize::MAX));
                self.left -= u32::try_from(here).unwrap_or(self.left);
                bytes = bytes.get(here..).unwrap_or_default();
                continue;
            }
            self.prefix(*first);
            bytes = rest;
        }
    }

    fn prefix(&mut self, byte: u8) {
        // The first byte is the flag; the four after it push it out of the length.
        self.length = (self.length << 8) | u32::from(byte);
        self.seen += 1;
        if self.seen == PREFIX {
            (self.left, self.seen, self.length) = (self.length, 0, 0);
        }
    }

    /// Whether no message is half sent.
    pub(super) fn is_between(&self) -> bool {
        self.seen == 0 && self.left == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_end_of_each_message_however_it_is_cut() {
        let body = [
            &[0, 0, 0, 0, 3][..],
            b"abc",
            &[1, 0, 0, 0, 0],
            &[0, 0, 0, 1, 0],
            &[7; 256],
        ]
        .concat();
        let ends = [0, 8, 13, 274];
        for size in [1, 2, 3, 7, 300] {
            let mut frames = Frames::default();
            let mut at = 0;
            for piece in body.chunks(size) {
                frames.follow(piece);
                at += piece.len();
                assert_eq!(frames.is_between(), ends.contains(&at), "{size}: {at}");
            }
        }
    }
}
