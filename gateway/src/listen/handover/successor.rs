//! The new process's side: takes the sockets, and says when it serves.

use std::path::Path;
use std::time::Duration;

use super::HandoverError;
use super::channel::{Channel, within};
use super::message::{Message, Wish};
use crate::listen::inherited::{Inherited, Lent};

/// For the sockets: the running process may have a reload to finish first.
const SOCKETS: Duration = Duration::from_secs(10);
/// For the last word.
const LAST_WORD: Duration = Duration::from_secs(10);

/// A hand-over under way, seen from the process that takes.
#[derive(Debug)]
pub struct Takeover(Channel);

impl Takeover {
    /// Asks the process at this control socket for its sockets.
    pub async fn begin(path: &Path) -> Result<(Self, Inherited), HandoverError> {
        within(SOCKETS, async {
            let mut channel = Channel::connect(path).await?;
            channel.check_peer()?;
            channel.send(&Message::Hello(Wish::Take)).await?;
            let inherited = Inherited::new(sockets(&mut channel).await?)?;
            Ok((Self(channel), inherited))
        })
        .await
    }

    /// Says that we serve. An error means that the other process serves on and we must go; whatever else happens to it, it
    /// does not serve any more, and we do.
    pub async fn ready(mut self) -> Result<(), HandoverError> {
        let last_word = async {
            self.0.send(&Message::Ready).await?;
            self.0.receive().await
        };
        match within(LAST_WORD, last_word).await {
            Ok(Message::Draining) => Ok(()),
            Ok(other) => Err(other.instead_of("instead of `draining`")),
            Err(error) => {
                tracing::warn!(%error, "The former process does not say whether it drains");
                Ok(())
            }
        }
    }
}

async fn sockets(channel: &mut Channel) -> Result<Vec<Lent>, HandoverError> {
    let mut sockets = Vec::new();
    loop {
        let message = channel.receive().await?;
        if let Message::Socket(address) = &message {
            let descriptor = channel.descriptor().ok_or(HandoverError::Incomplete)?;
            sockets.push(Lent {
                address: address.clone(),
                descriptor,
            });
            continue;
        }
        let Message::Sockets(count) = message else {
            return Err(message.instead_of("instead of a socket"));
        };
        if count != sockets.len() {
            return Err(HandoverError::Incomplete);
        }
        return Ok(sockets);
    }
}
