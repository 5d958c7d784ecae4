//! Upgrade without a gap: a running process hands its listening sockets to its successor, and only then drains.
//!
//! ```text
//!  successor                                            running process
//!     │ gateway-control 1 take ───────────────────────────▶ │ same user or root; no reload from here on
//!     │ ◀─────────────────── socket tcp 0.0.0.0:80  [socket] │ one line for each
//!     │ ◀────────────────────────────────────── sockets 3   │ serves on
//!     │ binds what is new, accepts                          │
//!     │ ready ────────────────────────────────────────────▶ │
//!     │ ◀─────────────────────────────────────── draining   │ accepts no more, finishes, ends
//! ```
//!
//! Each wait has a deadline. Until `ready` the running process changes nothing: if the successor dies, fails or is late, it
//! is told `refused` and must go. After `ready` the successor serves, whatever becomes of the other.

use std::io;

pub use self::door::{Caller, Door};
pub use self::message::Wish;
pub use self::successor::Takeover;
pub use self::wish::upgrade;

mod channel;
mod door;
mod message;
mod successor;
mod wish;

/// Why sockets did not change hands.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The system refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The other process ended or hung up.
    #[error("the other process hung up")]
    Gone,
    /// It did not say what it should in time.
    #[error("the other process did not answer in time")]
    Late,
    /// It said something else.
    #[error("the other process said {0:?}: {1}")]
    Unexpected(String, &'static str),
    /// It will not, and says why.
    #[error("the other process refused: {0}")]
    Refused(String),
    /// Sockets were lost on the way.
    #[error("not every socket arrived")]
    Incomplete,
    /// It runs as somebody else.
    #[error("the other process belongs to user {0}, neither to this one nor to root")]
    Foreign(u32),
}
