//! Where a request message ends.
//!
//! The checked head says how the body is framed; a `Boundary` then follows the bytes and tells how many belong to the current
//! message. It never changes them: Pingora decodes the body itself, from exactly these bytes.

use std::io;

use self::chunked::Follower;

mod chunked;

/// How a request's body is framed (RFC 9112, section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// No body.
    None,
    /// Exactly so many bytes.
    Length(u64),
    /// Chunks up to the last, empty one and its trailers.
    Chunked,
}

/// What is left of the current message.
#[derive(Debug)]
pub(crate) enum Boundary {
    /// Nothing: what comes now belongs to the next message.
    Done,
    Length(u64),
    Chunked(Follower),
    /// No messages any more: an upgraded connection or HTTP/2.
    Raw,
}

impl Boundary {
    pub(crate) fn of(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Follower::new()),
        }
    }

    /// The most that may be read at once without passing the end, where that is known.
    pub(crate) fn room(&self) -> usize {
        match self {
            Self::Done => 0,
            Self::Length(left) => usize::try_from(*left).unwrap_or(usize::MAX),
            Self::Chunked(_) | Self::Raw => usize::MAX,
        }
    }

    /// Takes the part of `bytes` that belongs to the message and says how long it is.
    pub(crate) fn follow(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (taken, ended) = match self {
            Self::Done => (0, true),
            Self::Raw => (bytes.len(), false),
            Self::Length(left) => {
                let taken = bytes
                    .len()
                    .min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= taken as u64;
                (taken, *left == 0)
            }
            Self::Chunked(follower) => (follower.follow(bytes)?, follower.ended()),
        };
        if ended {
            *self = Self::Done;
        }
        Ok(taken)
    }
}
