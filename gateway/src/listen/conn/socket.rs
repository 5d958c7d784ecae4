//! What a connection can be: a socket, or TLS over one.

use std::io::{self, IoSlice, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use crate::listen::tls::TlsSocket;

/// A connected stream socket.
#[derive(Debug)]
pub(crate) enum Plain {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What carries the bytes of a connection.
#[derive(Debug)]
pub(crate) enum Io {
    Plain(Plain),
    /// Boxed: it is ten times as large, and most of it would lie idle in plain connections.
    Tls(Box<TlsStream<TlsSocket>>),
    /// Taken for a handshake, which gives it back.
    Away,
}

macro_rules! each {
    ($io:expr, $stream:ident => $do:expr) => {
        match $io {
            Plain::Tcp($stream) => $do,
            Plain::Unix($stream) => $do,
        }
    };
}

macro_rules! carried {
    ($io:expr, $stream:ident => $do:expr) => {
        match $io {
            Io::Plain(Plain::Tcp($stream)) => $do,
            Io::Plain(Plain::Unix($stream)) => $do,
            Io::Tls($stream) => {
                let $stream = &mut **$stream;
                $do
            }
            Io::Away => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    };
}

impl Io {
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        carried!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }

    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        carried!(self, stream => Pin::new(stream).poll_write(cx, bytes))
    }

    pub(super) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        carried!(self, stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        carried!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        carried!(self, stream => Pin::new(stream).poll_shutdown(cx))
    }

    /// Whether TLS holds bytes that were written and are not sent.
    pub(super) fn holds_unsent(&self) -> bool {
        match self {
            Self::Tls(stream) => stream.get_ref().1.wants_write(),
            Self::Plain(_) | Self::Away => false,
        }
    }

    /// One attempt to send without waiting, for a connection that is being dropped.
    pub(super) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(plain) => plain.try_write(bytes),
            Self::Tls(stream) => {
                let (socket, session) = stream.get_mut();
                let count = session.writer().write(bytes)?;
                while session.wants_write() {
                    session.write_tls(&mut AtOnce(&socket.io))?;
                }
                Ok(count)
            }
            Self::Away => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Says that nothing follows, without waiting: an end that nobody signed could be an attacker's.
    pub(super) fn say_goodbye(&mut self) {
        if let Self::Tls(stream) = self {
            let (socket, session) = stream.get_mut();
            session.send_close_notify();
            let mut socket = AtOnce(&socket.io);
            while session.wants_write() && session.write_tls(&mut socket).is_ok_and(|sent| sent > 0)
            {
            }
        }
    }

    pub(super) fn number(&self) -> RawFd {
        match self {
            Self::Plain(plain) => plain.number(),
            Self::Tls(stream) => stream.get_ref().0.io.number(),
            Self::Away => -1,
        }
    }
}

impl Plain {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        each!(self, stream => stream.try_write(bytes))
    }

    fn number(&self) -> RawFd {
        each!(self, stream => stream.as_raw_fd())
    }
}

/// Writes what the socket takes at once.
struct AtOnce<'a>(&'a Plain);

impl Write for AtOnce<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Plain {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl AsyncWrite for Plain {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), stream => Pin::new(stream).poll_shutdown(cx))
    }
}
