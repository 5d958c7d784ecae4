//! The checks of a head that our own reader has not seen because it came by HTTP/2.
//!
//! The library has refused what is malformed there; here a listener's limits hold as they do for HTTP/1, and what names
//! the host is as strict: upstreams read it in HTTP/1.

use http::header;
use pingora::http::RequestHeader;

use crate::config::model::ListenerConfig;
use crate::listen::HeadRefusal;
use crate::listen::check::{check_expectation, check_places, check_target};

/// What a listener does not take.
pub(super) fn check(head: &RequestHeader, listener: &ListenerConfig) -> Result<(), HeadRefusal> {
    if head.raw_path().len() > listener.uri_max {
        return Err(HeadRefusal::UriTooLong);
    }
    check_target(head.method.as_str().as_bytes(), head.raw_path())?;
    if head.headers.len() > listener.headers_max {
        return Err(HeadRefusal::HeadersTooMany);
    }
    for expected in head.headers.get_all(header::EXPECT) {
        check_expectation(expected.as_bytes())?;
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
