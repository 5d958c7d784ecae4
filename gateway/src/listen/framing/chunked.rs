//! Follows a chunked body to its end, and refuses every spelling that two parsers could read differently.
//!
//! Chunk lines end with CRLF and nothing else; a size is 1 to 15 hex digits with no space around; an extension starts right
//! after it with `;` and holds no controls (RFC 9112, section 7.1). What violates this ends the connection.

use std::io;

/// Extensions and trailers are ignored by everyone; nobody needs more of them.
const ASIDE_MAX: u16 = 4096;
const DIGITS_MAX: u8 = 15;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
    Ended,
}

/// Where in a chunked body the last byte stood.
#[derive(Debug)]
pub(crate) struct Follower {
    place: Place,
    digits: u8,
    /// Bytes of extensions and trailers so far.
    aside: u16,
    /// The size being read, then what is left of the chunk's data.
    size: u64,
}

impl Follower {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Size,
            digits: 0,
            aside: 0,
            size: 0,
        }
    }

    pub(super) fn ended(&self) -> bool {
        self.place == Place::Ended
    }

    /// How many of these bytes belong to the body; all of them unless it ended.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rest = bytes;
        while self.place != Place::Ended {
            if self.place == Place::Data {
                rest = self.skip_data(rest);
            }
            let Some((&byte, after)) = rest.split_first() else {
                break;
            };
            self.place = self.step(byte).ok_or_else(violation)?;
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }

    fn skip_data<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let taken = bytes
            .len()
            .min(usize::try_from(self.size).unwrap_or(usize::MAX));
        self.size -= taken as u64;
        if self.size == 0 {
            self.place = Place::DataCr;
        }
        bytes.get(taken..).unwrap_or_default()
    }

    fn step(&mut self, byte: u8) -> Option<Place> {
        match (self.place, byte) {
            (Place::Size, b'\r') if self.digits > 0 => Some(Place::SizeLf),
            (Place::Size, b';') if self.digits > 0 => Some(Place::Extension),
            (Place::Size, _) => self.digit(byte),
            (Place::Extension, b'\r') => Some(Place::SizeLf),
            (Place::Extension, _) => self.aside(byte, Place::Extension),
            (Place::SizeLf, b'\n') if self.size == 0 => Some(Place::TrailerStart),
            (Place::SizeLf, b'\n') => Some(Place::Data),
            (Place::DataCr, b'\r') => Some(Place::DataLf),
            (Place::DataLf, b'\n') => {
                self.digits = 0;
                Some(Place::Size)
            }
            (Place::TrailerStart, b'\r') => Some(Place::LastLf),
            (Place::Trailer, b'\r') => Some(Place::TrailerLf),
            (Place::TrailerStart | Place::Trailer, _) => self.aside(byte, Place::Trailer),
            (Place::TrailerLf, b'\n') => Some(Place::TrailerStart),
            (Place::LastLf, b'\n') => Some(Place::Ended),
            _ => None,
        }
    }

    fn digit(&mut self, byte: u8) -> Option<Place> {
        let value = char::from(byte).to_digit(16)?;
        self.digits += 1;
        // Fifteen digits cannot overflow the shift.
        self.size = (self.size << 4) | u64::from(value);
        (self.digits <= DIGITS_MAX).then_some(Place::Size)
    }

    fn aside(&mut self, byte: u8, place: Place) -> Option<Place> {
        self.aside += 1;
        let legal = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
        (legal && self.aside <= ASIDE_MAX).then_some(place)
    }
}

fn violation() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "malformed chunked body")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends_at(body: &[u8]) -> Option<usize> {
        let whole = Follower::new().follow(body).ok();
        // However the bytes are cut, the end is the same.
        let mut follower = Follower::new();
        let mut taken = Some(0);
        for byte in body {
            let step = follower.follow(std::slice::from_ref(byte)).ok();
            taken = taken.zip(step).map(|(a, b)| a + b);
        }
        assert_eq!(whole, taken, "{}", body.escape_ascii());
        whole
    }

    #[test]
    fn finds_the_end() {
        assert_eq!(ends_at(b"0\r\n\r\nGET"), Some(5));
        assert_eq!(ends_at(b"3\r\nabc\r\n0\r\n\r\nGET"), Some(13));
        assert_eq!(ends_at(b"3;a=b\r\nabc\r\n00\r\nx: y\r\n\r\nGET"), Some(24));
        assert_eq!(ends_at(b"a\r\n0123456789\r\n"), Some(15));
    }

    #[test]
    fn refuses_what_can_be_read_in_two_ways() {
        for body in [
            &b"3\nabc"[..],
            b"3 \r\nabc",
            b" 3\r\nabc",
            b"0x3\r\nabc",
            b"+3\r\nabc",
            b"-3\r\nabc",
            b"\r\n",
            b";a\r\n",
            b"3;a\nb\r\n",
            b"3;\0\r\n",
            b"3\r\nabcd",
            b"3\r\nabc\n0\r\n",
            b"0\r\n\n",
            b"0\r\nx: y\n\r\n",
            b"0\r\nx: \0\r\n\r\n",
            b"10000000000000000\r\n",
        ] {
            assert_eq!(ends_at(body), None, "{}", body.escape_ascii());
        }
    }
}
