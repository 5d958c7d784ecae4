//! How long an upstream may be silent (`read-timeout`), and from the head of a stream on both sides
//! (`stream-idle-timeout`): watched by the deadline of the client's side.
//!
//! Pingora would start a timer for every read. The client's side has a timer already, the deadline of its request, which
//! moves for the price of a store: it stands at the request's deadline or at the end of the silence, whichever is
//! earlier. It also outlives what Pingora cannot change: the timeouts of an attempt are fixed before its answer says
//! whether it is a stream.

use std::time::Instant;

use pingora::prelude::Session;
use pingora::upstreams::peer::HttpPeer;

use super::ctx::Seen;
use crate::config::model::StreamLimits;
use crate::listen;

/// Takes the watch over from Pingora, where it can be taken.
pub(super) fn take_over(session: &mut Session, peer: &mut HttpPeer, seen: &mut Seen) {
    seen.silence = None;
    if session.cache.support_streaming_partial_write() == Some(true) {
        // Pingora goes on without the client where an answer may be kept, and would take our deadline for the client's
        // end. Its own timeout ends by the deadline, too.
        listen::set_deadline(session, None);
        return;
    }
    if listen::set_deadline(session, seen.deadline) {
        seen.silence = peer.options.read_timeout.take();
    }
}

/// The silence begins now: the request is sent, or a piece of the answer has come.
pub(super) fn begins(session: &mut Session, seen: &Seen, now: Instant) {
    if let Some(silence) = seen.silence {
        let until = now + silence;
        let until = seen.deadline.map_or(until, |deadline| deadline.min(until));
        listen::set_deadline(session, Some(until));
    }
}

/// Nobody waits for the upstream: the client is still sending, or has the answer to take.
pub(super) fn ends(session: &mut Session, seen: &Seen) {
    if seen.silence.is_some() {
        listen::set_deadline(session, seen.deadline);
    }
}

/// The head of a stream is there: from now on only the limits of streams hold.
pub(super) fn streams(session: &mut Session, seen: &mut Seen, limits: StreamLimits, now: Instant) {
    seen.streams = true;
    // What the client asked for does not end with the head.
    let asked = seen
        .asked
        .and_then(|asked| seen.started?.checked_add(asked));
    seen.deadline = [now.checked_add(limits.max), asked]
        .into_iter()
        .flatten()
        .min();
    seen.silence = seen.silence.map(|_| limits.idle);
    listen::forgive_pauses(session);
    begins(session, seen, now);
}
