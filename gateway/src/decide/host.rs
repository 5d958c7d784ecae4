//! The host of a request: in lower case, without port and without the root's dot.

use std::borrow::Cow;
use std::net::Ipv6Addr;

use http::{HeaderMap, Uri, header};

/// The host that the head names: `:authority` or absolute-form first, else `Host`. Empty if there is none.
///
/// The head has been checked before: there is at most one `Host`, it is well formed and agrees with the target.
pub fn of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Cow<'a, str> {
    let authority = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default(),
    };
    canonical(authority)
}

/// Takes port and root's dot off and lowers the case; borrows when nothing changes the bytes.
pub fn canonical(authority: &str) -> Cow<'_, str> {
    if authority.starts_with('[') {
        return literal(authority);
    }
    let mut end = authority.len();
    let mut upper = false;
    for (index, byte) in authority.bytes().enumerate() {
        if byte == b':' {
            end = index;
            break;
        }
        upper |= byte.is_ascii_uppercase();
    }
    let host = authority.get(..end).unwrap_or(authority);
    let host = host.strip_suffix('.').unwrap_or(host);
    if upper {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// An IPv6 address in brackets.
fn literal(authority: &str) -> Cow<'_, str> {
    let end = authority
        .find(']')
        .map_or(authority.len(), |bracket| bracket + 1);
    let host = authority.get(..end).unwrap_or(authority);
    match ipv6(host) {
        Some(address) => Cow::Owned(format!("[{address}]")),
        None => Cow::Owned(host.to_ascii_lowercase()),
    }
}

/// One address has many spellings; routes are matched by the one of RFC 5952.
fn ipv6(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_port_case_and_root_dot_off() {
        for (authority, host) in [
            ("api.example.com", "api.example.com"),
            ("API.example.com:8443", "api.example.com"),
            ("api.example.com.", "api.example.com"),
            ("api.example.com.:80", "api.example.com"),
            ("[2001:DB8::1]:80", "[2001:db8::1]"),
            ("[2001:db8:0:0:0:0:0:1]", "[2001:db8::1]"),
            ("192.0.2.1:80", "192.0.2.1"),
            ("", ""),
        ] {
            assert_eq!(canonical(authority), host);
        }
    }

    #[test]
    fn the_target_wins_over_the_field() {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, "b.example.com".parse().unwrap());
        assert_eq!(of(&Uri::from_static("/x"), &headers), "b.example.com");
        assert_eq!(
            of(&Uri::from_static("http://a.example.com/x"), &headers),
            "a.example.com"
        );
    }
}
