//! What the policy remembers of one request, and how an answer becomes a record.

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version, header};

use super::ledger::Claim;
use super::print::{Digest, Flowing};
use super::record::{self, Kept, Writing};
use crate::contract::prelude::*;

/// What a request has to do with its key.
pub enum Work {
    /// It took the key: its answer becomes a record.
    Owner(Owner),
    /// It gets an answer that is kept.
    Replay(Kept),
    /// It would get one, if the policy were not in shadow.
    Watch(Watch),
}

/// A request that took a key.
pub struct Owner {
    pub(super) claim: Claim,
    head: Digest,
    body: Flowing,
    /// Whether its body is larger than a policy in shadow would let pass.
    too_large: bool,
    phase: Phase,
}

/// A request that a policy in shadow compares.
pub struct Watch {
    pub(super) body: Flowing,
    pub(super) kept: Digest,
}

enum Phase {
    /// There is no answer yet.
    Waiting,
    /// The answer goes by.
    Writing(Writing),
    /// What becomes of the key is settled.
    Over,
}

/// What becomes of a key.
pub(super) enum End {
    /// Its answer is kept.
    Kept(Bytes),
    /// It is used, and its answer cannot be kept.
    Unkept(Bytes),
    /// It may be used again.
    Released,
}

impl Owner {
    pub(super) fn new(claim: Claim, head: Digest, body: RequestBody) -> Self {
        Self {
            claim,
            head,
            body: Flowing::new(body),
            too_large: false,
            phase: Phase::Waiting,
        }
    }

    /// Another attempt sends the body again.
    pub(super) fn restart(&mut self) {
        self.body.restart();
    }

    /// A piece of the request's body; whether this one makes it larger than it may be.
    pub(super) fn sent(&mut self, chunk: &BodyChunk<'_>, most: u64) -> bool {
        let larger = self.body.piece(chunk) > most;
        larger && !std::mem::replace(&mut self.too_large, true)
    }

    /// The head of the answer.
    pub(super) fn answered(&mut self, response: &ResponseView<'_>, most: u64) -> Option<End> {
        let (status, fields) = (response.head.status, &response.head.headers);
        if response.ours || is_void(status) {
            self.phase = Phase::Over;
            return Some(End::Released);
        }
        let writing = Writing::begin(&self.head, status, fields);
        let Some(writing) =
            writing.filter(|_| !is_endless(status, fields) && declared(fields) <= Some(most))
        else {
            return Some(self.unkept());
        };
        self.phase = Phase::Writing(writing);
        let is_empty = declared(fields) == Some(0) || is_bodiless(status);
        // On HTTP/2 trailers may follow all the same.
        if is_empty && response.head.version != Version::HTTP_2 {
            return self.over();
        }
        None
    }

    /// A piece of the answer's body.
    pub(super) fn answer(&mut self, chunk: &BodyChunk<'_>, most: u64) -> Option<End> {
        let Phase::Writing(writing) = &mut self.phase else {
            return None;
        };
        let piece = chunk.bytes.as_deref().unwrap_or_default();
        let bytes = writing.piece(piece);
        if u64::try_from(bytes).is_ok_and(|bytes| bytes > most) {
            return Some(self.unkept());
        }
        if chunk.end { self.over() } else { None }
    }

    /// The answer is there as a whole.
    fn over(&mut self) -> Option<End> {
        let end = self.end(false);
        self.phase = Phase::Over;
        end
    }

    /// What becomes of the key when the answer is over; `None` where that is settled, or there is none. A record has no
    /// place for trailers, and an answer without those that it had is another one.
    pub(super) fn end(&self, trailers: bool) -> Option<End> {
        let Phase::Writing(writing) = &self.phase else {
            return None;
        };
        Some(match self.body.digest {
            Some(body) if !self.too_large && !trailers => End::Kept(writing.finish(&body)),
            // Where the answer came before the request's end, what it answers is not known.
            _ => End::Unkept(record::unkept(&self.head)),
        })
    }

    /// Whether the key's fate is settled.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    fn unkept(&mut self) -> End {
        self.phase = Phase::Over;
        End::Unkept(record::unkept(&self.head))
    }
}

/// Answers that say that nothing was carried out and the same request may be sent again.
fn is_void(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::CONFLICT
            | StatusCode::TOO_EARLY
            | StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// Tunnels and server-sent events.
fn is_endless(status: StatusCode, fields: &HeaderMap) -> bool {
    let kind = fields.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    let events = kind.and_then(|kind| kind.get(..EVENTS.len()));
    status == StatusCode::SWITCHING_PROTOCOLS
        || events.is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS))
}

const EVENTS: &[u8] = b"text/event-stream";

fn is_bodiless(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

/// The length that the head says.
fn declared(fields: &HeaderMap) -> Option<u64> {
    fields
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
