//! Reads the header from a connection that was just accepted, and not one byte more.

use std::future::poll_fn;
use std::task::ready;
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::timeout;

use super::{Announced, Malformed, Step, parse};
use crate::listen::conn::Io;

/// What one read takes at most; a header that is longer takes more of them.
const PIECE: usize = 256;

/// The header's news. A header that is malformed, late or cut off is no header.
pub(crate) async fn read(io: &mut Io, limit: Duration) -> Result<Announced, Malformed> {
    timeout(limit, read_header(io))
        .await
        .unwrap_or(Err(Malformed))
}

async fn read_header(io: &mut Io) -> Result<Announced, Malformed> {
    let mut header = Vec::new();
    loop {
        match parse(&header)? {
            Step::Done(announced, _) => return Ok(announced),
            Step::Wants(count) => read_some(io, &mut header, count).await?,
        }
    }
}

async fn read_some(io: &mut Io, header: &mut Vec<u8>, count: usize) -> Result<(), Malformed> {
    poll_fn(|cx| {
        let mut piece = [0; PIECE];
        let mut buf = ReadBuf::new(piece.get_mut(..count.min(PIECE)).unwrap_or_default());
        let read = ready!(io.poll_read(cx, &mut buf));
        header.extend_from_slice(buf.filled());
        let ended = buf.filled().is_empty();
        std::task::Poll::Ready(match read {
            Ok(()) if !ended => Ok(()),
            _ => Err(Malformed),
        })
    })
    .await
}
