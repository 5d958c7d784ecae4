//! The host of a route: a name, an address, or every name one label below a name.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{PatternError, placeholder};

/// One host pattern, in lower case and without a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPattern {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    Exact(String),
    /// Exactly one label, then a name.
    Wildcard {
        /// What the label is called, if anything wants it.
        name: Option<String>,
        /// The name behind the label's dot.
        suffix: String,
    },
}

impl HostPattern {
    /// Reads `api.example.com`, `*.example.com`, `{tenant}.example.com`, `10.0.0.1` or `[::1]`.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text == "*" {
            let error = PatternError::new(0..1, "a lone * is not a host");
            return Err(error.help("leave the host out: then any host matches"));
        }
        let (first, suffix) = text.split_once('.').unwrap_or((text, ""));
        let name = match placeholder(first) {
            _ if first == "*" => None,
            Some(name) => Some(name?.to_owned()),
            None => return exact(text).map(Self::Exact),
        };
        let at = first.len() + 1;
        if suffix.is_empty() {
            let error = PatternError::new(0..text.len(), "nothing stands behind the first label");
            return Err(error.help("write a name behind it, or leave the host out"));
        }
        let suffix_text = suffix;
        let suffix = exact(suffix_text).map_err(|error| error.shifted(at))?;
        if suffix.parse::<Ipv4Addr>().is_ok() || suffix.starts_with('[') {
            let error = PatternError::new(at..text.len(), "addresses have no subdomains");
            return Err(error.help("name the host in full"));
        }
        Ok(Self::Wildcard { name, suffix })
    }

    /// The name of the captured label.
    pub fn capture(&self) -> Option<&str> {
        match self {
            Self::Exact(_) => None,
            Self::Wildcard { name, .. } => name.as_deref(),
        }
    }

    /// Whether both match the same hosts, whatever they call the label.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(a), Self::Exact(b))
            | (Self::Wildcard { suffix: a, .. }, Self::Wildcard { suffix: b, .. }) => a == b,
            _ => false,
        }
    }
}

/// Reads a host without wildcard.
fn exact(text: &str) -> Result<String, PatternError> {
    let whole = 0..text.len();
    if text.starts_with('[') {
        return ipv6(text);
    }
    if let Some(at) = text.find(':') {
        let error = PatternError::new(at..text.len(), "a host has no port");
        return Err(error.help("leave the port out (IPv6 addresses stand in brackets)"));
    }
    if text.ends_with('.') {
        let error = PatternError::new(text.len() - 1..text.len(), "a host does not end in a dot");
        return Err(error.help(format!("write {}", text.trim_end_matches('.'))));
    }
    if text.len() > 253 {
        return Err(PatternError::new(
            whole,
            "a host has at most 253 characters",
        ));
    }
    let mut at = 0;
    for label in text.split('.') {
        check_label(label).map_err(|error| error.shifted(at))?;
        at += label.len() + 1;
    }
    // A last label of digits is read as an address by every resolver.
    let last = text.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<Ipv4Addr>().is_err() {
        return Err(PatternError::new(
            whole,
            "this is neither a name nor an IPv4 address",
        ));
    }
    Ok(text.to_ascii_lowercase())
}

fn ipv6(text: &str) -> Result<String, PatternError> {
    let inner = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    match inner.and_then(|inner| inner.parse::<Ipv6Addr>().ok()) {
        Some(address) => Ok(format!("[{address}]")),
        None => Err(PatternError::new(
            0..text.len(),
            "this is not an IPv6 address in brackets",
        )),
    }
}

fn check_label(label: &str) -> Result<(), PatternError> {
    let at = 0..label.len();
    if label.is_empty() {
        return Err(PatternError::new(at, "a host has an empty label"));
    }
    if label.len() > 63 {
        return Err(PatternError::new(
            at,
            "a label of a host has at most 63 characters",
        ));
    }
    if label.contains(['*', '{', '}']) {
        let error = PatternError::new(at, "a wildcard is the whole first label and nothing else");
        return Err(error.help("write *.example.com or {name}.example.com"));
    }
    if !label.is_ascii() {
        let error = PatternError::new(at, "a host is written in ASCII");
        return Err(error.help("write the name in its xn-- form"));
    }
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if label.bytes().all(good) {
        Ok(())
    } else {
        let error = PatternError::new(at, format!("\"{label}\" cannot be part of a host"));
        Err(error.help("a host has letters, digits, - and _ between its dots"))
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Wildcard {
                name: Some(name),
                suffix,
            } => write!(f, "{{{name}}}.{suffix}"),
            Self::Wildcard { name: None, suffix } => write!(f, "*.{suffix}"),
        }
    }
}
