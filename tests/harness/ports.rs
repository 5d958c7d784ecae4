//! Ports that are ours before the gateway binds them; no fixed numbers anywhere.
//!
//! A reservation is a socket that is bound but never listens. Linux lets a second socket with
//! `SO_REUSEADDR` (which every listener of ours sets) bind and listen beside it, yet gives the port to
//! nobody who asks for "any". So there is no moment in which another test can take it. Where the system
//! is stricter, `Gateway` drops the reservation just before it starts the process, and retries on a clash.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// A port on 127.0.0.1 that is kept for us as long as this lives.
#[derive(Debug)]
pub struct Reservation {
    addr: SocketAddr,
    _socket: Socket,
}

impl Reservation {
    /// The address; connecting to it is refused until somebody listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

/// Reserves a free port on 127.0.0.1.
pub fn reserve() -> Reservation {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("SO_REUSEADDR");
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).expect("a free port on 127.0.0.1");
    let addr = socket.local_addr().expect("a bound socket has an address");
    Reservation {
        addr: addr.as_socket().expect("an IPv4 address"),
        _socket: socket,
    }
}
