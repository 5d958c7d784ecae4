//! The checks of an upstream's response head that Pingora leaves out: what two readers could read in two ways is no answer.
//!
//! Pingora's parser takes heads of a megabyte, repeated lengths that agree and any transfer coding. The head that leaves us is
//! written anew from these fields, so this is the place to refuse. What is gone before anybody could see it, Pingora has
//! settled as RFC 9112 allows: a folded line is one line with spaces (section 5.2), and beside a coding a length does not
//! count and does not travel on (section 6.3).

use http::{HeaderValue, StatusCode, Version, header};
use pingora::http::ResponseHeader;

/// All fields of a head together, each with its colon, space and line end.
const BYTES_MAX: usize = 64 * 1024;
const FIELD_EXTRA: usize = 4;
/// Informational heads before an answer. Upstreams send one or two.
pub(super) const INTERIM_MAX: u8 = 16;

/// What a head says of its own connection, which is nobody else's business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnHop {
    /// `Connection` names other fields.
    pub(super) nominates: bool,
    /// There are fields that belong to it without being named.
    pub(super) others: bool,
}

/// One look at every field: what has to be removed, or why the head is no answer.
pub(super) fn look(head: &ResponseHeader) -> Result<OwnHop, &'static str> {
    let (mut bytes, mut lengths, mut codings) = (0, Said::default(), Said::default());
    let mut hop = OwnHop::default();
    for (name, value) in &head.headers {
        bytes += name.as_str().len() + value.len() + FIELD_EXTRA;
        match name.as_str() {
            "content-length" => lengths.add(is_plain_number(value)),
            "transfer-encoding" => codings.add(value.as_bytes().eq_ignore_ascii_case(b"chunked")),
            "connection" => hop.nominates |= !names_nothing(value.as_bytes()),
            "keep-alive" | "proxy-connection" | "upgrade" => hop.others = true,
            _ => {}
        }
    }
    if bytes > BYTES_MAX {
        Err("a head that is too large")
    } else if lengths.is_ambiguous() {
        Err("an ambiguous length")
    } else if codings.is_ambiguous() {
        Err("a transfer coding other than chunked")
    } else if codings.count > 0 && head.version == Version::HTTP_10 {
        Err("a transfer coding in HTTP/1.0")
    } else {
        Ok(hop)
    }
}

/// A field that may stand once and say one kind of thing.
#[derive(Default)]
struct Said {
    count: usize,
    wrong: bool,
}

impl Said {
    fn add(&mut self, right: bool) {
        self.count += 1;
        self.wrong |= !right;
    }

    fn is_ambiguous(&self) -> bool {
        self.count > 1 || self.wrong
    }
}

/// Nearly every `Connection` says one of these; `Keep-Alive` goes by its own name.
fn names_nothing(options: &[u8]) -> bool {
    options.eq_ignore_ascii_case(b"close") || options.eq_ignore_ascii_case(b"keep-alive")
}

fn is_plain_number(value: &HeaderValue) -> bool {
    !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit)
}

/// Answers that have no body must not speak of one: a reader who believes it would take the next answer for it.
pub(super) fn drop_framing_of_nothing(head: &mut ResponseHeader) {
    if head.status.is_informational() || head.status == StatusCode::NO_CONTENT {
        head.remove_header(&header::CONTENT_LENGTH);
        head.remove_header(&header::TRANSFER_ENCODING);
    } else if head.status == StatusCode::NOT_MODIFIED {
        head.remove_header(&header::TRANSFER_ENCODING);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_what_a_head_says_of_its_own_connection() {
        let look = |fields: &[(&'static str, &[u8])]| look(&head(Version::HTTP_11, fields));
        let none = OwnHop::default();
        let nominates = OwnHop {
            nominates: true,
            ..none
        };
        let others = OwnHop {
            others: true,
            ..none
        };
        assert_eq!(look(&[("connection", b"Close")]), Ok(none));
        assert_eq!(look(&[("connection", b"close, x-a")]), Ok(nominates));
        assert_eq!(look(&[("keep-alive", b"timeout=5")]), Ok(others));
        assert_eq!(look(&[("upgrade", b"h2c")]), Ok(others));
    }

    fn head(version: Version, fields: &[(&'static str, &[u8])]) -> ResponseHeader {
        let mut head = ResponseHeader::build(200, None).unwrap();
        head.set_version(version);
        for (name, value) in fields {
            head.append_header(*name, HeaderValue::from_bytes(value).unwrap())
                .unwrap();
        }
        head
    }

    #[test]
    fn takes_plain_heads_and_refuses_ambiguous_ones() {
        let (old, new) = (Version::HTTP_10, Version::HTTP_11);
        let large = vec![b'x'; BYTES_MAX];
        for (version, fields, sound) in [
            (
                new,
                &[("content-length", &b"12"[..]), ("x-a", b"b\tc\xff")][..],
                true,
            ),
            (new, &[("transfer-encoding", b"Chunked")], true),
            (old, &[("content-length", b"0")], true),
            (
                new,
                &[("content-length", b"3"), ("content-length", b"3")],
                false,
            ),
            (new, &[("content-length", b"3, 3")], false),
            (new, &[("content-length", b"")], false),
            (new, &[("transfer-encoding", b"gzip, chunked")], false),
            (new, &[("transfer-encoding", b"identity")], false),
            (
                new,
                &[
                    ("transfer-encoding", b"chunked"),
                    ("transfer-encoding", b"chunked"),
                ],
                false,
            ),
            (old, &[("transfer-encoding", b"chunked")], false),
            (new, &[("x-a", &large)], false),
        ] {
            assert_eq!(look(&head(version, fields)).is_ok(), sound, "{fields:?}");
        }
    }
}
