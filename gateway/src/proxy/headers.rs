//! The head that an upstream gets: what clients may not say is gone, what the gateway says is added.
//!
//! Pingora has removed the hop-by-hop fields and what `Connection` nominates before this runs.

use std::fmt::Write;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Version, header};
use pingora::http::RequestHeader;
use pingora::prelude::Error;
use plugins::contract::template::Place;
use plugins::contract::value::ValueError;
use plugins::contract::view::RequestView;

use crate::config::model::{Forwarded, HostPolicy, PathChange, UpstreamConfig};
use crate::runtime::route::Route;

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
    /// The version the client speaks.
    pub version: Version,
    /// `host:port` of the target.
    pub target: &'a str,
}

/// Why no head could be made.
pub enum Unfit {
    /// The client's request lacks a value that the route needs.
    Value(ValueError),
    /// Pingora takes the result for malformed.
    Pingora(Box<Error>),
}

impl From<Box<Error>> for Unfit {
    fn from(error: Box<Error>) -> Self {
        Self::Pingora(error)
    }
}

impl From<ValueError> for Unfit {
    fn from(error: ValueError) -> Self {
        Self::Value(error)
    }
}

/// Turns a copy of the client's head into the one for the upstream.
pub fn prepare(
    head: &mut RequestHeader,
    hop: &Hop<'_>,
    route: &Route,
    upstream: &UpstreamConfig,
    path_changed: bool,
) -> Result<(), Unfit> {
    let client_host = client_host(head);
    remove_untrusted(head, hop.trusted);
    forwarded(head, hop, upstream.forwarded, client_host.as_ref())?;
    via(head, hop.version)?;
    head.insert_header("X-Request-Id", hop.id.clone())?;
    path(head, hop.view, &route.path, path_changed)?;
    host(head, hop, route, &upstream.host)
}

fn client_host(head: &RequestHeader) -> Option<HeaderValue> {
    match head.headers.get(header::HOST) {
        Some(host) => Some(host.clone()),
        None => HeaderValue::from_str(head.uri.authority()?.as_str()).ok(),
    }
}

/// Drops what only a trusted proxy may say, and every name with an underscore: many servers read `a_b` as `a-b`, which
/// would let a client say what the gateway has just removed.
fn remove_untrusted(head: &mut RequestHeader, trusted: bool) {
    let unwanted = |name: &&HeaderName| {
        let name = name.as_str();
        name.contains('_') || (!trusted && only_from_proxies(name))
    };
    let names: Vec<HeaderName> = head.headers.keys().filter(unwanted).cloned().collect();
    for name in names {
        head.remove_header(&name);
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
                )
        }
        Some(b'f') => name == "forwarded",
        Some(b't') => name == "true-client-ip",
        _ => false,
    }
}

fn forwarded(
    head: &mut RequestHeader,
    hop: &Hop<'_>,
    which: Forwarded,
    client_host: Option<&HeaderValue>,
) -> Result<(), Box<Error>> {
    let (legacy, ietf) = match which {
        Forwarded::Legacy => (true, false),
        Forwarded::Ietf => (false, true),
        Forwarded::Both => (true, true),
        Forwarded::None => (false, false),
    };
    if legacy {
        x_forwarded(head, hop, client_host)?;
    } else {
        for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"] {
            head.remove_header(name);
        }
    }
    if ietf {
        rfc7239(head, hop, client_host)
    } else {
        head.remove_header("forwarded");
        Ok(())
    }
}

fn x_forwarded(
    head: &mut RequestHeader,
    hop: &Hop<'_>,
    client_host: Option<&HeaderValue>,
) -> Result<(), Box<Error>> {
    if let Some(peer) = hop.peer {
        let chain = joined(&head.headers, "x-forwarded-for", &peer.to_string());
        head.insert_header("X-Forwarded-For", chain)?;
    }
    // What a trusted proxy says of the client's own connection stays; it has seen it and we have not.
    let proto = if hop.view.secure { "https" } else { "http" };
    head.insert_header("X-Forwarded-Proto", HeaderValue::from_static(proto))?;
    match client_host {
        Some(host) if !head.headers.contains_key("x-forwarded-host") => {
            head.insert_header("X-Forwarded-Host", host.clone())
        }
        Some(_) | None => Ok(()),
    }
}

/// Adds our element (RFC 7239 section 4) to what trusted proxies wrote.
fn rfc7239(
    head: &mut RequestHeader,
    hop: &Hop<'_>,
    client_host: Option<&HeaderValue>,
) -> Result<(), Box<Error>> {
    let mut element = String::from("for=");
    let written = match hop.peer {
        Some(IpAddr::V4(peer)) => write!(element, "{peer}"),
        // Colons need quotes, IPv6 needs brackets (section 6).
        Some(IpAddr::V6(peer)) => write!(element, "\"[{peer}]\""),
        None => element.write_str("unknown"),
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
    if let Some(host) = client_host.and_then(|host| host.to_str().ok()) {
        element.push_str(";host=\"");
        element.extend(host.chars().filter(|c| !matches!(c, '"' | '\\')));
        element.push('"');
    }
    element.push_str(if hop.view.secure {
        ";proto=https"
    } else {
        ";proto=http"
    });
    let chain = joined(&head.headers, "forwarded", &element);
    head.insert_header("Forwarded", chain)
}

/// `Via: 1.1 gateway` behind what earlier hops wrote (RFC 9110 section 7.6.3).
fn via(head: &mut RequestHeader, version: Version) -> Result<(), Box<Error>> {
    let ours = match version {
        Version::HTTP_10 => "1.0 gateway",
        Version::HTTP_2 => "2 gateway",
        _ => "1.1 gateway",
    };
    let value = if head.headers.contains_key(header::VIA) {
        joined(&head.headers, "via", ours)
    } else {
        HeaderValue::from_static(ours)
    };
    head.insert_header("Via", value)
}

/// All values of a field and one more, as one list.
fn joined(headers: &HeaderMap, name: &'static str, last: &str) -> HeaderValue {
    let mut list: Vec<u8> = Vec::with_capacity(last.len());
    for value in headers.get_all(name) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(last.as_bytes());
    // Joined from values that were values; the fallback cannot be seen.
    HeaderValue::from_maybe_shared(bytes::Bytes::from(list))
        .unwrap_or(HeaderValue::from_static("unknown"))
}

/// The upstream receives the path that was matched, changed as the route says.
fn path(
    head: &mut RequestHeader,
    view: &RequestView<'_>,
    change: &PathChange,
    normalised: bool,
) -> Result<(), Unfit> {
    let mut target = match change {
        PathChange::Keep if !normalised => return Ok(()),
        PathChange::Keep => view.path.to_owned(),
        PathChange::StripPrefix(prefix) => stripped(view.path, prefix),
        PathChange::Rewrite(template) => {
            let mut path = String::new();
            template.render(view, Place::Path, &mut path)?;
            path
        }
    };
    if let Some(query) = view.query {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(query);
    }
    let uri = target.parse().map_err(|_| ValueError::NotPath)?;
    head.set_uri(uri);
    Ok(())
}

/// The path without leading segments; what is left starts with `/`.
fn stripped(path: &str, prefix: &str) -> String {
    match path.strip_prefix(prefix) {
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        Some("") => "/".to_owned(),
        Some(_) | None => path.to_owned(),
    }
}

fn host(
    head: &mut RequestHeader,
    hop: &Hop<'_>,
    route: &Route,
    policy: &HostPolicy,
) -> Result<(), Unfit> {
    let value = match (&route.host, policy) {
        (Some(template), _) => {
            let mut host = String::new();
            template.render(hop.view, Place::Host, &mut host)?;
            HeaderValue::try_from(host).map_err(|_| ValueError::NotText)?
        }
        (None, HostPolicy::Client) if has_host(head) => return Ok(()),
        // HTTP/1.0 knows no `Host`, and HTTP/1.1 upstreams refuse a request without one.
        (None, HostPolicy::Client | HostPolicy::Target) => {
            HeaderValue::from_str(hop.target).map_err(|_| ValueError::NotText)?
        }
        (None, HostPolicy::Literal(host)) => host.clone(),
    };
    head.insert_header(header::HOST, value)?;
    Ok(())
}

fn has_host(head: &RequestHeader) -> bool {
    head.headers.contains_key(header::HOST) || head.uri.authority().is_some()
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
