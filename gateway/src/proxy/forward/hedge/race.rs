//! What Pingora takes for a connection while a request may be with two targets.
//!
//! It writes to the first target and keeps what it wrote: one head, because such requests have no body. While nothing comes
//! back, a second target gets the same bytes. Whoever sends the first bytes of a good answer is the connection from then on,
//! and the other one is closed. A 5xx is no good answer while the other may still give one.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use pingora::prelude::HttpPeer;
use pingora::protocols::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket};
use pingora::upstreams::peer::Peer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinHandle;
use tokio::time::Sleep;

use super::ask::{Answer, answer, closed, marked, status};
use super::{Hedge, Hedger, Winner};
use crate::upstream::{Attempt, Outcome};

/// Of a request without a body: after its head, and after the body that is none.
const REQUEST_FLUSHES: u8 = 2;

/// One connection, or two.
pub(super) struct Race {
    hedger: Arc<Hedger>,
    hedge: Arc<Hedge>,
    /// Where `stream` leads.
    peer: HttpPeer,
    stream: Option<Stream>,
    /// It comes from the pool, so it may be dead without anybody knowing.
    reused: bool,
    sent: Vec<u8>,
    /// Read and not asked for yet.
    held: Vec<u8>,
    phase: Phase,
}

enum Phase {
    /// Nothing is read before Pingora has flushed so many times more.
    Held { flushes: u8, reader: Option<Waker> },
    /// The first target is alone.
    Alone(Pin<Box<Sleep>>),
    /// A second one was asked.
    Both(Box<Both>),
    /// The rest of the answer comes from `stream`.
    Decided,
}

struct Both {
    task: Second,
    first: Option<io::Result<Vec<u8>>>,
    second: Option<io::Result<Answer>>,
}

/// The second connection at work; given up where nobody waits for it any more.
struct Second(JoinHandle<io::Result<Answer>>);

impl Drop for Second {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What is known of one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Silent,
    Good,
    Bad,
    Failed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Winning {
    First,
    Second,
}

/// Who wins, or that it is not known yet.
fn verdict(first: Side, second: Side) -> Option<Winning> {
    match (first, second) {
        (Side::Good, _) => Some(Winning::First),
        (_, Side::Good) | (Side::Failed, Side::Bad) => Some(Winning::Second),
        (Side::Silent, _) | (_, Side::Silent) => None,
        (Side::Bad, _) | (Side::Failed, Side::Failed) => Some(Winning::First),
    }
}

impl Side {
    fn of(bytes: Option<&io::Result<impl AsRef<[u8]>>>) -> Self {
        match bytes {
            None => Self::Silent,
            Some(Err(_)) => Self::Failed,
            Some(Ok(bytes)) if status(bytes.as_ref()).is_some_and(|it| it.is_server_error()) => {
                Self::Bad
            }
            Some(Ok(_)) => Self::Good,
        }
    }
}

impl Race {
    pub(super) fn new(
        hedger: Arc<Hedger>,
        hedge: Arc<Hedge>,
        peer: HttpPeer,
        stream: Stream,
        reused: bool,
    ) -> Self {
        let phase = match hedge.after {
            Some(after) => Phase::Alone(Box::pin(tokio::time::sleep(after))),
            None => Phase::Held {
                flushes: REQUEST_FLUSHES,
                reader: None,
            },
        };
        Self {
            hedger,
            hedge,
            peer,
            stream: Some(stream),
            reused,
            sent: Vec::new(),
            held: Vec::new(),
            phase,
        }
    }

    /// Whether a failure of the connection may only mean that it was dead in the pool.
    fn may_be_stale(&self) -> bool {
        self.reused && matches!(self.phase, Phase::Alone(_))
    }

    fn poll_alone(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = poll_read(&mut self.stream, cx, buf);
        match read {
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                self.phase = Phase::Decided;
                return Poll::Ready(Ok(()));
            }
            // Nothing of an answer was there: the request of a connection that died idle was not looked at.
            Poll::Ready(_) if self.reused => self.ask(self.peer.clone(), None),
            Poll::Ready(over) => {
                self.phase = Phase::Decided;
                return Poll::Ready(over);
            }
            Poll::Pending => {
                if let Phase::Alone(sleep) = &mut self.phase {
                    ready!(sleep.as_mut().poll(cx));
                }
                match self.hedge.second() {
                    Some(mut pick) => {
                        pick.peer.options.read_timeout = None;
                        self.ask(*pick.peer, Some((pick.attempt, Instant::now())));
                    }
                    None => self.phase = Phase::Decided,
                }
            }
        }
        self.poll_next(cx, buf)
    }

    /// Sends what was sent to another target, or to the same one on a new connection.
    fn ask(&mut self, peer: HttpPeer, attempt: Option<(Attempt, Instant)>) {
        let anew = attempt.is_none();
        let request = if anew {
            self.sent.clone()
        } else {
            marked(&self.sent)
        };
        let hedger = self.hedger.clone();
        let task = tokio::spawn(answer(hedger, peer, request, attempt));
        self.phase = Phase::Both(Box::new(Both {
            task: Second(task),
            first: anew.then(|| Err(closed())),
            second: None,
        }));
    }

    fn poll_both(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Phase::Both(both) = &mut self.phase else {
            return Poll::Pending;
        };
        if both.first.is_none() {
            let before = buf.filled().len();
            if let Poll::Ready(read) = poll_read(&mut self.stream, cx, buf) {
                let bytes = buf.filled().get(before..).unwrap_or_default().to_vec();
                buf.set_filled(before);
                both.first = Some(match read {
                    Ok(()) if bytes.is_empty() => Err(closed()),
                    read => read.map(|()| bytes),
                });
            }
        }
        if both.second.is_none()
            && let Poll::Ready(told) = Pin::new(&mut both.task.0).poll(cx)
        {
            both.second = Some(told.unwrap_or_else(|error| Err(io::Error::other(error))));
        }
        let sides = (
            Side::of(both.first.as_ref()),
            Side::of(both.second.as_ref()),
        );
        let Some(winning) = verdict(sides.0, sides.1) else {
            return Poll::Pending;
        };
        let (first, second) = (both.first.take(), both.second.take());
        self.phase = Phase::Decided;
        match (winning, first, second) {
            (Winning::Second, _, Some(Ok(answer))) => self.take_over(answer, sides.0),
            (_, Some(Ok(bytes)), second) => {
                self.held = bytes;
                lost(second);
            }
            (_, Some(Err(error)), _) => return Poll::Ready(Err(error)),
            (_, None, _) => {}
        }
        self.poll_next(cx, buf)
    }

    fn take_over(&mut self, answer: Answer, first: Side) {
        // The first connection is closed by this: whatever it was about to say belongs to nobody.
        self.stream = Some(answer.stream);
        self.peer = answer.peer;
        self.held = answer.bytes;
        if let Some((attempt, picked)) = answer.attempt {
            self.hedge.won(Winner {
                attempt,
                picked,
                first_broke: first != Side::Silent,
            });
        }
    }

    fn poll_decided(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.held.is_empty() {
            let count = self.held.len().min(buf.remaining());
            buf.put_slice(self.held.get(..count).unwrap_or_default());
            self.held.drain(..count);
            return Poll::Ready(Ok(()));
        }
        if self.hedge.is_answered() {
            // Pingora asks whether the connection can be kept. It can, and is kept where it belongs.
            if let Some(stream) = self.stream.take() {
                let (key, idle) = (self.peer.reuse_hash(), self.peer.options.idle_timeout);
                self.hedger.connector().release_stream(stream, key, idle);
            }
            return Poll::Ready(Ok(()));
        }
        poll_read(&mut self.stream, cx, buf)
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.phase {
            Phase::Held { reader, .. } => {
                *reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Phase::Alone(_) => self.poll_alone(cx, buf),
            Phase::Both(_) => self.poll_both(cx, buf),
            Phase::Decided => self.poll_decided(cx, buf),
        }
    }
}

fn poll_read(
    stream: &mut Option<Stream>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    match stream {
        Some(stream) => Pin::new(stream).poll_read(cx, buf),
        None => Poll::Ready(Ok(())),
    }
}

/// An answer that nobody gets says something of its target all the same.
fn lost(second: Option<io::Result<Answer>>) {
    if let Some(Ok(answer)) = second
        && let Some((mut attempt, picked)) = answer.attempt
        && let Some(status) = status(&answer.bytes)
    {
        attempt.report(Outcome::Answered(status), picked.elapsed());
    }
}

impl AsyncRead for Race {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_next(cx, buf)
    }
}

impl AsyncWrite for Race {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let written = match ready!(Pin::new(stream).poll_write(cx, bytes)) {
            // What reads next finds out, and asks anew.
            Err(_) if this.may_be_stale() => Ok(bytes.len()),
            written => written,
        };
        if let Ok(count) = written {
            this.sent
                .extend_from_slice(bytes.get(..count).unwrap_or_default());
        }
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(stream) = &mut this.stream else {
            return Poll::Ready(Ok(()));
        };
        let flushed = ready!(Pin::new(stream).poll_flush(cx));
        if let Phase::Held { flushes, reader } = &mut this.phase {
            *flushes = flushes.saturating_sub(1);
            if *flushes == 0 || flushed.is_err() {
                reader.take().into_iter().for_each(Waker::wake);
                this.phase = Phase::Decided;
            }
        }
        match flushed {
            Err(_) if this.may_be_stale() => Poll::Ready(Ok(())),
            flushed => Poll::Ready(flushed),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Some(stream) => Pin::new(stream).poll_shutdown(cx),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl VirtualSocket for Race {
    /// The real connections have their options already.
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Race {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Race").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_answer_wins_at_once_and_a_bad_one_when_there_is_no_better() {
        use Side::{Bad, Failed, Good, Silent};
        let (first, second) = (Some(Winning::First), Some(Winning::Second));
        for (sides, winner) in [
            ((Silent, Silent), None),
            ((Good, Silent), first),
            ((Good, Good), first),
            ((Silent, Good), second),
            ((Bad, Good), second),
            ((Failed, Good), second),
            ((Bad, Silent), None),
            ((Silent, Bad), None),
            ((Failed, Silent), None),
            ((Bad, Bad), first),
            ((Bad, Failed), first),
            ((Failed, Bad), second),
            ((Failed, Failed), first),
        ] {
            assert_eq!(verdict(sides.0, sides.1), winner, "{sides:?}");
        }
    }
}
