//! How long an upstream may be silent (`read-timeout`), watched by the client's connection.
//!
//! Pingora would start a timer for every read. A connection of HTTP/1 has a timer already, the deadline of its request, which
//! moves for the price of a store: it stands at the route's deadline or at the end of the silence, whichever is
//! earlier. Streams of HTTP/2 share a connection and keep Pingora's timers.

use std::time::Instant;

use pingora::prelude::Session;
use pingora::upstreams::peer::HttpPeer;

use super::ctx::Seen;
use crate::listen;

/// Takes the watch over from Pingora, where it can be taken.
pub(super) fn take_over(session: &Session, peer: &mut HttpPeer, seen: &mut Seen) {
    seen.silence = None;
    if session.as_http1().is_some() {
        seen.silence = peer.options.read_timeout.take();
    }
}

/// The silence begins now: the request is sent, or a piece of the answer has come.
pub(super) fn begins(session: &Session, seen: &Seen, now: Instant) {
    if let Some(silence) = seen.silence {
        let until = now + silence;
        let until = seen.deadline.map_or(until, |deadline| deadline.min(until));
        listen::set_deadline(session, Some(until));
    }
}

/// Nobody waits for the upstream: the client is still sending, or has the answer to take.
pub(super) fn ends(session: &Session, seen: &Seen) {
    if seen.silence.is_some() {
        listen::set_deadline(session, seen.deadline);
    }
}
