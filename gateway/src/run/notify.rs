//! Tells systemd how we are (`sd_notify(3)`): one datagram to the socket that `NOTIFY_SOCKET` names, if any.

use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Requests are served.
pub fn ready() {
    send(&format!("READY=1\nMAINPID={}", std::process::id()));
}

/// Another process is the service's main one from now on. Only the one that was may say so.
pub fn main_process(process: u32) {
    send(&format!("MAINPID={process}"));
}

/// The end has begun.
pub fn stopping() {
    send("STOPPING=1");
}

fn send(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send_to(name.as_encoded_bytes(), state) {
        tracing::debug!(%error, "Cannot tell systemd");
    }
}

fn send_to(name: &[u8], state: &str) -> std::io::Result<()> {
    let address = match name.strip_prefix(b"@") {
        Some(name) => abstract_address(name)?,
        None => {
            SocketAddr::from_pathname(std::str::from_utf8(name).map_err(std::io::Error::other)?)?
        }
    };
    UnixDatagram::unbound()?
        .send_to_addr(state.as_bytes(), &address)
        .map(|_bytes| ())
}

#[cfg(target_os = "linux")]
fn abstract_address(name: &[u8]) -> std::io::Result<SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    SocketAddr::from_abstract_name(name)
}

#[cfg(not(target_os = "linux"))]
fn abstract_address(_name: &[u8]) -> std::io::Result<SocketAddr> {
    Err(std::io::Error::other("abstract sockets are Linux's"))
}
