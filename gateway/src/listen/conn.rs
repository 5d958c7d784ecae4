//! One client connection as Pingora sees it: the socket, the end of the current message, and a lazy write buffer.
//!
//! Pingora takes any byte after a message for a broken client, so bytes of the next message are withheld (up to a cap) and
//! only an end of stream shows through. What Pingora writes is gathered, so that head and body leave in one system call; it
//! leaves on flush, before a read waits, and on shutdown. An idle connection owns no buffer.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::time::Sleep;

use super::facts::ConnFacts;
use super::framing::{Boundary, Framing};
use super::live::Live;
use super::tls::TlsFacts;

use self::deadline::Deadline;
pub use self::deadline::is_slow_body;
pub(crate) use self::pace::Allowance;
use self::pace::Pace;
pub(crate) use self::socket::{Io, Plain};

mod closing;
pub(super) mod deadline;
mod io_impl;
pub(in crate::listen) mod pace;
mod reading;
mod socket;
mod writing;

/// Bytes of later messages that a connection may hold while the current one is worked on.
const EARLY_MAX: usize = 64 * 1024;

/// A client connection.
#[derive(Debug)]
pub(crate) struct Conn {
    io: Io,
    facts: ConnFacts,
    /// Received and not yet handed on: the rest of this message, or the beginning of later ones.
    early: BytesMut,
    boundary: Boundary,
    answer: Answer,
    http2: bool,
    ended: bool,
    began: Instant,
    /// Accepted from Pingora and not yet sent.
    pending: BytesMut,
    write_timeout: Duration,
    deadline: Deadline,
    pace: Pace,
    /// When the first frame of HTTP/2 must be here.
    settings_due: Option<Instant>,
    /// Runs while the client takes nothing.
    stall: Option<Pin<Box<Sleep>>>,
}

/// How far the answer to the current request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// No final status yet; whether a 101 would be one.
    Awaited {
        upgrade: bool,
    },
    Begun,
}

impl Conn {
    pub(crate) fn new(io: Io, facts: ConnFacts, write_timeout: Duration) -> Self {
        Self {
            io,
            facts,
            early: BytesMut::new(),
            boundary: Boundary::Done,
            answer: Answer::Begun,
            http2: false,
            ended: false,
            began: Instant::now(),
            pending: BytesMut::new(),
            write_timeout,
            deadline: Deadline::new(),
            pace: Pace::default(),
            settings_due: None,
            stall: None,
        }
    }

    /// What is known about this connection.
    pub(crate) fn facts(&self) -> &ConnFacts {
        &self.facts
    }

    /// Takes the socket away for a handshake; `put` gives it back.
    pub(crate) fn take_plain(&mut self) -> Option<Plain> {
        match std::mem::replace(&mut self.io, Io::Away) {
            Io::Plain(plain) => Some(plain),
            other @ (Io::Tls(_) | Io::Away) => {
                self.io = other;
                None
            }
        }
    }

    /// What carries the bytes from here on.
    pub(crate) fn put(&mut self, io: Io) {
        self.io = io;
    }

    /// From here on this connection is encrypted.
    pub(crate) fn note_tls(&mut self, facts: Arc<TlsFacts>) {
        self.facts.tls = Some(facts);
    }

    /// Follows the listener to its latest settings, which a reload may have changed since the last request.
    pub(crate) fn adopt(&mut self, live: &Live) {
        self.write_timeout = live.settings.write_timeout;
        if !Arc::ptr_eq(&self.facts.listener, &live.facts) {
            self.facts.listener = Arc::clone(&live.facts);
        }
    }

    /// When the first byte of the current head arrived.
    pub(crate) fn head_began(&self) -> Instant {
        self.began
    }

    pub(crate) fn note_head_began(&mut self) {
        self.began = Instant::now();
    }

    /// When the current request must be over; none until the next head says otherwise.
    pub(crate) fn set_deadline(&self, deadline: Option<Instant>) {
        self.deadline.set(deadline);
    }

    /// From here on the bytes after a head belong to a message that is framed like this.
    pub(crate) fn begin_message(&mut self, framing: Framing, upgrade: bool, body: Allowance) {
        self.boundary = Boundary::of(framing);
        if framing != Framing::None {
            self.pace.begin(body);
        }
        self.deadline.set(None);
        self.answer = Answer::Awaited { upgrade };
    }

    /// From here on the current message may come as slowly as it likes.
    pub(crate) fn forgive_pauses(&self) {
        self.pace.forgive();
    }

    /// Whether the next thing on this connection can be another request.
    pub(crate) fn is_between_messages(&self) -> bool {
        matches!(self.boundary, Boundary::Done) && !(self.ended && self.early.is_empty())
    }

    /// Whether everything that Pingora wrote was sent.
    pub(crate) fn pending_is_empty(&self) -> bool {
        self.pending.is_empty() && !self.io.holds_unsent()
    }

    /// From here on this is HTTP/2: no messages to follow, and what is written is already gathered.
    pub(crate) fn turn_http2(&mut self, settings_within: Duration) {
        self.http2 = true;
        self.boundary = Boundary::Raw;
        self.settings_due = self.began.checked_add(settings_within);
    }
}
