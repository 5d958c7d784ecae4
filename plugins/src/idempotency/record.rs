//! What is remembered of a key, as bytes: in memory and in a store the same.
//!
//! A record of an unknown form, or one that is cut, is none: whoever reads it treats the store as broken.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::print::Digest;

/// The first byte of every record; another form gets another.
const FORM: u8 = 1;
const RUNNING: u8 = b'r';
const UNKEPT: u8 = b'u';
const KEPT: u8 = b'k';

/// What is remembered of a key.
#[derive(Debug, PartialEq)]
pub(super) enum Record {
    /// A request with it is under way, and has this head.
    Running(Digest),
    /// One was carried out, but its answer could not be kept.
    Unkept(Digest),
    /// One was carried out.
    Kept(Kept),
}

/// An answer.
#[derive(Debug, PartialEq)]
pub struct Kept {
    /// Of the request's head.
    pub(super) head: Digest,
    /// Of the request's body.
    pub(super) body: Digest,
    pub(super) status: StatusCode,
    pub(super) fields: Vec<(HeaderName, HeaderValue)>,
    pub(super) content: Bytes,
}

/// A record of a request that is under way; the token tells it from all others.
pub(super) fn running(token: [u8; 16], head: &Digest) -> Bytes {
    [&[FORM, RUNNING], &head[..], &token[..]].concat().into()
}

/// A record of an answer that could not be kept.
pub(super) fn unkept(head: &Digest) -> Bytes {
    [&[FORM, UNKEPT], &head[..]].concat().into()
}

impl Record {
    /// Reads a record.
    pub(super) fn read(bytes: &Bytes) -> Option<Self> {
        let rest: &[u8] = bytes;
        let (&[form, kind], rest) = rest.split_first_chunk()?;
        let (head, rest) = rest.split_first_chunk::<32>()?;
        match (form, kind) {
            (FORM, RUNNING) => Some(Self::Running(*head)),
            (FORM, UNKEPT) => Some(Self::Unkept(*head)),
            (FORM, KEPT) => kept(*head, rest, bytes).map(Self::Kept),
            _ => None,
        }
    }

    /// The request's head.
    pub(super) fn head(&self) -> &Digest {
        match self {
            Self::Running(head) | Self::Unkept(head) => head,
            Self::Kept(kept) => &kept.head,
        }
    }
}

fn kept(head: Digest, rest: &[u8], whole: &Bytes) -> Option<Kept> {
    let (body, rest) = rest.split_first_chunk::<32>()?;
    let (status, rest) = rest.split_first_chunk::<2>()?;
    let (count, mut rest) = rest.split_first_chunk::<2>()?;
    let mut fields = Vec::new();
    for _ in 0..u16::from_le_bytes(*count) {
        let (name, tail) = part(rest)?;
        let (value, tail) = part(tail)?;
        fields.push((
            HeaderName::from_bytes(name).ok()?,
            HeaderValue::from_bytes(value).ok()?,
        ));
        rest = tail;
    }
    Some(Kept {
        head,
        body: *body,
        status: StatusCode::from_u16(u16::from_le_bytes(*status))
            .ok()
            .filter(|status| !status.is_informational())?,
        fields,
        content: whole.slice_ref(rest),
    })
}

fn part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// A record of an answer while it goes by.
pub(super) struct Writing {
    bytes: Vec<u8>,
    content: usize,
}

/// Where the digest of the request's body stands.
const BODY_AT: std::ops::Range<usize> = 34..66;

impl Writing {
    /// The head of the answer; `None` where it is no head that could be kept.
    pub(super) fn begin(request: &Digest, status: StatusCode, fields: &HeaderMap) -> Option<Self> {
        let mut bytes = [&[FORM, KEPT], &request[..], &Digest::default()[..]].concat();
        bytes.extend_from_slice(&status.as_u16().to_le_bytes());
        let nominated = nominated(fields);
        let lasting = |name: &HeaderName| !passing(name) && !nominated.contains(name);
        let kept: Vec<_> = fields.iter().filter(|(name, _)| lasting(name)).collect();
        bytes.extend_from_slice(&u16::try_from(kept.len()).ok()?.to_le_bytes());
        for (name, value) in kept {
            for part in [name.as_str().as_bytes(), value.as_bytes()] {
                bytes.extend_from_slice(&u32::try_from(part.len()).ok()?.to_le_bytes());
                bytes.extend_from_slice(part);
            }
        }
        Some(Self { bytes, content: 0 })
    }

    /// A piece of the content; its bytes so far.
    pub(super) fn piece(&mut self, piece: &[u8]) -> usize {
        self.bytes.extend_from_slice(piece);
        self.content = self.content.saturating_add(piece.len());
        self.content
    }

    /// The whole record, now that the request's body is known.
    pub(super) fn finish(&self, body: &Digest) -> Bytes {
        let mut bytes = self.bytes.clone();
        if let Some(place) = bytes.get_mut(BODY_AT) {
            place.copy_from_slice(body);
        }
        bytes.into()
    }
}

/// Fields of one hop or one moment: the gateway writes its own where a replay needs them.
fn passing(name: &HeaderName) -> bool {
    [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::TE,
        header::TRAILER,
        header::UPGRADE,
        header::PROXY_AUTHENTICATE,
        header::DATE,
        header::AGE,
    ]
    .contains(name)
        || ["keep-alive", "proxy-connection", "x-request-id"].contains(&name.as_str())
}

/// What `Connection` says is of this hop, too.
fn nominated(fields: &HeaderMap) -> Vec<HeaderName> {
    let lists = fields.get_all(header::CONNECTION).iter();
    lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(fields: &[(&str, &str)], pieces: &[&[u8]]) -> Bytes {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        let mut writing = Writing::begin(&[1; 32], StatusCode::CREATED, &map).unwrap();
        for piece in pieces {
            writing.piece(piece);
        }
        writing.finish(&[2; 32])
    }

    fn read(bytes: &Bytes) -> Kept {
        match Record::read(bytes) {
            Some(Record::Kept(kept)) => kept,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_answer_is_read_as_it_was_written() {
        let fields = [
            ("content-type", "text/plain"),
            ("set-cookie", "a=b"),
            ("set-cookie", "c=d"),
        ];
        let kept = read(&answer(&fields, &[b"he", b"", b"llo"]));
        assert_eq!((kept.head, kept.body), ([1; 32], [2; 32]));
        assert_eq!(
            (kept.status, &kept.content[..]),
            (StatusCode::CREATED, &b"hello"[..])
        );
        let again: Vec<_> = kept
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
            .collect();
        assert_eq!(again, fields);
    }

    #[test]
    fn fields_of_one_hop_are_left_out() {
        let kept = read(&answer(
            &[
                ("connection", "keep-alive, X-Hop"),
                ("x-hop", "1"),
                ("keep-alive", "5"),
                ("transfer-encoding", "chunked"),
                ("content-length", "3"),
                ("date", "now"),
                ("age", "3"),
                ("x-own", "1"),
            ],
            &[],
        ));
        assert_eq!(kept.fields.len(), 1);
        assert_eq!(kept.fields[0].0, "x-own");
    }

    #[test]
    fn knows_the_others() {
        let (one, two) = (running([1; 16], &[7; 32]), running([2; 16], &[7; 32]));
        assert_ne!(one, two, "a token is somebody's");
        assert_eq!(Record::read(&one), Some(Record::Running([7; 32])));
        assert_eq!(
            Record::read(&unkept(&[7; 32])),
            Some(Record::Unkept([7; 32]))
        );
    }

    proptest! {
        #[test]
        fn what_is_cut_or_bent_is_no_record_or_another(
            at in 0_usize..120, byte: u8, cut in 0_usize..120,
        ) {
            let whole = answer(&[("content-type", "text/plain")], &[b"hello"]);
            let mut bent = whole.to_vec();
            if let Some(place) = bent.get_mut(at) {
                *place = byte;
            }
            bent.truncate(cut);
            drop(Record::read(&Bytes::from(bent)));
            let short = whole.slice(..cut.min(69));
            prop_assert_eq!(Record::read(&short), None);
        }
    }
}
