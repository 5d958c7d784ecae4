//! Follows a chunked body to its end, and refuses every spelling that two parsers could read differently.
//!
//! Chunk lines end with CRLF and nothing else; a size is 1 to 15 hex digits with no space around; an extension starts right
//! after it with `;` and holds no controls (RFC 9112, section 7.1). Trailers are fields with a name and a colon, few, and none
//! that says where messages end, whom they are for or who sent them (RFC 9110, section 6.5.1). What violates this ends the
//! connection.

use std::io;

use crate::listen::check::is_name_byte;

/// Extensions and trailers are ignored by everyone; nobody needs more of them.
const ASIDE_MAX: u16 = 4096;
const DIGITS_MAX: u8 = 15;
/// The longest name that is kept to be compared; longer ones are none of the forbidden.
const NAME_MAX: usize = 24;
/// Fields that mean something before a body or not at all.
const NEVER_AFTER: &[&[u8]] = &[
    b"authorization",
    b"connection",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"cookie",
    b"expect",
    b"host",
    b"keep-alive",
    b"max-forwards",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
    b"x-forwarded-for",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
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
    /// The name of the trailer being read, in lower case.
    name: Vec<u8>,
}

impl Follower {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Size,
            digits: 0,
            aside: 0,
            size: 0,
            name: Vec::new(),
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
            (Place::TrailerName, b':') => self.named(),
            (Place::TrailerStart | Place::TrailerName, _) => self.name(byte),
            (Place::Trailer, b'\r') => Some(Place::TrailerLf),
            (Place::Trailer, _) => self.aside(byte, Place::Trailer),
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

    fn name(&mut self, byte: u8) -> Option<Place> {
        if self.name.len() <= NAME_MAX {
            self.name.push(byte.to_ascii_lowercase());
        }
        is_name_byte(byte)
            .then(|| self.aside(byte, Place::TrailerName))
            .flatten()
    }

    fn named(&mut self) -> Option<Place> {
        let forbidden = NEVER_AFTER.contains(&&*self.name);
        self.name = Vec::new();
        (!forbidden)
            .then(|| self.aside(b':', Place::Trailer))
            .flatten()
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
        assert_eq!(ends_at(b"0\r\nx-a:\r\nx-b: \xff\t;\r\n\r\nGET"), Some(21));
        assert_eq!(ends_at(b"0;a=\"b\"\r\n\r\nGET"), Some(11));
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
            b"3\r\nabc\r\n\r\n",
            b"3;a\r\r\n",
            b"3;\x7f\r\n",
            b"0\r\nx\r\n\r\n",
            b"0\r\nx : y\r\n\r\n",
            b"0\r\n: y\r\n\r\n",
            b"0\r\nx: y\r\n folded\r\n\r\n",
            b"0\r\nContent-Length: 3\r\n\r\n",
            b"0\r\ntransfer-encoding: chunked\r\n\r\n",
            b"0\r\nx: y\r\nHOST: z\r\n\r\n",
            b"0\r\nGET / HTTP/1.1\r\n\r\n",
        ] {
            assert_eq!(ends_at(body), None, "{}", body.escape_ascii());
        }
    }

    #[test]
    fn bounds_what_everybody_ignores() {
        let aside = usize::from(ASIDE_MAX);
        let extension = |length| format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(length));
        assert!(ends_at(extension(aside).as_bytes()).is_some());
        assert_eq!(ends_at(extension(aside + 1).as_bytes()), None);
        let trailer = |length| format!("0\r\nn: {}\r\n\r\n", "v".repeat(length));
        assert!(ends_at(trailer(aside - 3).as_bytes()).is_some());
        assert_eq!(ends_at(trailer(aside - 2).as_bytes()), None);
        let many = "a:b\r\n".repeat(aside);
        assert_eq!(ends_at(format!("0\r\n{many}\r\n").as_bytes()), None);
    }
}
