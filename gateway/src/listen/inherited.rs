//! Listening sockets that another process handed to us. What the configuration wants at such an address is taken from here
//! and not bound, so that the kernel's queue of connections goes on without a gap.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::settings::Address;
use super::socket::Bound;

/// A listening socket on its way to another process.
#[derive(Debug)]
pub struct Lent {
    /// As the configuration of the giver wrote it: where it says port 0, the socket has another.
    pub address: Address,
    /// The socket.
    pub descriptor: OwnedFd,
}

/// Sockets that wait to be taken.
#[derive(Debug, Default)]
pub struct Inherited(Mutex<Vec<(Address, Bound)>>);

impl Inherited {
    /// Of what another process sent.
    pub fn new(sockets: Vec<Lent>) -> io::Result<Self> {
        let adopt = |lent: Lent| {
            Ok((
                lent.address.clone(),
                Bound::adopt(&lent.address, lent.descriptor)?,
            ))
        };
        let sockets = sockets.into_iter().map(adopt).collect::<io::Result<_>>()?;
        Ok(Self(Mutex::new(sockets)))
    }

    /// How many wait.
    pub fn count(&self) -> usize {
        self.sockets().len()
    }

    /// The socket at this address, if there is one.
    pub(crate) fn take(&self, address: &Address) -> Option<Bound> {
        let mut sockets = self.sockets();
        let place = sockets.iter().position(|(known, _)| known == address)?;
        Some(sockets.remove(place).1)
    }

    /// Closes what nobody wanted, and removes the files of such unix sockets: their giver leaves files alone.
    pub fn discard(&self) {
        for (address, _) in self.sockets().drain(..) {
            tracing::info!(%address, "A socket was handed over that nothing here wants");
            if let Address::Unix(path) = &address
                && let Err(error) = fs::remove_file(path)
            {
                tracing::debug!(%error, %address, "A socket file was gone already");
            }
        }
    }

    fn sockets(&self) -> MutexGuard<'_, Vec<(Address, Bound)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn lent(address: &str) -> Lent {
        Lent {
            address: Address::Tcp(address.parse().unwrap()),
            descriptor: TcpListener::bind("127.0.0.1:0").unwrap().into(),
        }
    }

    #[test]
    fn gives_each_socket_once_and_by_its_address() {
        let inherited = Inherited::new(vec![lent("127.0.0.1:0"), lent("10.0.0.1:80")]).unwrap();
        let any = Address::Tcp("127.0.0.1:0".parse().unwrap());
        let local = inherited.take(&any).unwrap().local().unwrap();
        assert_ne!(local.port(), 0);
        assert!(inherited.take(&any).is_none());
        assert_eq!(inherited.count(), 1);
        inherited.discard();
        assert_eq!(inherited.count(), 0);
    }
}
