//! What tells one request from another that has the same key: digests of its head and of its body.

use aws_lc_rs::digest::{Context, SHA256};
use http::header;

use crate::contract::prelude::*;

/// A SHA-256.
pub(super) type Digest = [u8; 32];

/// Of the head: method, host, path and query. Where nobody was authenticated, also of the credentials that it shows to the
/// upstream: two who share an address do not get each other's answers.
pub(super) fn of_head(request: &RequestView<'_>) -> Digest {
    let mut context = Context::new(&SHA256);
    framed(&mut context, request.method.as_str().as_bytes());
    framed(&mut context, request.host.as_bytes());
    framed(&mut context, request.path.as_bytes());
    if let Some(query) = request.query {
        framed(&mut context, query.as_bytes());
    }
    if request.facts.identity().is_none() {
        for name in [header::AUTHORIZATION, header::COOKIE] {
            let values = request.headers.get_all(&name);
            framed(&mut context, name.as_str().as_bytes());
            for value in values {
                framed(&mut context, value.as_bytes());
            }
        }
    }
    finish(context)
}

/// Of a body that is not there.
pub(super) fn of_nothing() -> Digest {
    finish(Context::new(&SHA256))
}

/// Lengths keep the parts apart, whatever is in them.
fn framed(context: &mut Context, part: &[u8]) {
    let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
    context.update(&length.to_le_bytes());
    context.update(part);
}

fn finish(context: Context) -> Digest {
    let mut digest = Digest::default();
    for (place, byte) in digest.iter_mut().zip(context.finish().as_ref()) {
        *place = *byte;
    }
    digest
}

/// The digest of a body while it flows by.
pub(super) struct Flowing {
    context: Context,
    declared: RequestBody,
    bytes: u64,
    /// Known once the body has ended.
    pub(super) digest: Option<Digest>,
}

impl Flowing {
    /// Nothing yet; a body that is not there has ended.
    pub(super) fn new(body: RequestBody) -> Self {
        Self {
            context: Context::new(&SHA256),
            declared: body,
            bytes: 0,
            digest: (body == RequestBody::None).then(of_nothing),
        }
    }

    /// Starts again: another attempt sends the body anew.
    pub(super) fn restart(&mut self) {
        if self.bytes > 0 {
            *self = Self::new(self.declared);
        }
    }

    /// A piece went by; the bytes so far.
    pub(super) fn piece(&mut self, chunk: &BodyChunk<'_>) -> u64 {
        if let Some(bytes) = chunk.bytes.as_ref() {
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            self.bytes = self.bytes.saturating_add(length);
            self.context.update(bytes);
        }
        // A stream of HTTP/2 may end later than its last byte, and an upstream that counts does not wait for that.
        let whole = self.declared == RequestBody::Length(self.bytes);
        if (whole || chunk.end) && self.digest.is_none() {
            self.digest = Some(finish(self.context.clone()));
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::identity::Identity;
    use crate::contract::testing::TestRequest;

    fn print(method: &str, url: &str) -> Digest {
        of_head(&TestRequest::new(method, url).view())
    }

    #[test]
    fn requests_differ_in_whatever_they_ask_for() {
        let all = [
            print("POST", "https://a/b"),
            print("PATCH", "https://a/b"),
            print("POST", "https://c/b"),
            print("POST", "https://a/bc"),
            print("POST", "https://a/b?"),
            print("POST", "https://a/b?c"),
        ];
        for (at, one) in all.iter().enumerate() {
            assert_eq!(all.iter().position(|other| other == one), Some(at));
        }
    }

    #[test]
    fn credentials_count_where_nobody_was_authenticated() {
        let with =
            |value: &str| TestRequest::new("POST", "https://a/b").header("Authorization", value);
        assert_ne!(of_head(&with("x").view()), of_head(&with("y").view()));
        let known = |value| with(value).identity(Identity::new("keys", None, "ann"));
        assert_eq!(of_head(&known("x").view()), of_head(&known("y").view()));
    }

    #[test]
    fn a_body_ends_with_its_last_byte() {
        let mut flowing = Flowing::new(RequestBody::Length(3));
        for (piece, known) in [("pa", false), ("y", true), ("", true)] {
            let mut bytes = Some(bytes::Bytes::from_static(piece.as_bytes()));
            let end = false;
            flowing.piece(&BodyChunk {
                bytes: &mut bytes,
                end,
            });
            assert_eq!(flowing.digest.is_some(), known, "{piece}");
        }
    }

    #[test]
    fn a_body_is_the_same_however_it_is_cut() {
        let digest = |pieces: &[&'static [u8]]| {
            let mut flowing = Flowing::new(RequestBody::Unknown);
            for (at, piece) in pieces.iter().enumerate() {
                let mut bytes = Some(bytes::Bytes::from_static(piece));
                let end = at + 1 == pieces.len();
                flowing.piece(&BodyChunk {
                    bytes: &mut bytes,
                    end,
                });
            }
            flowing.digest
        };
        assert_eq!(digest(&[b"pay 5"]), digest(&[b"pay", b"", b" 5"]));
        assert_ne!(digest(&[b"pay 5"]), digest(&[b"pay 6"]));
        assert_eq!(digest(&[b""]), Some(of_nothing()));
    }
}
