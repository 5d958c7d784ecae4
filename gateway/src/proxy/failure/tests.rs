//! Which failure is what to a client.

use super::*;

fn code(source: ErrorSource, kind: ErrorType) -> Option<&'static str> {
    let error = Error::create(kind, source, None, None);
    judge(&error, false).map(|refusal| refusal.code)
}

#[test]
fn maps_each_failure() {
    use ErrorSource::{Downstream, Internal, Upstream};
    for (source, kind, expected) in [
        (
            Upstream,
            ErrorType::ConnectRefused,
            Some("upstream.unreachable"),
        ),
        (
            Upstream,
            ErrorType::TLSHandshakeFailure,
            Some("upstream.tls"),
        ),
        (
            Upstream,
            ErrorType::ConnectTimedout,
            Some("upstream.connect-timeout"),
        ),
        (Upstream, ErrorType::ReadTimedout, Some("upstream.timeout")),
        (
            Upstream,
            ErrorType::ConnectionClosed,
            Some("upstream.closed"),
        ),
        (
            Upstream,
            ErrorType::InvalidHTTPHeader,
            Some("upstream.bad-response"),
        ),
        (Downstream, ErrorType::ReadTimedout, Some("client.timeout")),
        (Downstream, ErrorType::ConnectionClosed, None),
        (Downstream, ErrorType::WriteError, None),
        (Internal, NO_TARGET, Some("upstream.no-target")),
        (Internal, DEADLINE, Some("request.timeout")),
        (Internal, ErrorType::InternalError, Some("gateway.internal")),
    ] {
        assert_eq!(
            code(source.clone(), kind.clone()),
            expected,
            "{source:?} {kind:?}"
        );
    }
}

#[test]
fn a_wait_that_ended_with_the_deadline_is_the_deadline() {
    let error = Error::new_up(ErrorType::ReadTimedout);
    assert_eq!(judge(&error, true).unwrap().code, "request.timeout");
}
