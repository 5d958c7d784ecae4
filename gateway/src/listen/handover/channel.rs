//! A connection over the control socket: lines both ways, and descriptors with them.
//!
//! The kernel keeps descriptors in order with the bytes that they were sent with, so the n-th `socket` line owns the n-th
//! descriptor, however the bytes are cut. One goes with each line: there is no limit on how many in all.

use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

use super::HandoverError;
use super::message::{LINE_MAX, Message};

/// Descriptors that may come with one read; the peer sends one with each line.
const DESCRIPTORS_PER_READ: usize = 4;

/// One end of a connection.
#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
    received: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            received: Vec::new(),
            descriptors: VecDeque::new(),
        }
    }

    /// To whoever listens at this path.
    pub(super) async fn connect(path: &Path) -> Result<Self, HandoverError> {
        Ok(Self::new(UnixStream::connect(path).await?))
    }

    /// An error unless the other end may have our sockets, and we its: it has the same user, or is root.
    pub(super) fn check_peer(&self) -> Result<(), HandoverError> {
        let peer = self.stream.peer_cred()?.uid();
        if is_trusted(peer, rustix::process::geteuid().as_raw()) {
            return Ok(());
        }
        Err(HandoverError::Foreign(peer))
    }

    /// The process at the other end, where the system tells.
    pub(super) fn peer(&self) -> Option<u32> {
        let process = self.stream.peer_cred().ok()?.pid()?;
        u32::try_from(process).ok()
    }

    pub(super) async fn send(&mut self, message: &Message) -> Result<(), HandoverError> {
        self.write(message, None).await
    }

    pub(super) async fn send_with(
        &mut self,
        message: &Message,
        descriptor: BorrowedFd<'_>,
    ) -> Result<(), HandoverError> {
        self.write(message, Some(descriptor)).await
    }

    async fn write(
        &mut self,
        message: &Message,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), HandoverError> {
        let line = format!("{message}\n");
        let (mut rest, mut descriptor) = (line.as_bytes(), descriptor);
        while !rest.is_empty() {
            let write = || send_some(self.stream.as_fd(), rest, descriptor);
            let sent = self.stream.async_io(Interest::WRITABLE, write).await?;
            // It went with the first byte.
            descriptor = None;
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// The next message. The descriptor of a `socket` is then to be had by `descriptor`.
    pub(super) async fn receive(&mut self) -> Result<Message, HandoverError> {
        loop {
            if let Some(line) = self.line()? {
                return Message::parse(&line).map_err(|why| HandoverError::Unexpected(line, why));
            }
            let read = || receive_some(self.stream.as_fd());
            let (bytes, descriptors) = self.stream.async_io(Interest::READABLE, read).await?;
            if bytes.is_empty() {
                return Err(HandoverError::Gone);
            }
            self.received.extend_from_slice(&bytes);
            self.descriptors.extend(descriptors);
        }
    }

    /// The descriptor of the `socket` message that was received last.
    pub(super) fn descriptor(&mut self) -> Option<OwnedFd> {
        self.descriptors.pop_front()
    }

    fn line(&mut self) -> Result<Option<String>, HandoverError> {
        let Some(end) = self.received.iter().position(|byte| *byte == b'\n') else {
            if self.received.len() > LINE_MAX {
                return Err(HandoverError::Unexpected(
                    String::new(),
                    "a line without end",
                ));
            }
            return Ok(None);
        };
        let line: Vec<u8> = self.received.drain(..=end).collect();
        let line = line.get(..end).unwrap_or_default();
        Ok(Some(String::from_utf8_lossy(line).into_owned()))
    }
}

/// Whether a process of the user `peer` may have, or give, the sockets of the user `own`.
fn is_trusted(peer: u32, own: u32) -> bool {
    peer == own || peer == 0
}

/// The same within a time.
pub(super) async fn within<T>(
    time: Duration,
    work: impl Future<Output = Result<T, HandoverError>>,
) -> Result<T, HandoverError> {
    tokio::time::timeout(time, work)
        .await
        .unwrap_or(Err(HandoverError::Late))
}

fn send_some(
    stream: BorrowedFd<'_>,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors: Vec<_> = descriptor.into_iter().collect();
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let sent = sendmsg(
        stream,
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    Ok(sent)
}

fn receive_some(stream: BorrowedFd<'_>) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_PER_READ))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut bytes = vec![0; LINE_MAX];
    let received = recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut bytes)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            descriptors.extend(some);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::other("descriptors were lost: too many are open"));
    }
    bytes.truncate(received.bytes);
    Ok((bytes, descriptors))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    use crate::listen::settings::Address;

    #[test]
    fn trusts_the_same_user_and_root() {
        assert!(is_trusted(1000, 1000));
        assert!(is_trusted(0, 1000));
        assert!(is_trusted(0, 0));
        assert!(!is_trusted(1000, 0));
        assert!(!is_trusted(1001, 1000));
    }

    fn pair() -> (Channel, Channel) {
        let (one, other) = UnixStream::pair().unwrap();
        (Channel::new(one), Channel::new(other))
    }

    #[tokio::test]
    async fn descriptors_arrive_in_order_however_many() {
        let (mut giver, mut taker) = pair();
        let sockets: Vec<_> = (0..100)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let wanted: Vec<_> = sockets
            .iter()
            .map(|one| one.local_addr().unwrap())
            .collect();
        let addresses = wanted.clone();
        let giving = tokio::spawn(async move {
            for (socket, address) in sockets.iter().zip(addresses) {
                let message = Message::Socket(Address::Tcp(address));
                giver.send_with(&message, socket.as_fd()).await.unwrap();
            }
            giver.send(&Message::Sockets(sockets.len())).await.unwrap();
        });
        for address in wanted {
            let message = taker.receive().await.unwrap();
            assert_eq!(message, Message::Socket(Address::Tcp(address)));
            let socket = TcpListener::from(taker.descriptor().unwrap());
            assert_eq!(socket.local_addr().unwrap(), address);
        }
        assert_eq!(taker.receive().await.unwrap(), Message::Sockets(100));
        giving.await.unwrap();
        assert!(matches!(taker.receive().await, Err(HandoverError::Gone)));
    }

    #[tokio::test]
    async fn endless_lines_and_nonsense_are_errors() {
        use tokio::io::AsyncWriteExt;
        for text in ["nonsense\n".to_owned(), "a".repeat(3 * LINE_MAX)] {
            let (mut one, mut other) = pair();
            one.stream.write_all(text.as_bytes()).await.unwrap();
            let error = other.receive().await.unwrap_err();
            assert!(matches!(error, HandoverError::Unexpected(..)), "{error}");
        }
    }
}
