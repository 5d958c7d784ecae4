//! The client's address behind trusted proxies.
//!
//! `X-Forwarded-For` is read from the right and only while whoever wrote the element is trusted: it stops at the first
//! untrusted or malformed element. `Forwarded` is written for upstreams but never read, so that a proxy which passes one
//! of the two through unread cannot be used to lie.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};
use plugins::ip_filter::Ranges;

/// The header that is read.
pub(super) static FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) static PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Who asks.
#[derive(Debug, PartialEq, Eq)]
pub struct Client {
    /// The client's address; `None` behind a unix socket that tells none.
    pub address: Option<IpAddr>,
    /// Whether the connection's other end is a trusted proxy, so that its forwarding headers are believed.
    pub trusted: bool,
}

/// Resolves the client. `peer` is the connection's other end; `None` for a unix socket, which is trusted wherever the
/// listener trusts anybody: who may open it is a matter of file permissions.
pub fn resolve(
    peer: Option<IpAddr>,
    headers: &HeaderMap,
    trusted: &Ranges,
    trusts: bool,
) -> Client {
    let peer = peer.map(|peer| peer.to_canonical());
    if !trusts || peer.is_some_and(|peer| !trusted.contains(peer)) {
        return Client {
            address: peer,
            trusted: false,
        };
    }
    let mut client = peer;
    for element in elements_from_the_right(headers) {
        let Some(address) = address(element) else {
            break;
        };
        client = Some(address);
        if !trusted.contains(address) {
            break;
        }
    }
    Client {
        address: client,
        trusted: true,
    }
}

/// Whether the trusted proxy says that the client came by TLS.
pub fn secure(headers: &HeaderMap) -> Option<bool> {
    let mut values = headers.get_all(&PROTO).iter();
    match (
        values.next().map(http::HeaderValue::as_bytes),
        values.next(),
    ) {
        (Some(proto), None) if proto.eq_ignore_ascii_case(b"https") => Some(true),
        (Some(proto), None) if proto.eq_ignore_ascii_case(b"http") => Some(false),
        _ => None,
    }
}

/// The elements of all fields as one list, last first. A field that is no text is one malformed element.
fn elements_from_the_right(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let fields = headers.get_all(&FOR).iter().rev();
    fields.flat_map(|field| {
        field
            .to_str()
            .unwrap_or_default()
            .rsplit(',')
            .map(str::trim)
    })
}

/// An address with or without port and brackets.
fn address(element: &str) -> Option<IpAddr> {
    let bare = element
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(element);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| {
        element
            .parse::<SocketAddr>()
            .ok()
            .map(|address| address.ip())
    });
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, fields: &[&str]) -> (String, bool) {
        let trusted = Ranges::new(&["10.0.0.0/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(FOR.clone(), http::HeaderValue::from_str(field).unwrap());
        }
        let client = resolve(Some(peer.parse().unwrap()), &headers, &trusted, true);
        (client.address.unwrap().to_string(), client.trusted)
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        assert_eq!(
            client("192.0.2.1", &["198.51.100.7"]),
            ("192.0.2.1".into(), false)
        );
    }

    #[test]
    fn reads_from_the_right_up_to_the_first_untrusted() {
        assert_eq!(
            client("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"]).0,
            "198.51.100.7"
        );
        assert_eq!(
            client("10.0.0.1", &["1.1.1.1", "198.51.100.7", "10.0.0.2"]).0,
            "198.51.100.7"
        );
        assert_eq!(
            client("10.0.0.1", &["10.0.0.3, 10.0.0.2"]).0,
            "10.0.0.3",
            "all trusted: the farthest"
        );
        assert_eq!(client("10.0.0.1", &[]).0, "10.0.0.1");
    }

    #[test]
    fn stops_at_a_malformed_element() {
        assert_eq!(
            client("10.0.0.1", &["198.51.100.7, nonsense, 10.0.0.2"]).0,
            "10.0.0.2"
        );
        assert_eq!(client("10.0.0.1", &["198.51.100.7,"]).0, "10.0.0.1");
    }

    #[test]
    fn reads_ports_brackets_and_mapped_addresses() {
        assert_eq!(client("10.0.0.1", &["198.51.100.7:4711"]).0, "198.51.100.7");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]:4711"]).0, "2001:db8::1");
        assert_eq!(client("10.0.0.1", &["[2001:db8::1]"]).0, "2001:db8::1");
        assert_eq!(
            client("::ffff:10.0.0.1", &["::ffff:198.51.100.7"]).0,
            "198.51.100.7"
        );
    }

    #[test]
    fn a_unix_peer_counts_as_trusted_only_where_somebody_is() {
        let trusted = Ranges::new(&["10.0.0.0/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        headers.append(FOR.clone(), http::HeaderValue::from_static("198.51.100.7"));
        let address = Some("198.51.100.7".parse().unwrap());
        assert_eq!(
            resolve(None, &headers, &trusted, true),
            Client {
                address,
                trusted: true
            }
        );
        assert_eq!(
            resolve(None, &headers, &Ranges::default(), false),
            Client {
                address: None,
                trusted: false
            }
        );
    }
}
