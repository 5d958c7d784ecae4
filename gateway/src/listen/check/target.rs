//! Checks a request line: `method SP target SP version`, in one of the forms of RFC 9112, section 3.2.

use std::ops::Range;

use super::bytes::{target_run, token_run};
use super::host::Authority;
use crate::listen::refusal::HeadRefusal;

/// A checked request line; the ranges are offsets into it.
#[derive(Debug, Clone)]
pub(super) struct RequestLine {
    pub(super) method: Range<usize>,
    pub(super) target: Range<usize>,
    pub(super) http_11: bool,
    /// Only for absolute targets.
    pub(super) absolute: Option<Absolute>,
}

/// The pieces of an absolute target, as offsets into the request line.
#[derive(Debug, Clone)]
pub(super) struct Absolute {
    pub(super) authority: Range<usize>,
    pub(super) default_port: u16,
}

impl RequestLine {
    pub(super) fn parse(line: &[u8], uri_max: usize) -> Result<Self, HeadRefusal> {
        let length = token_run(line);
        let (method, rest) = line.split_at_checked(length).unwrap_or_default();
        let rest = match rest {
            [b' ', rest @ ..] if length > 0 => rest,
            [] | [b'\t', ..] => return Err(HeadRefusal::RequestLine),
            _ => return Err(HeadRefusal::Method),
        };
        let (target, rest) = rest.split_at_checked(target_run(rest)).unwrap_or_default();
        let version = match rest {
            [b' ', version @ ..] if !target.is_empty() => version,
            [] | [b' ', ..] => return Err(HeadRefusal::RequestLine),
            _ => return Err(HeadRefusal::Target),
        };
        if target.len() > uri_max {
            return Err(HeadRefusal::UriTooLong);
        }
        let http_11 = is_http_11(version)?;
        if method == b"CONNECT" {
            return Err(HeadRefusal::Connect);
        }
        let start = length + 1;
        let absolute = check_form(method, target)?.map(|found| found.moved_by(start));
        let target = start..start + target.len();
        Ok(Self {
            method: 0..length,
            target,
            http_11,
            absolute,
        })
    }
}

impl Absolute {
    fn moved_by(self, offset: usize) -> Self {
        let authority = self.authority.start + offset..self.authority.end + offset;
        Self { authority, ..self }
    }
}

fn is_http_11(version: &[u8]) -> Result<bool, HeadRefusal> {
    match version {
        b"HTTP/1.1" => Ok(true),
        b"HTTP/1.0" => Ok(false),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Err(HeadRefusal::Version)
        }
        _ => Err(HeadRefusal::RequestLine),
    }
}

/// Origin form, absolute form, or `*` for OPTIONS; authority form is for CONNECT alone.
fn check_form(method: &[u8], target: &[u8]) -> Result<Option<Absolute>, HeadRefusal> {
    match target {
        // `//host/path` is a path here, as RFC 9112 has it; the router collapses the slashes before anyone can misread it.
        [b'/', ..] => Ok(None),
        b"*" if method == b"OPTIONS" => Ok(None),
        _ => absolute(target).map(Some).ok_or(HeadRefusal::Target),
    }
}

fn absolute(target: &[u8]) -> Option<Absolute> {
    let (start, default_port) = if starts_with(target, b"http://") {
        (7, 80)
    } else if starts_with(target, b"https://") {
        (8, 443)
    } else {
        return None;
    };
    let rest = target.get(start..)?;
    let length = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
        .unwrap_or(rest.len());
    Authority::parse(rest.get(..length)?)?;
    Some(Absolute {
        authority: start..start + length,
        default_port,
    })
}

fn starts_with(target: &[u8], scheme: &[u8]) -> bool {
    target
        .get(..scheme.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}
