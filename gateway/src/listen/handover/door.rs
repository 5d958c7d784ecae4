//! The running process's side: a control socket, and whoever calls there.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::UnixListener;

use super::HandoverError;
use super::channel::{Channel, within};
use super::message::{Message, Wish};
use crate::listen::inherited::{Inherited, Lent};
use crate::listen::settings::Address;
use crate::listen::socket::Bound;

/// For the first line of a caller, and for whatever we say to it.
const TALK: Duration = Duration::from_secs(5);
/// From the sockets to `ready`. The successor has compiled its configuration before it calls.
const READY: Duration = Duration::from_secs(10);
/// After a failure to accept.
const PAUSE: Duration = Duration::from_millis(100);

/// The control socket. Its file goes with it, unless a successor has it.
#[derive(Debug)]
pub struct Door {
    socket: UnixListener,
    path: PathBuf,
    handed_over: AtomicBool,
}

/// Somebody trusted who called, and what they want.
#[derive(Debug)]
pub struct Caller {
    channel: Channel,
    wish: Wish,
}

impl Door {
    /// Opens it at this path for this user and root alone, or goes on with the one that was inherited.
    pub fn open(path: &Path, inherited: &Inherited) -> io::Result<Self> {
        let bound = match inherited.take(&Address::Unix(path.to_owned())) {
            Some(bound) => bound,
            None => Bound::bind_private(path)?,
        };
        let Bound::Unix(socket) = bound else {
            return Err(io::Error::other("the inherited control socket is none"));
        };
        Ok(Self {
            socket: UnixListener::from_std(socket)?,
            path: path.to_owned(),
            handed_over: AtomicBool::new(false),
        })
    }

    /// Waits for the next caller.
    pub async fn caller(&self) -> Caller {
        loop {
            match self.try_caller().await {
                Ok(caller) => return caller,
                Err(HandoverError::Io(error)) => {
                    tracing::warn!(%error, "Cannot hear the control socket for a moment");
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "A caller at the control socket was sent away");
                }
            }
        }
    }

    async fn try_caller(&self) -> Result<Caller, HandoverError> {
        let (stream, _) = self.socket.accept().await?;
        let mut channel = Channel::new(stream);
        channel.check_peer()?;
        match greeting(&mut channel).await {
            Ok(wish) => Ok(Caller { channel, wish }),
            Err(error) => {
                refuse(&mut channel, &error.to_string()).await;
                Err(error)
            }
        }
    }

    /// The control socket itself, which the successor must have as well.
    pub fn lend(&self) -> io::Result<Lent> {
        let descriptor: OwnedFd = self.socket.as_fd().try_clone_to_owned()?;
        let address = Address::Unix(self.path.clone());
        Ok(Lent {
            address,
            descriptor,
        })
    }

    /// The successor has it: its file stays.
    pub fn hand_over(&self) {
        self.handed_over.store(true, Ordering::Relaxed);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if !self.handed_over.load(Ordering::Relaxed)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::debug!(%error, path = %self.path.display(), "The control socket's file was gone already");
        }
    }
}

impl Caller {
    /// What it wants.
    pub fn wish(&self) -> Wish {
        self.wish
    }

    /// Its process, where the system tells.
    pub fn process(&self) -> Option<u32> {
        self.channel.peer()
    }

    /// Gives these sockets to the successor and waits until it serves. Whatever fails, it is told so, and nothing has changed
    /// on our side.
    pub async fn give(&mut self, sockets: &[Lent]) -> Result<(), HandoverError> {
        let given = match within(TALK, self.send(sockets)).await {
            Ok(()) => within(READY, self.ready()).await,
            Err(error) => Err(error),
        };
        if let Err(error) = &given {
            self.refuse(&error.to_string()).await;
        }
        given
    }

    async fn send(&mut self, sockets: &[Lent]) -> Result<(), HandoverError> {
        for lent in sockets {
            let message = Message::Socket(lent.address.clone());
            let descriptor = lent.descriptor.as_fd();
            self.channel.send_with(&message, descriptor).await?;
        }
        self.channel.send(&Message::Sockets(sockets.len())).await
    }

    async fn ready(&mut self) -> Result<(), HandoverError> {
        let message = self.channel.receive().await?;
        if message == Message::Ready {
            return Ok(());
        }
        Err(message.instead_of("instead of `ready`"))
    }

    /// The last word to a successor that serves.
    pub async fn draining(&mut self) -> Result<(), HandoverError> {
        within(TALK, self.channel.send(&Message::Draining)).await
    }

    /// The last word to somebody who wished an upgrade: which process serves now.
    pub async fn done(&mut self, process: u32) {
        // Who does not wait for the answer has no need of it.
        drop(within(TALK, self.channel.send(&Message::Done(process))).await);
    }

    /// The last word to anybody else.
    pub async fn refuse(&mut self, why: &str) {
        refuse(&mut self.channel, why).await;
    }
}

async fn greeting(channel: &mut Channel) -> Result<Wish, HandoverError> {
    let message = within(TALK, channel.receive()).await?;
    let Message::Hello(wish) = message else {
        return Err(message.instead_of("instead of a greeting"));
    };
    Ok(wish)
}

async fn refuse(channel: &mut Channel, why: &str) {
    let refused = Message::Refused(why.to_owned());
    // It may be gone: that is often why.
    drop(within(TALK, channel.send(&refused)).await);
}
