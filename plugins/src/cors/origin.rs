//! Origins that a configuration allows, and whether one that a browser sends is among them.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::contract::leaf::LeafError;
use crate::leaf;

/// An origin as browsers write it, `"https://app.example.com"`; all direct subdomains, `"https://*.example.com"`; or
/// everyone, `"*"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Everyone.
    Any,
    /// This one.
    Exact(Box<str>),
    /// All that put exactly one label between the two.
    Subdomain {
        /// Scheme and `://`.
        before: Box<str>,
        /// From the dot on, with the port.
        after: Box<str>,
    },
}

leaf!(
    Origin,
    "origin",
    "an origin: \"https://app.example.com\", \"https://*.example.com\" (one label) or \"*\""
);

const EXAMPLE: &str = "write \"https://app.example.com\", \"https://*.example.com\" or \"*\"";

impl Origin {
    /// Whether a browser's `Origin` is this one. Byte by byte: browsers send the serialised form, in lower case and
    /// without a default port, and whatever else arrives is not from one.
    pub fn holds(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(own) => **own == *origin,
            Self::Subdomain { before, after } => origin
                .strip_prefix(&**before)
                .and_then(|rest| rest.strip_suffix(&**after))
                .is_some_and(is_label),
        }
    }
}

impl FromStr for Origin {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let wrong = |help: &str| LeafError::new(format!("`{text}` is not an origin")).help(help);
        if text == "*" {
            return Ok(Self::Any);
        }
        if text == "null" {
            return Err(LeafError::new("the origin `null` can be sent by anyone")
                .help("files and sandboxed frames have it; give the page a real origin"));
        }
        let (scheme, authority) = text.split_once("://").ok_or_else(|| wrong(EXAMPLE))?;
        if let Some(slash) = authority.find(['/', '?', '#']) {
            let origin = authority.get(..slash).unwrap_or_default();
            return Err(wrong(&format!(
                "an origin ends before the path; write \"{scheme}://{origin}\""
            )));
        }
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(wrong(&format!(
                "browsers send lower case; write \"{}\"",
                text.to_ascii_lowercase()
            )));
        }
        let (host, port) = split_port(authority).ok_or_else(|| wrong(EXAMPLE))?;
        if !is_scheme(scheme) {
            return Err(wrong(EXAMPLE));
        }
        let port = port.filter(|port| Some(*port) != default_port(scheme));
        let port = port.map_or_else(String::new, |port| format!(":{port}"));
        match host.strip_prefix("*.") {
            Some(domain) if !domain.contains('.') && domain != "localhost" => Err(wrong(
                "a wildcard stands below a domain: \"https://*.example.com\"",
            )),
            Some(domain) if is_name(domain) => Ok(Self::Subdomain {
                before: format!("{scheme}://").into(),
                after: format!(".{domain}{port}").into(),
            }),
            None if is_host(host) => Ok(Self::Exact(format!("{scheme}://{host}{port}").into())),
            _ => Err(wrong(EXAMPLE)),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Exact(origin) => f.write_str(origin),
            Self::Subdomain { before, after } => write!(f, "{before}*{after}"),
        }
    }
}

/// Host and port; `None` where the port is none.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_host = authority.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = authority
        .get(after_host..)?
        .find(':')
        .map(|at| at + after_host)
    else {
        return Some((authority, None));
    };
    let digits = authority.get(colon + 1..)?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0');
    let port = digits.parse().ok().filter(|_| plain)?;
    Some((authority.get(..colon)?, Some(port)))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// Apps have schemes of their own, such as `capacitor://localhost`.
fn is_scheme(text: &str) -> bool {
    let rest =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.');
    text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(rest)
}

fn is_host(host: &str) -> bool {
    match host
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
    {
        Some(inner) => inner
            .parse::<Ipv6Addr>()
            .is_ok_and(|address| address.to_string() == inner),
        None => is_name(host),
    }
}

/// A DNS name or an IPv4 address. What ends in a number is an address to browsers, or nothing.
fn is_name(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit());
    host.len() <= 253
        && host.split('.').all(is_label)
        && (!numeric || host.parse::<Ipv4Addr>().is_ok())
}

fn is_label(label: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
    (1..=63).contains(&label.len()) && label.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Origin {
        text.parse().unwrap()
    }

    #[test]
    fn prints_what_it_reads_without_default_ports() {
        for text in [
            "*",
            "https://app.example.com",
            "http://localhost:3000",
            "https://*.example.com:8443",
            "http://127.0.0.1:5173",
            "http://[::1]:8080",
            "capacitor://localhost",
            "https://*.localhost",
        ] {
            assert_eq!(origin(text).to_string(), text);
        }
        assert_eq!(origin("https://a.example:443"), origin("https://a.example"));
        assert_eq!(origin("http://a.example:80"), origin("http://a.example"));
        assert_eq!(
            origin("http://a.example:443").to_string(),
            "http://a.example:443"
        );
    }

    #[test]
    fn refuses_what_no_browser_sends() {
        for text in [
            "",
            "null",
            "app.example.com",
            "https://",
            "https://a.example/",
            "https://a.example/x",
            "HTTPS://a.example",
            "https://A.example",
            "https://u@a.example",
            "https://a..example",
            "https://a.example:0",
            "https://a.example:99999",
            "https://a.example:",
            "https://a.example:080",
            "https://*",
            "https://*.com",
            "https://a.*.com",
            "https://*.*.example.com",
            "https://*a.example.com",
            "https://bücher.example",
            "https://1.2.3",
            "https://256.1.1.1",
            "http://[::1",
            "http://[::0001]",
            "//a.example",
            "https://a.example?x",
            "https://*.10.0.0.1.",
            "1http://a.example",
            "https://a b",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text:?}");
        }
        let help = |text: &str| text.parse::<Origin>().unwrap_err().help.unwrap();
        assert!(help("https://a.example/x").ends_with("write \"https://a.example\""));
        assert!(help("https://A.example").ends_with("write \"https://a.example\""));
    }

    #[test]
    fn a_wildcard_is_one_label_and_respects_dots_and_ports() {
        let wild = origin("https://*.example.com");
        assert!(wild.holds("https://app.example.com"));
        for other in [
            "https://example.com",
            "https://.example.com",
            "https://a.b.example.com",
            "https://evilexample.com",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.net",
            "https://evil.net/.example.com",
            "https://evil.net:1.example.com",
            "https://u@.example.com",
            "https://APP.example.com",
            "null",
            "",
        ] {
            assert!(!wild.holds(other), "{other:?}");
        }
        assert!(origin("https://*.example.com:8443").holds("https://app.example.com:8443"));
        assert!(!origin("https://*.example.com:8443").holds("https://app.example.com"));
    }

    #[test]
    fn an_exact_origin_is_itself_alone() {
        let exact = origin("https://a.example");
        assert!(exact.holds("https://a.example"));
        for other in [
            "https://a.example:443",
            "https://a.example.evil.net",
            "http://a.example",
            "https://A.example",
        ] {
            assert!(!exact.holds(other), "{other}");
        }
    }
}
