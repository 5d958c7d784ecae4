//! The checks of a head that our own reader has not seen because it came by HTTP/2.
//!
//! The library has refused what is malformed there; here a listener's limits hold as they do for HTTP/1, and what names
//! the host is as strict: upstreams read it in HTTP/1.

use http::header;
use pingora::http::RequestHeader;

use crate::config::model::ListenerConfig;
use crate::listen::HeadRefusal;
use crate::listen::check::check_places;

/// What a listener does not take.
pub(super) fn check(head: &RequestHeader, listener: &ListenerConfig) -> Result<(), HeadRefusal> {
    if head.raw_path().len() > listener.uri_max {
        return Err(HeadRefusal::UriTooLong);
    }
    if head.headers.len() > listener.headers_max {
        return Err(HeadRefusal::HeadersTooMany);
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = hosts.next().map(http::HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(HeadRefusal::HostRepeated);
    }
    let authority = head.uri.authority().map(|one| one.as_str().as_bytes());
    let secure = head.uri.scheme_str() == Some("https");
    check_places(authority, host, if secure { 443 } else { 80 })
}
