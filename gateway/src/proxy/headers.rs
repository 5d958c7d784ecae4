//! The head that an upstream gets: what clients may not say is gone, what the gateway says is added.
//!
//! Pingora has removed the hop-by-hop fields and what `Connection` nominates before this runs.

use std::net::IpAddr;

use http::header::{Entry, InvalidHeaderValue};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, Version, header};
use pingora::http::RequestHeader;
use plugins::contract::template::Place;
use plugins::contract::value::ValueError;
use plugins::contract::view::RequestView;

use super::{client_addr, lower};
use crate::config::model::{Forwarded, HostPolicy, PathChange, UpstreamConfig};
use crate::decide::REQUEST_ID;
use crate::runtime::route::Route;
use crate::text::AddressText;

/// What one attempt knows of the connection it came by.
pub struct Hop<'a> {
    /// The request.
    pub view: &'a RequestView<'a>,
    /// Its id.
    pub id: &'a HeaderValue,
    /// The address of the connection's other end.
    pub peer: Option<IpAddr>,
    /// Whether that end is a trusted proxy.
    pub trusted: bool,
    /// Whether the client came by TLS.
    pub secure: bool,
    /// The version the client speaks.
    pub version: Version,
    /// `host:port` of the target.
    pub target: &'a str,
}

/// Why no head could be made: the client's request lacks a value that the route needs.
pub type Unfit = ValueError;

/// Fields that a head gains here, at most.
const ADDED: usize = 7;

static FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Turns a copy of the client's head into the one for the upstream.
pub fn prepare(
    head: &mut RequestHeader,
    hop: &Hop<'_>,
    route: &Route,
    upstream: &UpstreamConfig,
    path_changed: bool,
) -> Result<(), Unfit> {
    lower::change(head, |parts| {
        let client_host = client_host(parts);
        // Once, instead of growing with each of them.
        parts.headers.reserve(ADDED);
        remove_untrusted(&mut parts.headers, hop.trusted);
        forwarded(
            &mut parts.headers,
            hop,
            upstream.forwarded,
            client_host.as_ref(),
        );
        via(&mut parts.headers, hop.version);
        parts.headers.insert(&REQUEST_ID, hop.id.clone());
        path(&mut parts.uri, hop, &route.path, path_changed)?;
        host(parts, hop, route, &upstream.host)
    })
}

fn client_host(parts: &Parts) -> Option<HeaderValue> {
    match parts.headers.get(header::HOST) {
        Some(host) => Some(host.clone()),
        None => HeaderValue::from_str(parts.uri.authority()?.as_str()).ok(),
    }
}

/// Drops what only a trusted proxy may say, and every name with an underscore: many servers read `a_b` as `a-b`, which
/// would let a client say what the gateway has just removed.
fn remove_untrusted(headers: &mut HeaderMap, trusted: bool) {
    let unwanted = |name: &&HeaderName| {
        let name = name.as_str();
        name.as_bytes().contains(&b'_') || (!trusted && only_from_proxies(name))
    };
    let names: Vec<HeaderName> = headers.keys().filter(unwanted).cloned().collect();
    for name in names {
        headers.remove(&name);
    }
}

fn only_from_proxies(name: &str) -> bool {
    match name.as_bytes().first() {
        Some(b'x') => {
            name.starts_with("x-forwarded-")
                || matches!(
                    name,
                    "x-real-ip"
                        | "x-original-url"
                        | "x-rewrite-url"
                        | "x-http-method-override"
                        | "x-original-host"
                        | "x-gateway-attempt"
                        | "x-envoy-attempt-count"
                )
        }
        Some(b'f') => name == "forwarded",
        Some(b't') => name == "true-client-ip",
        _ => false,
    }
}

fn forwarded(
    headers: &mut HeaderMap,
    hop: &Hop<'_>,
    which: Forwarded,
    client_host: Option<&HeaderValue>,
) {
    let (legacy, ietf) = match which {
        Forwarded::Legacy => (true, false),
        Forwarded::Ietf => (false, true),
        Forwarded::Both => (true, true),
        Forwarded::None => (false, false),
    };
    if legacy {
        x_forwarded(headers, hop, client_host);
    } else if hop.trusted {
        for name in [&client_addr::FOR, &client_addr::PROTO, &FORWARDED_HOST] {
            headers.remove(name);
        }
    }
    if ietf {
        rfc7239(headers, hop, client_host);
    } else if hop.trusted {
        headers.remove(header::FORWARDED);
    }
}

fn x_forwarded(headers: &mut HeaderMap, hop: &Hop<'_>, client_host: Option<&HeaderValue>) {
    if let Some(peer) = hop.peer {
        let address = AddressText::of(peer);
        append_to_list(headers, &client_addr::FOR, value(address.as_bytes()));
    }
    // What a trusted proxy says of the client's own connection stays; it has seen it and we have not.
    let proto = if hop.secure { "https" } else { "http" };
    headers.insert(&client_addr::PROTO, HeaderValue::from_static(proto));
    let said = hop.trusted && headers.contains_key(&FORWARDED_HOST);
    if let Some(host) = client_host.filter(|_| !said) {
        headers.insert(&FORWARDED_HOST, host.clone());
    }
}

/// Adds our element (RFC 7239 section 4) to what trusted proxies wrote.
fn rfc7239(headers: &mut HeaderMap, hop: &Hop<'_>, client_host: Option<&HeaderValue>) {
    let mut element: Vec<u8> = Vec::with_capacity(96);
    element.extend_from_slice(b"for=");
    match hop.peer.map(|peer| (peer, AddressText::of(peer))) {
        Some((IpAddr::V4(_), text)) => element.extend_from_slice(text.as_bytes()),
        // Colons need quotes, IPv6 needs brackets (section 6).
        Some((IpAddr::V6(_), text)) => {
            element.extend_from_slice(b"\"[");
            element.extend_from_slice(text.as_bytes());
            element.extend_from_slice(b"]\"");
        }
        None => element.extend_from_slice(b"unknown"),
    }
    if let Some(host) = client_host {
        element.extend_from_slice(b";host=\"");
        element.extend(
            host.as_bytes()
                .iter()
                .filter(|byte| !matches!(byte, b'"' | b'\\')),
        );
        element.push(b'"');
    }
    element.extend_from_slice(if hop.secure {
        b";proto=https"
    } else {
        b";proto=http"
    });
    append_to_list(headers, &header::FORWARDED, value(&element));
}

/// `Via: 1.1 gateway` behind what earlier hops wrote (RFC 9110 section 7.6.3).
fn via(headers: &mut HeaderMap, version: Version) {
    let ours = match version {
        Version::HTTP_10 => "1.0 gateway",
        Version::HTTP_2 => "2 gateway",
        _ => "1.1 gateway",
    };
    append_to_list(headers, &header::VIA, HeaderValue::from_static(ours));
}

/// Puts an element behind what a field's values hold already; one value results.
fn append_to_list(headers: &mut HeaderMap, name: &HeaderName, element: HeaderValue) {
    match headers.try_entry(name) {
        Ok(Entry::Vacant(place)) => drop(place.try_insert(element)),
        Ok(Entry::Occupied(mut place)) => {
            let mut list: Vec<u8> = Vec::with_capacity(64);
            for value in &place {
                list.extend_from_slice(value.as_bytes());
                list.extend_from_slice(b", ");
            }
            list.extend_from_slice(element.as_bytes());
            place.insert(value(&list));
        }
        // More fields than a map can hold; no listener lets so many in.
        Err(_) => {}
    }
}

/// A value made of what were values or addresses before; the fallback cannot be seen.
fn value(bytes: &[u8]) -> HeaderValue {
    HeaderValue::from_bytes(bytes).unwrap_or(HeaderValue::from_static("unknown"))
}

/// The upstream receives the path that was matched, changed as the route says.
fn path(uri: &mut Uri, hop: &Hop<'_>, change: &PathChange, normalised: bool) -> Result<(), Unfit> {
    let mut target = match change {
        PathChange::Keep if !normalised => return Ok(()),
        PathChange::Keep => hop.view.path.to_owned(),
        PathChange::StripPrefix(prefix) => stripped(hop.view.path, prefix),
        PathChange::Rewrite(template) => {
            let mut path = String::new();
            template.render(hop.view, Place::Path, &mut path)?;
            path
        }
    };
    if let Some(query) = hop.view.query {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(query);
    }
    *uri = retarget(uri, &target).map_err(|_| ValueError::NotPath)?;
    Ok(())
}

/// The same authority with another path and query.
fn retarget(uri: &Uri, target: &str) -> Result<Uri, http::Error> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse()?);
    Ok(Uri::from_parts(parts)?)
}

/// The path without leading segments; what is left starts with `/`.
fn stripped(path: &str, prefix: &str) -> String {
    match path.strip_prefix(prefix) {
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        Some("") => "/".to_owned(),
        Some(_) | None => path.to_owned(),
    }
}

fn host(parts: &mut Parts, hop: &Hop<'_>, route: &Route, policy: &HostPolicy) -> Result<(), Unfit> {
    let value = match (&route.host, policy) {
        (Some(template), _) => {
            let mut host = String::new();
            template.render(hop.view, Place::Host, &mut host)?;
            HeaderValue::try_from(host).map_err(|_| ValueError::NotText)?
        }
        (None, HostPolicy::Client) if parts.headers.contains_key(header::HOST) => return Ok(()),
        (None, HostPolicy::Client | HostPolicy::Target) => {
            // Pingora makes authority and scheme of HTTP/2 from this field, and knows the target's scheme. HTTP/1.0 has
            // neither field nor authority, and HTTP/1.1 upstreams refuse a request without one.
            let sent = parts
                .uri
                .authority()
                .filter(|_| *policy == HostPolicy::Client);
            match sent {
                Some(sent) => HeaderValue::from_str(sent.as_str()),
                None => host_of(hop.target),
            }
            .map_err(|_| ValueError::NotText)?
        }
        (None, HostPolicy::Literal(host)) => host.clone(),
    };
    parts.headers.insert(header::HOST, value);
    Ok(())
}

/// What `Host` says where it names the target.
pub fn host_of(target: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    HeaderValue::from_str(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strips_whole_segments() {
        assert_eq!(stripped("/api/v1/orders", "/api/v1"), "/orders");
        assert_eq!(stripped("/api/v1", "/api/v1"), "/");
        assert_eq!(stripped("/api/v1/", "/api/v1"), "/");
        assert_eq!(stripped("/api/v10", "/api/v1"), "/api/v10");
    }

    #[test]
    fn names_only_proxies_may_send() {
        for name in [
            "x-forwarded-for",
            "x-forwarded-prefix",
            "forwarded",
            "x-real-ip",
            "true-client-ip",
            "x-original-url",
        ] {
            assert!(only_from_proxies(name), "{name}");
        }
        for name in ["x-request-id", "from", "te", "x-tenant", "host", ""] {
            assert!(!only_from_proxies(name), "{name}");
        }
    }
}
