//! Names that others read: of hosts, certificates and cookies.

use std::str::FromStr;

use plugins::contract::leaf::LeafError;
use plugins::leaf;

use super::address::{is_host_name, is_port};
use crate::config::model::HostPolicy;

/// The `Host` that an upstream sees.
#[derive(Debug, Clone)]
pub(in crate::config) struct HostChoice(pub(in crate::config) HostPolicy);

/// A name that a certificate may have: of a host, or an IP address.
#[derive(Debug, Clone)]
pub(in crate::config) struct CertificateName(pub(in crate::config) String);

/// The name of a cookie that the gateway sets.
#[derive(Debug, Clone)]
pub(in crate::config) struct CookieName(pub(in crate::config) String);

leaf!(
    HostChoice,
    "host-policy",
    "\"client\", \"target\" or a host name"
);

leaf!(
    CertificateName,
    "certificate-name",
    "the name of a host: \"orders.internal\""
);

leaf!(CookieName, "cookie-name", "the name of a cookie: \"lb\"");

impl FromStr for HostChoice {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        match text {
            "client" => return Ok(Self(HostPolicy::Client)),
            "target" => return Ok(Self(HostPolicy::Target)),
            _ => {}
        }
        let authority = text.parse::<http::uri::Authority>();
        let value = http::HeaderValue::from_str(text);
        match (authority, value) {
            (Ok(authority), Ok(value)) if !authority.as_str().contains('@') => {
                Ok(Self(HostPolicy::Literal(value)))
            }
            _ => Err(LeafError::new(format!("`{text}` is not a host"))
                .help("write \"client\", \"target\" or a host name")),
        }
    }
}

impl FromStr for CertificateName {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        if text.parse::<std::net::IpAddr>().is_ok() || is_host_name(text) {
            let name = text.strip_suffix('.').unwrap_or(text);
            return Ok(Self(name.to_ascii_lowercase()));
        }
        let error = LeafError::new(format!("no certificate can have the name `{text}`"));
        Err(match text.rsplit_once(':') {
            Some((name, port)) if is_port(port) => error.help(format!("write \"{name}\"")),
            _ => error.help("write the name of a host, without port: \"orders.internal\""),
        })
    }
}

impl FromStr for CookieName {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        // A token (RFC 6265 section 4.1.1), as a method is.
        match http::Method::from_bytes(text.as_bytes()) {
            Ok(_token) => Ok(Self(text.to_owned())),
            Err(_) => Err(
                LeafError::new(format!("`{text}` cannot be the name of a cookie"))
                    .help("write letters, digits, `-` and `_`"),
            ),
        }
    }
}
