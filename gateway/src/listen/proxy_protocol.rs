//! The PROXY protocol, versions 1 and 2: a proxy in front of us says whose connection it passes on.
//!
//! Trusts nothing: the caller has checked that the peer is a trusted proxy, but its bytes are read like a client's. What is
//! not exactly the protocol is malformed. The parser says how many more bytes surely belong to the header, so that whoever
//! reads takes not one byte of what follows, be it TLS or HTTP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

pub(crate) mod reading;
#[cfg(test)]
mod tests;

/// The longest header of version 1, its line end included.
const V1_MAX: usize = 107;
/// The longest header of version 2 that is read: addresses and a few kilobytes of what we skip.
const V2_MAX: usize = 4096;
const V2_FIXED: usize = 16;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V1_START: &[u8] = b"PROXY ";
/// Both versions are at least as long: `PROXY UNKNOWN` and its line end, or the fixed part of version 2.
const SHORTEST: usize = 15;

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Announced {
    /// Nothing about a client: the proxy's own check of us, or a client without an internet address.
    Nobody,
    /// The connection that the proxy passes on.
    Client {
        /// Who connected to the proxy.
        source: SocketAddr,
        /// The address that it reached.
        destination: SocketAddr,
    },
}

/// Where the reading of a header stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// At least so many more bytes belong to the header.
    Wants(usize),
    /// The header is complete and so long.
    Done(Announced, usize),
}

/// Not the PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the PROXY protocol")]
pub struct Malformed;

/// Looks at a header of which these bytes have arrived.
pub fn parse(bytes: &[u8]) -> Result<Step, Malformed> {
    match bytes.first() {
        None => Ok(Step::Wants(SHORTEST)),
        Some(_) if begins(bytes, SIGNATURE) => version_2(bytes),
        Some(_) if begins(bytes, V1_START) => version_1(bytes),
        Some(_) => Err(Malformed),
    }
}

/// Whether the bytes and the pattern are the same as far as both go.
fn begins(bytes: &[u8], pattern: &[u8]) -> bool {
    bytes.iter().zip(pattern).all(|(one, other)| one == other)
}

fn version_1(bytes: &[u8]) -> Result<Step, Malformed> {
    if bytes.len() < SHORTEST {
        return Ok(Step::Wants(SHORTEST - bytes.len()));
    }
    let searched = bytes.get(..V1_MAX).unwrap_or(bytes);
    let end = searched
        .iter()
        .position(|byte| matches!(byte, b'\r' | b'\n'));
    let rest = |end| searched.get(V1_START.len()..end).ok_or(Malformed);
    match end.map(|end| (end, searched.get(end), searched.get(end + 1))) {
        Some((end, Some(b'\r'), Some(b'\n'))) => {
            line(rest(end)?).map(|announced| Step::Done(announced, end + 2))
        }
        Some((_, Some(b'\r'), None)) if bytes.len() < V1_MAX => Ok(Step::Wants(1)),
        None if bytes.len() < V1_MAX => Ok(Step::Wants(missing(rest(bytes.len())?))),
        _ => Err(Malformed),
    }
}

/// The least that is missing from a line without its end: the parts that have not begun, and CRLF.
fn missing(line: &[u8]) -> usize {
    let line_end = 2;
    if line.starts_with(b"UNKNOWN") {
        return line_end;
    }
    // Protocol, two addresses, two ports.
    let begun = line.split(|byte| *byte == b' ').count();
    let open = usize::from(line.last() == Some(&b' '));
    2 * 5_usize.saturating_sub(begun) + open + line_end
}

fn line(rest: &[u8]) -> Result<Announced, Malformed> {
    let rest = std::str::from_utf8(rest).map_err(|_| Malformed)?;
    let mut words = rest.split(' ');
    match words.next() {
        // Whatever else the line says is to be ignored.
        Some("UNKNOWN") => Ok(Announced::Nobody),
        Some("TCP4") => client(words, ip::<Ipv4Addr>),
        Some("TCP6") => client(words, ip::<Ipv6Addr>),
        _ => Err(Malformed),
    }
}

fn client<'a>(
    mut words: impl Iterator<Item = &'a str>,
    ip: impl Fn(&str) -> Option<IpAddr>,
) -> Result<Announced, Malformed> {
    let mut word = || words.next().ok_or(Malformed);
    let (source, destination) = (ip(word()?), ip(word()?));
    let (from, to) = (port(word()?), port(word()?));
    let (Some(source), Some(destination), Some(from), Some(to), None) =
        (source, destination, from, to, words.next())
    else {
        return Err(Malformed);
    };
    Ok(Announced::Client {
        source: SocketAddr::new(source, from),
        destination: SocketAddr::new(destination, to),
    })
}

fn ip<T: FromStr + Into<IpAddr>>(word: &str) -> Option<IpAddr> {
    word.parse::<T>().ok().map(Into::into)
}

/// Digits alone, without zeros before them.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = word == "0" || !word.starts_with('0');
    (plain && canonical).then(|| word.parse().ok()).flatten()
}

fn version_2(bytes: &[u8]) -> Result<Step, Malformed> {
    let Some(([.., command, family, high, low], _)) = bytes.split_first_chunk::<V2_FIXED>() else {
        return Ok(Step::Wants(V2_FIXED - bytes.len()));
    };
    let length = V2_FIXED + usize::from(u16::from_be_bytes([*high, *low]));
    if length > V2_MAX || !matches!(command, 0x20 | 0x21) {
        return Err(Malformed);
    }
    let Some(rest) = bytes.get(V2_FIXED..length) else {
        return Ok(Step::Wants(length - bytes.len()));
    };
    let announced = match command {
        // Addresses of the proxy's own connections say nothing.
        0x20 => Announced::Nobody,
        _ => addresses(*family, rest)?,
    };
    Ok(Step::Done(announced, length))
}

fn addresses(family: u8, rest: &[u8]) -> Result<Announced, Malformed> {
    let (announced, extensions) = match family {
        0x00 => (Announced::Nobody, rest),
        0x11 => internet::<4, Ipv4Addr>(rest)?,
        0x21 => internet::<16, Ipv6Addr>(rest)?,
        // A client of a unix socket has no address that we could use.
        0x31 => (Announced::Nobody, rest.get(216..).ok_or(Malformed)?),
        // Datagrams do not come over a stream.
        _ => return Err(Malformed),
    };
    skip(extensions)?;
    Ok(announced)
}

fn internet<const N: usize, T: From<[u8; N]> + Into<IpAddr>>(
    rest: &[u8],
) -> Result<(Announced, &[u8]), Malformed> {
    let (source, rest) = rest.split_first_chunk::<N>().ok_or(Malformed)?;
    let (destination, rest) = rest.split_first_chunk::<N>().ok_or(Malformed)?;
    let (from, rest) = rest.split_first_chunk().ok_or(Malformed)?;
    let (to, rest) = rest.split_first_chunk().ok_or(Malformed)?;
    let at = |ip: [u8; N], port| SocketAddr::new(T::from(ip).into(), u16::from_be_bytes(port));
    let announced = Announced::Client {
        source: at(*source, *from),
        destination: at(*destination, *to),
    };
    Ok((announced, rest))
}

/// Nothing in the extensions is of use here, but each must end where it says.
fn skip(mut rest: &[u8]) -> Result<(), Malformed> {
    while !rest.is_empty() {
        let ([_, high, low], value) = rest.split_first_chunk().ok_or(Malformed)?;
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        rest = value.get(length..).ok_or(Malformed)?;
    }
    Ok(())
}
