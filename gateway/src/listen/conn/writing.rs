//! The write side: small pieces are gathered, large ones leave at once together with what was gathered.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Answer, Conn};
use crate::listen::framing::Boundary;

/// A piece of at least this size is not worth copying.
const LARGE: usize = 4 * 1024;
/// Room for a head and a small body: what is gathered mostly fits without growing.
const GATHERED_FIRST: usize = 1024;
/// What is gathered at most.
const GATHERED_MAX: usize = 16 * 1024;
/// `writev` with the gathered bytes and this many pieces less one.
const SLICES_MAX: usize = 16;

impl Conn {
    /// Takes these pieces as one write would.
    pub(super) fn poll_gather(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length: usize = pieces.iter().map(|piece| piece.len()).sum();
        if length >= LARGE || self.pending.len() + length > GATHERED_MAX {
            return self.poll_send_with(cx, pieces);
        }
        if self.pending.capacity() == 0 {
            self.pending.reserve(length.max(GATHERED_FIRST));
        }
        for piece in pieces {
            self.pending.extend_from_slice(piece);
        }
        Poll::Ready(Ok(length))
    }

    /// Sends what was gathered and these pieces in one system call; how much of the pieces went.
    fn poll_send_with(
        &mut self,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let first = self.pending.len();
            let mut all = [IoSlice::new(&[]); SLICES_MAX];
            let sources =
                std::iter::once(IoSlice::new(&self.pending)).chain(pieces.iter().copied());
            all.iter_mut()
                .zip(sources)
                .for_each(|(place, piece)| *place = piece);
            let attempt = self.io.poll_write_vectored(cx, &all);
            let sent = ready!(self.watch(cx, attempt))?;
            self.drop_sent(sent.min(first));
            if sent == 0 || sent > first {
                return Poll::Ready(Ok(sent.saturating_sub(first)));
            }
        }
    }

    pub(super) fn poll_send_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let attempt = self.io.poll_write(cx, &self.pending);
            let sent = ready!(self.watch(cx, attempt))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.drop_sent(sent);
        }
        if self.io.holds_unsent() {
            let attempt = self.io.poll_flush(cx);
            return self.watch(cx, attempt);
        }
        Poll::Ready(Ok(()))
    }

    fn drop_sent(&mut self, sent: usize) {
        self.pending.advance(sent);
        if self.pending.is_empty() {
            self.pending = BytesMut::new();
        }
    }

    /// Ends a write that makes no progress for too long. Pingora's own write timeout does not cover its flushes.
    pub(super) fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        attempt: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if attempt.is_ready() {
            self.stall = None;
            return attempt;
        }
        let limit = self.write_timeout;
        let stall = self
            .stall
            .get_or_insert_with(|| alarm(Instant::now() + limit));
        match stall.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Learns from the status line when the final answer begins and whether it changes the protocol.
    pub(super) fn note_answer(&mut self, bytes: &[u8]) {
        let Answer::Awaited { upgrade } = self.answer else {
            return;
        };
        match bytes {
            [
                b'H',
                b'T',
                b'T',
                b'P',
                b'/',
                b'1',
                b'.',
                _,
                b' ',
                b'1',
                rest @ ..,
            ] => {
                if upgrade && rest.starts_with(b"01") {
                    self.answer = Answer::Begun;
                    self.boundary = Boundary::Raw;
                }
            }
            _ => self.answer = Answer::Begun,
        }
    }

    /// Sends what it can before a read waits: the other side may wait for exactly this.
    pub(crate) fn send_before_waiting(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.poll_send_pending(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }
}

fn alarm(at: Instant) -> Pin<Box<Sleep>> {
    Box::pin(sleep_until(at))
}
