//! Checks an HTTP/1 request head byte by byte, as it arrives, and says how the message is framed.
//!
//! Trusts nothing. What passes is a head that every parser reads the same way; what RFC 9112 calls ambiguous, obsolete or a
//! smuggling vector is refused with a reason, also where Pingora would accept it. Bytes are looked at once: a head that
//! trickles in is not scanned again.

use std::ops::Range;

use self::bytes::first_control;
use self::fields::Fields;
use self::host::Authority;
use self::target::RequestLine;
use super::framing::Framing;
use super::refusal::HeadRefusal;
use super::settings::HeadLimits;

mod bytes;
mod fields;
mod host;
mod target;
#[cfg(test)]
mod tests;

/// A request line is its target and this much for method, version and spaces.
const LINE_EXTRA_MAX: usize = 64;

/// Checks a target that came by HTTP/2: it goes into a request line behind us.
pub fn check_target(method: &[u8], target: &[u8]) -> Result<(), HeadRefusal> {
    let form = target.first() == Some(&b'/') || (method == b"OPTIONS" && target == b"*");
    if form && bytes::target_run(target) == target.len() {
        Ok(())
    } else {
        Err(HeadRefusal::Target)
    }
}

/// Checks what a client expects before it sends its body.
pub fn check_expectation(value: &[u8]) -> Result<(), HeadRefusal> {
    fields::check_expectation(value)
}

/// Whether this byte may stand in the name of a field.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    bytes::is_token(&[byte])
}

/// Checks the places that a head names where no request line does: `:authority` of HTTP/2 and `Host`.
pub fn check_places(
    authority: Option<&[u8]>,
    host: Option<&[u8]>,
    default_port: u16,
) -> Result<(), HeadRefusal> {
    let read = |bytes| Authority::parse(bytes).ok_or(HeadRefusal::HostMalformed);
    match (
        authority.map(read).transpose()?,
        host.map(read).transpose()?,
    ) {
        (None, None) => Err(HeadRefusal::HostMissing),
        (Some(one), Some(other)) if !one.agrees(&other, default_port) => {
            Err(HeadRefusal::HostDisagrees)
        }
        (Some(_) | None, Some(_)) | (Some(_), None) => Ok(()),
    }
}

/// A head that was complete and passed; the ranges are offsets into the bytes that were checked.
#[derive(Debug, PartialEq, Eq)]
pub struct Checked {
    /// Where the request line starts: 2 after a tolerated empty line, else 0.
    pub start: usize,
    /// Where the head ends and the body or the next request begins.
    pub end: usize,
    /// The method.
    pub method: Range<usize>,
    /// The target as it was written.
    pub target: Range<usize>,
    /// For an absolute target, where its origin form starts (at its path, query, or end).
    pub origin: Option<usize>,
    /// How the body is framed.
    pub framing: Framing,
    /// Whether the client would like to change the protocol.
    pub upgrade: bool,
    /// HTTP/1.1, else 1.0.
    pub http_11: bool,
}

/// Checks one head in as many steps as it takes to arrive.
#[derive(Debug, Default)]
pub struct Checker {
    /// Where the line that is not complete yet starts.
    line_at: usize,
    /// Up to where no control byte stands.
    seen: usize,
    start: usize,
    line: Option<RequestLine>,
    fields: Fields,
}

impl Checker {
    /// Looks at what arrived since the last call; `buf` holds everything from the head's first byte on.
    pub fn advance(
        &mut self,
        buf: &[u8],
        limits: &HeadLimits,
    ) -> Result<Option<Checked>, HeadRefusal> {
        while let Some(line) = self.next_line(buf)? {
            if let Some(done) = self.take_line(buf, line, limits)? {
                return Ok(Some(done));
            }
        }
        self.check_growth(buf, limits).map(|()| None)
    }

    /// The next complete line without its CRLF.
    fn next_line(&mut self, buf: &[u8]) -> Result<Option<Range<usize>>, HeadRefusal> {
        let Some(end) = first_control(buf, self.seen) else {
            self.seen = buf.len();
            return Ok(None);
        };
        self.seen = end;
        match (buf.get(end), buf.get(end + 1)) {
            (Some(b'\r'), Some(b'\n')) => {
                let line = self.line_at..end;
                (self.line_at, self.seen) = (end + 2, end + 2);
                Ok(Some(line))
            }
            (Some(b'\r'), None) => Ok(None),
            (Some(b'\r'), Some(_)) => Err(HeadRefusal::BareCr),
            (Some(b'\n'), _) => Err(HeadRefusal::BareLf),
            _ => Err(HeadRefusal::Control),
        }
    }

    fn take_line(
        &mut self,
        buf: &[u8],
        range: Range<usize>,
        limits: &HeadLimits,
    ) -> Result<Option<Checked>, HeadRefusal> {
        let text = buf.get(range.clone()).unwrap_or_default();
        match (&self.line, text.is_empty()) {
            (None, true) if range.start == 0 => self.start = 2,
            (None, true) => return Err(HeadRefusal::RequestLine),
            (None, false) => self.line = Some(RequestLine::parse(text, limits.uri_max)?),
            (Some(_), false) if self.fields.count >= limits.headers_max => {
                return Err(HeadRefusal::HeadersTooMany);
            }
            (Some(_), false) => self.fields.take(text, range.start)?,
            (Some(_), true) => return self.finish(buf, limits).map(Some),
        }
        Ok(None)
    }

    fn check_growth(&self, buf: &[u8], limits: &HeadLimits) -> Result<(), HeadRefusal> {
        if self.line.is_none() && buf.len() - self.line_at > limits.uri_max + LINE_EXTRA_MAX {
            return Err(HeadRefusal::UriTooLong);
        }
        // The rest is refused while it is still incomplete: nobody waits for the end of an endless head.
        if buf.len() > limits.header_bytes_max {
            return Err(HeadRefusal::HeadTooLarge);
        }
        self.check_beginning(buf)
    }

    /// Tells other protocols (a TLS hello, say) from a request line before the line ends.
    fn check_beginning(&self, buf: &[u8]) -> Result<(), HeadRefusal> {
        let first = buf.get(self.start).copied();
        match first {
            Some(byte) if self.line.is_none() && !byte.is_ascii_graphic() && byte != b'\r' => {
                Err(HeadRefusal::Method)
            }
            _ => Ok(()),
        }
    }

    fn finish(&mut self, buf: &[u8], limits: &HeadLimits) -> Result<Checked, HeadRefusal> {
        let end = self.line_at;
        if end > limits.header_bytes_max {
            return Err(HeadRefusal::HeadTooLarge);
        }
        let line = self.line.take().ok_or(HeadRefusal::RequestLine)?;
        self.check_host(buf, &line)?;
        let (start, shift) = (self.start, |range: Range<usize>| {
            range.start + self.start..range.end + self.start
        });
        Ok(Checked {
            start,
            end,
            method: shift(line.method),
            target: shift(line.target),
            origin: line.absolute.map(|absolute| start + absolute.authority.end),
            framing: self.fields.framing(line.http_11)?,
            upgrade: self.fields.upgrade && line.http_11,
            http_11: line.http_11,
        })
    }

    /// RFC 9112, section 3.2; an absolute target needs a `Host` in every version, because only its origin form travels on.
    fn check_host(&self, buf: &[u8], line: &RequestLine) -> Result<(), HeadRefusal> {
        let Some(range) = self.fields.host.clone() else {
            let needed = line.http_11 || line.absolute.is_some();
            return if needed {
                Err(HeadRefusal::HostMissing)
            } else {
                Ok(())
            };
        };
        let host = Authority::parse(buf.get(range).unwrap_or_default())
            .ok_or(HeadRefusal::HostMalformed)?;
        let Some(absolute) = &line.absolute else {
            return Ok(());
        };
        let place = absolute.authority.start + self.start..absolute.authority.end + self.start;
        let named = buf
            .get(place)
            .and_then(Authority::parse)
            .ok_or(HeadRefusal::Target)?;
        let agrees = host.agrees(&named, absolute.default_port);
        if agrees {
            Ok(())
        } else {
            Err(HeadRefusal::HostDisagrees)
        }
    }
}
