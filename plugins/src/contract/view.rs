//! What a plugin sees of a request and of an answer.

use std::net::IpAddr;
use std::time::Instant;

use http::response::Parts;
use http::{HeaderMap, Method, Response};
use pingora_http::ResponseHeader;

use super::facts::Facts;

/// A request as the gateway judges it: the path normalised, the client's address behind trusted proxies resolved.
#[derive(Clone, Copy)]
pub struct RequestView<'a> {
    /// The method.
    pub method: &'a Method,
    /// Whether the client came by TLS (or a trusted proxy says so).
    pub secure: bool,
    /// Host name in lower case, without port.
    pub host: &'a str,
    /// The normalised path, without query.
    pub path: &'a str,
    /// The query as received, without `?`.
    pub query: Option<&'a str>,
    /// The header fields as received.
    pub headers: &'a HeaderMap,
    /// The client's address; `None` where there is none (a unix socket). IPv4-mapped IPv6 is given as IPv4.
    pub client: Option<IpAddr>,
    /// The certificate that the client showed; verified, and none where the listener asks for none or the client has none.
    pub client_certificate: Option<&'a ClientCertificate>,
    /// Name of the listener.
    pub listener: &'a str,
    /// Name of the route.
    pub route: &'a str,
    /// What the route's pattern captured.
    pub captures: &'a dyn Captured,
    /// What the head says of the body.
    pub body: RequestBody,
    /// When its time is over; `None` where nobody waits for an answer: `explain`.
    pub deadline: Option<Instant>,
    /// What the chain has found out about it.
    pub facts: &'a Facts,
}

/// A certificate that a client has proven to hold and whose issuer the listener trusts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject as text (RFC 4514): `CN=worker-7,O=Example`.
    pub subject: String,
    /// DNS names in lower case.
    pub dns_names: Vec<String>,
    /// URIs, for example a SPIFFE ID.
    pub uris: Vec<String>,
    /// Mail addresses.
    pub emails: Vec<String>,
    /// Internet addresses.
    pub addresses: Vec<IpAddr>,
    /// SHA-256 of the certificate in lower-case hexadecimal.
    pub fingerprint: String,
}

/// What the head says of the request's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// There is none.
    None,
    /// This many bytes.
    Length(u64),
    /// Some, of unknown length.
    Unknown,
}

/// Parts of host and path that a route's pattern named.
pub trait Captured: Sync {
    /// `host.NAME`
    fn host(&self, name: &str) -> Option<&str>;
    /// `path.NAME`
    fn path(&self, name: &str) -> Option<&str>;
}

/// An answer on its way to the client, whoever made it.
pub struct ResponseView<'a> {
    /// Status and header fields.
    pub head: &'a mut ResponseHeader,
    /// Whether the gateway made it.
    pub ours: bool,
}

impl ResponseView<'_> {
    /// Changes the fields themselves: the head's own methods parse and copy every name.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut HeaderMap) -> T) -> T {
        change_fields(self.head, change)
    }
}

/// Changes the fields of an answer's head, which forgets the letter case of their names. A reason phrase of the upstream's
/// own goes with it: it has no meaning (RFC 9112 section 4).
pub fn change_fields<T>(head: &mut ResponseHeader, change: impl FnOnce(&mut HeaderMap) -> T) -> T {
    let empty = ResponseHeader::from(Response::new(()).into_parts().0);
    let mut parts = Parts::from(std::mem::replace(head, empty));
    let result = change(&mut parts.headers);
    *head = ResponseHeader::from(parts);
    result
}

/// Nothing was captured.
pub struct NothingCaptured;

impl Captured for NothingCaptured {
    fn host(&self, _name: &str) -> Option<&str> {
        None
    }

    fn path(&self, _name: &str) -> Option<&str> {
        None
    }
}
