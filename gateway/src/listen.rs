//! The accept path: from a listening socket to a checked request in Pingora's hands.
//!
//! ```text
//! Workers ─ one thread, one runtime, one app each
//!    │            Listeners ─ what is open; prepare and commit at reload
//!    └── accept ◀─────┘   caps, PROXY protocol
//!          ├── tls: the handshake, where the listener has certificates
//!          └── http1: head → check → Conn → Pingora ─┐ next request
//!                │     ▲──────────────────────────────┘
//!                └── http2: by prior knowledge, Pingora's own loop
//! ```
//!
//! Trusts nothing that a client sends. Promises the app requests whose heads every parser reads the same way, each within the
//! listener's limits and deadlines, and a connection that shows neither bytes of the next request nor idle memory.

use std::sync::Arc;

use bytes::Bytes;
use pingora::apps::HttpServerApp;

pub use self::conn::is_slow_body;
pub use self::facts::{
    ConnFacts, Endpoint, ListenerFacts, facts, forgive_pauses, head_began, set_deadline,
};
pub use self::handover::{Caller, Door, HandoverError, Takeover, Wish, upgrade};
pub use self::inherited::{Inherited, Lent};
pub use self::listeners::{BindError, Listeners, Prepared};
pub use self::refusal::{HeadRefusal, TurnedAway};
pub use self::settings::{Address, H2Settings, HeadLimits, Settings};
pub use self::tls::HandshakeFailure;
pub use self::workers::Workers;

mod accept;
mod caps;
mod census;
pub mod check;
mod conn;
mod crowd;
mod facts;
pub mod framing;
mod gate;
mod handover;
mod head;
mod http1;
mod http2;
mod inherited;
mod introduction;
mod listeners;
mod live;
pub mod proxy_protocol;
mod refusal;
mod settings;
mod socket;
pub mod tls;
mod workers;

#[cfg(test)]
mod tests;

/// What the rest of the gateway is to the accept path; one for each worker.
pub trait Reception: Send + Sync + 'static {
    /// The application that serves checked requests: Pingora's `HttpProxy`.
    type App: HttpServerApp + Send + Sync + 'static;

    /// The application.
    fn app(&self) -> &Arc<Self::App>;

    /// The whole HTTP/1.1 answer to a refused head, with `Connection: close`; logs and counts it. `head` is what arrived,
    /// unchecked, never longer than the listener's limit and one read.
    fn refuse(&self, conn: &ConnFacts, refusal: HeadRefusal, head: &[u8]) -> Bytes;

    /// A handshake is over, or has failed.
    fn shaken(&self, _conn: &ConnFacts, _failure: Option<&HandshakeFailure>) {}

    /// A connection was accepted.
    fn opened(&self, _conn: &ConnFacts) {}

    /// It is gone.
    fn closed(&self, _conn: &ConnFacts) {}

    /// A connection was closed before anything of HTTP was read.
    fn turned_away(&self, _listener: &ListenerFacts, _client: Endpoint, _why: TurnedAway) {}
}
