//! What a client speaks on top of HTTP, told once by the head of its request.

use http::{HeaderValue, Method, Version, header};
use pingora::http::RequestHeader;

/// A protocol over HTTP whose answers we write as it wants them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Dialect {
    /// HTTP itself.
    #[default]
    Plain,
    /// gRPC, which is HTTP/2 only.
    Grpc,
    /// gRPC-Web, over any version.
    GrpcWeb(Coding),
}

/// How gRPC-Web sends its bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// As gRPC does.
    Binary,
    /// The same in base64.
    Text,
}

/// The beginning of every content type of gRPC.
const GRPC: &[u8] = b"application/grpc";

/// The dialect of a request. Calls are POST, so that other requests cost nothing.
pub(super) fn of(head: &RequestHeader) -> Dialect {
    if head.method != Method::POST {
        return Dialect::Plain;
    }
    let kind = head.headers.get(header::CONTENT_TYPE);
    match kind.and_then(media) {
        Some(Media::Grpc) if head.version == Version::HTTP_2 => Dialect::Grpc,
        Some(Media::Web(coding)) => Dialect::GrpcWeb(coding),
        Some(Media::Grpc) | None => Dialect::Plain,
    }
}

/// How the client of a gRPC-Web call wants the answer: as its `Accept` says, else as it sent its own message.
pub(super) fn wanted(head: &RequestHeader, sent: Coding) -> Coding {
    let accepted = head.headers.get(header::ACCEPT);
    match accepted.and_then(media) {
        Some(Media::Web(coding)) => coding,
        Some(Media::Grpc) | None => sent,
    }
}

/// What follows `application/grpc` in the content type of an upstream's answer: a format such as `+proto`.
pub(super) fn grpc_format(kind: &HeaderValue) -> Option<&[u8]> {
    let rest = after(kind.as_bytes(), GRPC)?;
    (is_end(rest) || rest.first() == Some(&b'+')).then(|| without_parameters(rest))
}

/// A content type without its parameters.
pub(super) fn without_parameters(kind: &[u8]) -> &[u8] {
    let end = kind.iter().position(|byte| matches!(byte, b';' | b' '));
    kind.get(..end.unwrap_or(kind.len())).unwrap_or_default()
}

enum Media {
    Grpc,
    Web(Coding),
}

fn media(kind: &HeaderValue) -> Option<Media> {
    let rest = after(kind.as_bytes(), GRPC)?;
    if is_end(rest) {
        return Some(Media::Grpc);
    }
    let web = after(rest, b"-web")?;
    if is_end(web) {
        return Some(Media::Web(Coding::Binary));
    }
    is_end(after(web, b"-text")?).then_some(Media::Web(Coding::Text))
}

/// Where a media type may stop: at its end, a format, parameters, or the next of a list.
fn is_end(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b'+' | b';' | b' ' | b','))
}

fn after<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spoken(method: &str, version: Version, kind: &'static str) -> Dialect {
        let mut head = RequestHeader::build(method, b"/a.B/C", None).unwrap();
        head.set_version(version);
        head.insert_header(header::CONTENT_TYPE, kind).unwrap();
        of(&head)
    }

    #[test]
    fn tells_grpc_from_its_neighbours() {
        let h2 = Version::HTTP_2;
        for kind in [
            "application/grpc",
            "application/grpc+proto",
            "Application/gRPC;a=b",
        ] {
            assert_eq!(spoken("POST", h2, kind), Dialect::Grpc, "{kind}");
            assert_eq!(spoken("POST", Version::HTTP_11, kind), Dialect::Plain);
            assert_eq!(spoken("GET", h2, kind), Dialect::Plain);
        }
        for kind in [
            "application/grpcx",
            "application/grp",
            "application/grpc-webtext",
            "text/plain",
        ] {
            assert_eq!(spoken("POST", h2, kind), Dialect::Plain, "{kind}");
        }
    }

    #[test]
    fn knows_both_codings() {
        for version in [Version::HTTP_2, Version::HTTP_11] {
            for (kind, coding) in [
                ("application/grpc-web", Coding::Binary),
                ("application/grpc-web+json; charset=utf-8", Coding::Binary),
                ("application/grpc-web-text+proto", Coding::Text),
            ] {
                assert_eq!(
                    spoken("POST", version, kind),
                    Dialect::GrpcWeb(coding),
                    "{kind}"
                );
            }
        }
    }
}
