//! The read side: bytes up to the end of the message go on, later ones stay here.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::ReadBuf;

use super::{Conn, EARLY_MAX};
use crate::listen::framing::Boundary;

/// The preface of HTTP/2 and the shortest frame of settings after it.
const HTTP2_BEGINNING: u64 = 24 + 9;
/// What one read of unknown length takes at most.
const SCRATCH_BYTES: usize = 16 * 1024;

thread_local! {
    /// Reads land here, so that a connection that waits needs no buffer of its own.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice());
}

impl Conn {
    /// Received and not yet handed on.
    pub(crate) fn early(&self) -> &[u8] {
        &self.early
    }

    /// Takes the first `count` bytes of what is early; the rest stays.
    pub(crate) fn take_early(&mut self, count: usize) -> BytesMut {
        if count >= self.early.len() {
            std::mem::take(&mut self.early)
        } else {
            self.early.split_to(count)
        }
    }

    /// Receives once into `early`; 0 means that the client ended the stream.
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            ready!(self.io.poll_read(cx, &mut buf))?;
            let bytes = buf.filled();
            self.ended |= bytes.is_empty();
            if self.early.is_empty() {
                // Exactly as large as needed: Pingora freezes a full buffer without another allocation.
                self.early = BytesMut::from(bytes);
            } else {
                self.early.extend_from_slice(bytes);
            }
            Poll::Ready(Ok(bytes.len()))
        })
    }

    /// Reads no further than the end of the message, then shows nothing but an end of stream.
    pub(super) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if matches!(self.boundary, Boundary::Done) {
                return self.poll_withheld(cx);
            }
            if self.early.is_empty() {
                break;
            }
            if self.hand_on(buf)? > 0 {
                return Poll::Ready(Ok(()));
            }
        }
        if self.ended {
            return Poll::Ready(Ok(()));
        }
        self.poll_direct(cx, buf)
    }

    /// Moves what is early and belongs to the message; 0 when the message turned out to be complete.
    fn hand_on(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
        let count = self.early.len().min(buf.remaining());
        let bytes = self.early.get(..count).unwrap_or_default();
        let taken = self.boundary.follow(bytes)?;
        buf.put_slice(bytes.get(..taken).unwrap_or_default());
        self.early.advance(taken);
        self.pace.took(taken);
        if self.early.is_empty() {
            self.early = BytesMut::new();
        }
        Ok(taken)
    }

    /// Reads into Pingora's buffer; what turns out to lie beyond the message is kept.
    fn poll_direct(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.boundary.room() < buf.remaining() {
            ready!(self.poll_receive_in_time(cx))?;
            return self.hand_on(buf).map(|_| ()).into();
        }
        let before = buf.filled().len();
        let read = self.io.poll_read(cx, buf);
        ready!(self.in_time(read, cx))?;
        let bytes = buf.filled().get(before..).unwrap_or_default();
        self.ended |= bytes.is_empty();
        let taken = self.boundary.follow(bytes)?;
        self.early
            .extend_from_slice(bytes.get(taken..).unwrap_or_default());
        buf.set_filled(before + taken);
        self.pace.took(taken);
        Poll::Ready(Ok(()))
    }

    /// The message is complete: notice an end of stream and keep everything else.
    fn poll_withheld(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.ended {
            if self.early.len() >= EARLY_MAX {
                // Not read any more: the client's own send buffer has to wait, and so has news of its end.
                return self.in_time(Poll::Pending, cx);
            }
            ready!(self.poll_receive_in_time(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_receive_in_time(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let received = self.poll_receive(cx);
        self.in_time(received, cx)
    }

    /// A read that waits may wait no longer than the request may, or its body.
    fn in_time<T>(
        &mut self,
        read: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if read.is_ready() {
            return read;
        }
        if self.pace.received() >= HTTP2_BEGINNING {
            self.settings_due = None;
        }
        let body = match self.boundary {
            Boundary::Length(_) | Boundary::Chunked(_) => self.pace.waits(),
            Boundary::Raw => self.settings_due,
            Boundary::Done => None,
        };
        self.deadline.poll(cx, body).map(Err)
    }
}
