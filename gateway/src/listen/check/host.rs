//! Reads `host[:port]` as it stands in `Host` and in an absolute target.
//!
//! Narrower than RFC 3986 on purpose: letters, digits, `-`, `.`, `_` or an IPv6 literal, then a port of plain digits. No user
//! information, no percent-encoding, no empty labels but the root's.

use std::net::Ipv6Addr;

use super::bytes::{find, host_run};

const HOST_BYTES_MAX: usize = 255;

/// A host and the port that was written, if any.
#[derive(Debug, Clone, Copy)]
pub(super) struct Authority<'a> {
    host: &'a [u8],
    port: Option<u16>,
}

impl<'a> Authority<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let split = match bytes.first()? {
            b'[' => find(bytes, b']')? + 1,
            _ => host_run(bytes),
        };
        let (host, rest) = bytes.split_at_checked(split)?;
        let port = match rest {
            [] => None,
            [b':', digits @ ..] => Some(port(digits)?),
            _ => return None,
        };
        is_well_formed(host).then_some(Self { host, port })
    }

    /// Whether both name the same place; a port left out is the scheme's.
    pub(super) fn agrees(&self, other: &Authority<'_>, default_port: u16) -> bool {
        self.host.eq_ignore_ascii_case(other.host)
            && self.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

fn port(digits: &[u8]) -> Option<u16> {
    let plain = digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit);
    plain.then_some(())?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn is_well_formed(host: &[u8]) -> bool {
    if let [b'[', address @ .., b']'] = host {
        return std::str::from_utf8(address).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
    }
    let name = host.strip_suffix(b".").unwrap_or(host);
    !name.is_empty() && host.len() <= HOST_BYTES_MAX && !has_empty_label(name)
}

fn has_empty_label(name: &[u8]) -> bool {
    name.first() == Some(&b'.') || name.last() == Some(&b'.') || name.windows(2).any(|w| w == b"..")
}
