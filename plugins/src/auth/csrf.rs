//! Requests that a page of another origin makes with the user's cookies.
//!
//! Browsers send cookies with requests of any page. A credential in a cookie therefore counts only where nothing can be
//! changed, or where the browser says that the page is of our own origin: by `Sec-Fetch-Site`, or, where it does not
//! send that, by `Origin`. A WebSocket begins with a `GET` and may do anything, so it needs the same.

use http::header;

use crate::contract::prelude::*;

/// Whether a credential in a cookie may count for this request. `external` is the origin under which clients know us,
/// where the configuration says it; else it is what the request asks for.
pub(super) fn permits(request: &RequestView<'_>, external: Option<&str>) -> bool {
    let safe = matches!(
        *request.method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    );
    (safe && !opens_socket(request.headers)) || is_same_origin(request, external)
}

/// Whether the browser says that a page of our own origin, or the user himself, makes the request.
pub(super) fn is_same_origin(request: &RequestView<'_>, external: Option<&str>) -> bool {
    match one(request.headers, "sec-fetch-site") {
        Ok(Some(site)) => matches!(site, b"same-origin" | b"none"),
        Ok(None) => match one(request.headers, "origin") {
            Ok(Some(origin)) => is_ours(origin, request, external),
            Ok(None) | Err(Repeated) => false,
        },
        Err(Repeated) => false,
    }
}

/// A field is there twice.
struct Repeated;

fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a [u8]>, Repeated> {
    let mut fields = headers.get_all(name).iter();
    match (fields.next(), fields.next()) {
        (_, Some(_)) => Err(Repeated),
        (field, None) => Ok(field.map(HeaderValue::as_bytes)),
    }
}

fn opens_socket(headers: &HeaderMap) -> bool {
    headers.contains_key(header::UPGRADE)
}

/// Scheme, host and port alike (RFC 6454 section 4).
fn is_ours(origin: &[u8], request: &RequestView<'_>, external: Option<&str>) -> bool {
    if let Some(external) = external {
        return origin.eq_ignore_ascii_case(external.as_bytes());
    }
    let Ok(origin) = std::str::from_utf8(origin) else {
        return false;
    };
    let scheme = if request.secure { "https" } else { "http" };
    let Some(authority) = origin
        .strip_prefix(scheme)
        .and_then(|rest| rest.strip_prefix("://"))
    else {
        return false;
    };
    let asked = match one(request.headers, "host") {
        Ok(Some(host)) => std::str::from_utf8(host).unwrap_or_default(),
        // Without the field the port is not known here: the scheme's own is the only one that cannot be another server's.
        Ok(None) => request.host,
        Err(Repeated) => return false,
    };
    let default = if request.secure { ":443" } else { ":80" };
    let plain = |authority: &str| {
        let authority = authority.strip_suffix(default).unwrap_or(authority);
        authority.to_ascii_lowercase()
    };
    plain(authority) == plain(asked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::testing::TestRequest;

    fn post() -> TestRequest {
        TestRequest::new("POST", "https://app.example.com/orders")
    }

    fn permitted(request: &TestRequest) -> bool {
        permits(&request.view(), None)
    }

    #[test]
    fn safe_methods_pass_and_sockets_do_not() {
        for method in ["GET", "HEAD", "OPTIONS"] {
            let request = || TestRequest::new(method, "https://app.example.com/");
            assert!(
                permitted(&request().header("sec-fetch-site", "cross-site")),
                "{method}"
            );
            assert!(
                !permitted(&request().header("upgrade", "websocket")),
                "{method}"
            );
        }
        let socket = || {
            TestRequest::get("https://app.example.com/")
                .header("host", "app.example.com")
                .header("upgrade", "websocket")
        };
        assert!(permitted(
            &socket().header("origin", "https://app.example.com")
        ));
        assert!(!permitted(
            &socket().header("origin", "https://evil.example")
        ));
    }

    #[test]
    fn browsers_say_where_a_request_comes_from() {
        for (site, passes) in [
            ("same-origin", true),
            ("none", true),
            ("same-site", false),
            ("cross-site", false),
            ("", false),
            ("Same-Origin", false),
        ] {
            assert_eq!(
                permitted(&post().header("sec-fetch-site", site)),
                passes,
                "{site}"
            );
        }
        // What the one says is not put right by the other.
        let both = post()
            .header("sec-fetch-site", "cross-site")
            .header("origin", "https://app.example.com");
        assert!(!permitted(&both));
        let twice = post()
            .header("sec-fetch-site", "same-origin")
            .header("sec-fetch-site", "same-origin");
        assert!(!permitted(&twice));
        assert!(
            !permitted(&post()),
            "who says nothing is no browser of ours"
        );
    }

    #[test]
    fn origins_are_compared_whole() {
        let from = |origin: &str, host: &str| {
            permitted(&post().header("host", host).header("origin", origin))
        };
        assert!(from("https://app.example.com", "app.example.com"));
        assert!(from("https://App.example.com", "app.example.com:443"));
        assert!(from("https://app.example.com:8443", "app.example.com:8443"));
        for other in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
            "https://evil.example",
            "https://example.com",
            "null",
            "",
        ] {
            assert!(!from(other, "app.example.com"), "{other}");
        }
        let twice = post()
            .header("host", "app.example.com")
            .header("origin", "https://app.example.com")
            .header("origin", "https://app.example.com");
        assert!(!permitted(&twice));
    }

    #[test]
    fn the_external_url_counts_and_not_the_host() {
        let request = post()
            .header("host", "internal:9000")
            .header("origin", "https://app.example.com");
        assert!(!permits(&request.view(), None));
        assert!(permits(&request.view(), Some("https://app.example.com")));
        let internal = post()
            .header("host", "internal:9000")
            .header("origin", "https://internal:9000");
        assert!(!permits(&internal.view(), Some("https://app.example.com")));
    }
}
