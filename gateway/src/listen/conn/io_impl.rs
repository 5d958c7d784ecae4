//! The traits that Pingora asks of a stream.
//!
//! No socket or timing digest is offered: each would cost memory on every idle connection, and `ConnFacts` says more.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Conn;
use crate::listen::framing::Boundary;

impl AsyncRead for Conn {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = this.poll_message(cx, buf);
        if read.is_pending() && !this.pending_is_empty() {
            this.send_before_waiting(cx)?;
        }
        read
    }
}

impl AsyncWrite for Conn {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.http2 {
            let attempt = this.io.poll_write(cx, bytes);
            return this.watch(cx, attempt);
        }
        this.note_answer(bytes);
        this.poll_gather(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.http2 {
            let attempt = this.io.poll_write_vectored(cx, pieces);
            return this.watch(cx, attempt);
        }
        this.note_answer(pieces.first().map_or(&[], |piece| piece));
        this.poll_gather(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        std::task::ready!(this.poll_send_pending(cx))?;
        let attempt = this.io.poll_flush(cx);
        this.watch(cx, attempt)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        std::task::ready!(this.poll_send_pending(cx))?;
        this.io.poll_shutdown(cx)
    }
}

#[async_trait]
impl Shutdown for Conn {
    async fn shutdown(&mut self) {
        // A message that was not read to its end is still on its way; without a pause the client's system drops our answer.
        if matches!(self.boundary, Boundary::Done) && self.early.is_empty() {
            self.end_writing().await;
        } else {
            self.linger().await;
        }
    }
}

impl UniqueID for Conn {
    fn id(&self) -> UniqueIDType {
        self.io.number()
    }
}

impl Ssl for Conn {
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.http2.then_some(ALPN::H2)
    }
}

impl GetTimingDigest for Conn {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Conn {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        // HTTP/1 sessions reach the connection itself; building this for each request would be waste.
        if !self.http2 {
            return None;
        }
        let unused = ResponseHeader::build(200, Some(0)).ok()?;
        let facts = Box::new(self.facts.clone());
        Some(Arc::new(ProxyDigest::new(Box::new(unused), Some(facts))))
    }
}

impl GetSocketDigest for Conn {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        None
    }
}

impl Peek for Conn {}
