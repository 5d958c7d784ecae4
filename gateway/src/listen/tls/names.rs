//! The names that a certificate covers (RFC 9525): exact ones, `*.` for one label, addresses.
//!
//! The common name of the subject covers nothing; browsers stopped reading it long ago.

use std::net::IpAddr;

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::X509Certificate;

/// What a certificate covers, in lower case.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    exact: Vec<Box<str>>,
    /// Without the `*.`.
    wildcard: Vec<Box<str>>,
    addresses: Vec<IpAddr>,
    first: String,
}

impl Names {
    /// The alternative names of a certificate.
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let mut names = Self::default();
        for extension in certificate.extensions() {
            if let ParsedExtension::SubjectAlternativeName(found) = extension.parsed_extension() {
                found.general_names.iter().for_each(|name| names.add(name));
            }
        }
        names
    }

    fn add(&mut self, name: &GeneralName<'_>) {
        let text = match name {
            GeneralName::DNSName(name) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                match name.strip_prefix("*.") {
                    Some(parent) => self.wildcard.push(parent.into()),
                    None => self.exact.push(name.as_str().into()),
                }
                name
            }
            GeneralName::IPAddress(bytes) => match address(bytes) {
                Some(address) => {
                    self.addresses.push(address);
                    address.to_string()
                }
                None => return,
            },
            GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::URI(_)
            | GeneralName::RegisteredID(_) => return,
        };
        if self.first.is_empty() {
            self.first = text;
        }
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    /// The name that it goes by: the first.
    pub fn first(&self) -> &str {
        &self.first
    }

    /// Exact names.
    pub fn exact(&self) -> impl Iterator<Item = &str> {
        self.exact.iter().map(|name| &**name)
    }

    /// Wildcard names without their `*.`.
    pub fn wildcard(&self) -> impl Iterator<Item = &str> {
        self.wildcard.iter().map(|name| &**name)
    }

    /// Every name as it would be written.
    pub fn all(&self) -> impl Iterator<Item = String> {
        let exact = self.exact.iter().map(ToString::to_string);
        let wildcard = self.wildcard.iter().map(|parent| format!("*.{parent}"));
        let addresses = self.addresses.iter().map(ToString::to_string);
        exact.chain(wildcard).chain(addresses)
    }

    /// Whether they cover a host: in lower case, without port, an IPv6 address in brackets.
    pub fn cover(&self, host: &str) -> bool {
        if self.exact().any(|name| name == host) {
            return true;
        }
        if let Some(address) = literal(host) {
            return self.addresses.contains(&address);
        }
        // A wildcard is one label, never none and never two.
        let parts = host.split_once('.').filter(|(label, _)| !label.is_empty());
        let parent = parts.map(|(_, parent)| parent);
        parent.is_some_and(|parent| self.wildcard().any(|name| name == parent))
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(four.into());
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

fn literal(host: &str) -> Option<IpAddr> {
    let bare = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}
