//! Checks field lines and keeps the few facts that frame and address a request.

use std::ops::Range;

use super::bytes::{is_token, token_run, trim};
use crate::listen::framing::Framing;
use crate::listen::refusal::HeadRefusal;

/// What the field lines said so far.
#[derive(Debug, Default)]
pub(super) struct Fields {
    pub(super) count: usize,
    /// Where the value of `Host` stands in the head.
    pub(super) host: Option<Range<usize>>,
    pub(super) upgrade: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Fields {
    /// Checks one line, which starts at this offset of the head and holds no control byte but tabs.
    pub(super) fn take(&mut self, line: &[u8], at: usize) -> Result<(), HeadRefusal> {
        self.count += 1;
        let length = token_run(line);
        let (name, rest) = line
            .split_at_checked(length)
            .ok_or(HeadRefusal::FieldName)?;
        match rest {
            [b':', rest @ ..] if length > 0 => self.note(name, rest, at + length + 1),
            [b' ' | b'\t', ..] if length == 0 => Err(HeadRefusal::ObsFold),
            [b' ' | b'\t', rest @ ..] if trim(rest).first() == Some(&b':') => {
                Err(HeadRefusal::SpaceBeforeColon)
            }
            _ => Err(HeadRefusal::FieldName),
        }
    }

    fn note(&mut self, name: &[u8], rest: &[u8], at: usize) -> Result<(), HeadRefusal> {
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.note_host(rest, at),
            6 if name.eq_ignore_ascii_case(b"expect") => check_expectation(trim(rest)),
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrade = true;
                Ok(())
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => self.note_length(trim(rest)),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.note_coding(trim(rest)),
            _ => Ok(()),
        }
    }

    fn note_host(&mut self, rest: &[u8], at: usize) -> Result<(), HeadRefusal> {
        let value = trim(rest);
        let spaces = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        match self.host.replace(at + spaces..at + spaces + value.len()) {
            None => Ok(()),
            Some(_) => Err(HeadRefusal::HostRepeated),
        }
    }

    fn note_length(&mut self, value: &[u8]) -> Result<(), HeadRefusal> {
        // Eighteen digits cannot overflow, and no body is longer.
        let plain = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
        if !plain {
            return Err(HeadRefusal::ContentLength);
        }
        let length = value
            .iter()
            .fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0'));
        match self.length.replace(length) {
            None => Ok(()),
            Some(_) => Err(HeadRefusal::ContentLengthRepeated),
        }
    }

    fn note_coding(&mut self, value: &[u8]) -> Result<(), HeadRefusal> {
        if value == b"chunked" && !self.chunked {
            self.chunked = true;
            return Ok(());
        }
        let resembles = value
            .windows(7)
            .any(|part| part.eq_ignore_ascii_case(b"chunked"));
        let one_token = is_token(value) && !resembles && !self.chunked;
        Err(if one_token {
            HeadRefusal::CodingUnknown
        } else {
            HeadRefusal::TransferEncoding
        })
    }

    /// How the body is framed, once all lines were taken.
    pub(super) fn framing(&self, http_11: bool) -> Result<Framing, HeadRefusal> {
        match (self.length, self.chunked) {
            (Some(_), true) => Err(HeadRefusal::LengthBesideCoding),
            (None, true) if !http_11 => Err(HeadRefusal::CodingInOldVersion),
            (None, true) => Ok(Framing::Chunked),
            (Some(length), false) => Ok(Framing::Length(length)),
            (None, false) => Ok(Framing::None),
        }
    }
}

/// RFC 9110, section 10.1.1: there is one expectation, and who does not know another may say so.
pub(super) fn check_expectation(value: &[u8]) -> Result<(), HeadRefusal> {
    if value.eq_ignore_ascii_case(b"100-continue") {
        Ok(())
    } else {
        Err(HeadRefusal::Expectation)
    }
}
