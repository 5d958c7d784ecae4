//! Percent-encoding in paths: every escape is decoded, put in upper case or refused.
//!
//! Knows nothing of segments. What it returns holds only escapes that mean something.

use std::borrow::Cow;

use super::{PathPolicy, PathRefusal, Tolerance};

/// Settles every escape and refuses every byte that no path may hold.
pub(super) fn settle(raw: &str, policy: PathPolicy) -> Result<Cow<'_, str>, PathRefusal> {
    Ok(if check(raw.as_bytes(), policy)? {
        Cow::Owned(rewrite(raw.as_bytes()))
    } else {
        Cow::Borrowed(raw)
    })
}

/// Whether `%25` stands before two hexadecimal digits. To be asked after [`settle`], which may
/// itself bring the digits to light (`%25%34%31`).
pub(super) fn has_double(path: &str) -> bool {
    path.match_indices("%25").any(|(at, _)| {
        let digits = path.as_bytes().get(at + 3..at + 5);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Refuses what must be refused; else says whether anything has to be rewritten.
fn check(mut rest: &[u8], policy: PathPolicy) -> Result<bool, PathRefusal> {
    let mut dirty = false;
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            check_plain(byte, policy)?;
            rest = after;
            continue;
        }
        let decoded = decode(rest)?;
        let length = if decoded.is_ascii() {
            check_decoded(decoded, policy)?;
            1
        } else {
            check_utf8(rest, decoded)?
        };
        let (escapes, after) = rest.split_at_checked(3 * length).unwrap_or((rest, &[]));
        dirty |= is_unreserved(decoded) || escapes.iter().any(u8::is_ascii_lowercase);
        rest = after;
    }
    Ok(dirty)
}

/// Writes a checked path anew.
fn rewrite(mut rest: &[u8]) -> String {
    let mut out = String::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                match hex(*high, *low) {
                    Some(plain) if is_unreserved(plain) => out.push(char::from(plain)),
                    _ => {
                        out.push('%');
                        out.push(char::from(high.to_ascii_uppercase()));
                        out.push(char::from(low.to_ascii_uppercase()));
                    }
                }
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}

fn check_plain(byte: u8, policy: PathPolicy) -> Result<(), PathRefusal> {
    match byte {
        b'\\' => Err(PathRefusal::Backslash),
        b';' if policy.path_params == Tolerance::Refuse => Err(PathRefusal::PathParams),
        b' ' | b'?' | b'#' => Err(PathRefusal::IllegalByte),
        control if control.is_ascii_control() => Err(PathRefusal::Control),
        other if !other.is_ascii() => Err(PathRefusal::IllegalByte),
        _ => Ok(()),
    }
}

fn check_decoded(byte: u8, policy: PathPolicy) -> Result<(), PathRefusal> {
    match byte {
        b'\\' => Err(PathRefusal::Backslash),
        b'/' if policy.encoded_slash == Tolerance::Refuse => Err(PathRefusal::EncodedSlash),
        b';' if policy.path_params == Tolerance::Refuse => Err(PathRefusal::PathParams),
        control if control.is_ascii_control() => Err(PathRefusal::Control),
        _ => Ok(()),
    }
}

/// The number of escapes that make up the character that begins here.
fn check_utf8(mut rest: &[u8], first: u8) -> Result<usize, PathRefusal> {
    let length = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return Err(PathRefusal::InvalidUtf8),
    };
    let mut character = [0; 4];
    let bytes = character
        .get_mut(..length)
        .ok_or(PathRefusal::InvalidUtf8)?;
    for byte in bytes.iter_mut() {
        if rest.first() != Some(&b'%') {
            return Err(PathRefusal::InvalidUtf8);
        }
        *byte = decode(rest)?;
        rest = rest.get(3..).unwrap_or_default();
    }
    std::str::from_utf8(bytes)
        .map(|_| length)
        .map_err(|_| PathRefusal::InvalidUtf8)
}

/// The byte that the escape at the beginning of `rest` stands for.
fn decode(rest: &[u8]) -> Result<u8, PathRefusal> {
    match rest {
        [b'%', high, low, ..] => hex(*high, *low).ok_or(PathRefusal::MalformedEscape),
        _ => Err(PathRefusal::MalformedEscape),
    }
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    Some(digit(high)? << 4 | digit(low)?)
}

/// RFC 3986 section 2.3: bytes whose escape means exactly the byte.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}
