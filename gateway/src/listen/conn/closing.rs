//! How a connection ends: everything sent, the end told, and the client given a moment to read it.

use std::future::poll_fn;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::Conn;

/// How long the client may take for our last bytes once the connection is to end.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long and how much of what it still sends is thrown away meanwhile.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES_MAX: usize = 1024 * 1024;

impl Conn {
    /// Sends what is gathered and ends our half of the connection.
    pub(super) async fn end_writing(&mut self) {
        let limit = FAREWELL.min(self.write_timeout);
        // Whether it failed or not, nothing is left to do for this client.
        drop(timeout(limit, AsyncWriteExt::shutdown(self)).await);
    }

    /// For a connection that waited for its next request in vain: nobody waits for its end either.
    pub(crate) fn say_goodbye(&mut self) {
        self.io.say_goodbye();
    }

    /// Ends our half, then throws away what the client still sends. Closing a socket with unread bytes resets it, and
    /// a reset can overtake the answer.
    pub(crate) async fn linger(&mut self) {
        self.end_writing().await;
        drop(timeout(LINGER, self.discard()).await);
    }

    async fn discard(&mut self) {
        let mut left = LINGER_BYTES_MAX;
        while !self.ended && left > 0 {
            self.early.clear();
            match poll_fn(|cx| self.poll_receive(cx)).await {
                Ok(count) => left = left.saturating_sub(count),
                Err(_) => return,
            }
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        // Pingora drops connections that failed without a flush; what it meant to send goes as far as it goes.
        if !self.pending_is_empty() {
            drop(self.io.try_write(&self.pending));
        }
    }
}
