//! Fields after a body. What decides how a message is framed, routed or judged must come before it (RFC 9110 section
//! 6.5.1); such a field among the trailers is dropped, lest a client merges it with the head.
//!
//! Trailers of an answer pass from HTTP/2 to HTTP/2. Everything else is dropped by Pingora, as the RFC allows: trailers of
//! requests, and those of answers where one side speaks HTTP/1.

use http::{HeaderMap, HeaderName};

/// Drops what is no trailer.
pub(super) fn clean(trailers: &mut HeaderMap) {
    let unfit: Vec<HeaderName> = trailers
        .keys()
        .filter(|name| is_unfit(name.as_str()))
        .cloned()
        .collect();
    for name in unfit {
        trailers.remove(name);
    }
}

fn is_unfit(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "content-encoding"
            | "content-length"
            | "content-range"
            | "content-type"
            | "host"
            | "keep-alive"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "age"
            | "cache-control"
            | "expires"
            | "date"
            | "location"
            | "retry-after"
            | "set-cookie"
            | "vary"
            | "warning"
            | "www-authenticate"
            | "proxy-authenticate"
            | "authorization"
            | "x-request-id"
    ) || name.starts_with("access-control-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_what_must_come_before_the_body() {
        let names = [
            "grpc-status",
            "set-cookie",
            "x-sum",
            "content-length",
            "access-control-allow-origin",
            "etag",
        ];
        let mut trailers = HeaderMap::new();
        for name in names {
            trailers.append(name, "1".parse().unwrap());
        }
        clean(&mut trailers);
        let mut left: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["etag", "grpc-status", "x-sum"]);
    }
}
