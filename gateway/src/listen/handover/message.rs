//! The lines that two processes exchange over the control socket.
//!
//! Each message is one line of words; bytes of a path that would end a line are percent-encoded. Whatever is not exactly one
//! of these is an error, so that a later version can mean something else by it.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

use super::HandoverError;
use crate::listen::settings::Address;

/// Raised when a message changes its meaning; both sides must speak the same one.
const VERSION: &str = "1";
/// Longer lines are no messages.
pub(super) const LINE_MAX: usize = 1024;

const IN_PATHS: &AsciiSet = &CONTROLS.add(b'%').add(b' ');

/// What somebody who connects to the control socket wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The listening sockets: it is the successor.
    Take,
    /// That a successor be started.
    Upgrade,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// The first from whoever connects.
    Hello(Wish),
    /// A listening socket; its descriptor comes with it.
    Socket(Address),
    /// So many sockets were sent, and no more come.
    Sockets(usize),
    /// The successor serves.
    Ready,
    /// The giver stops accepting.
    Draining,
    /// The upgrade that was wished is done; the process that serves now.
    Done(u32),
    /// It will not be, and why.
    Refused(String),
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hello(Wish::Take) => write!(f, "gateway-control {VERSION} take"),
            Self::Hello(Wish::Upgrade) => write!(f, "gateway-control {VERSION} upgrade"),
            Self::Socket(Address::Tcp(address)) => write!(f, "socket tcp {address}"),
            Self::Socket(Address::Unix(path)) => write!(f, "socket unix {}", encoded(path)),
            Self::Sockets(count) => write!(f, "sockets {count}"),
            Self::Ready => f.write_str("ready"),
            Self::Draining => f.write_str("draining"),
            Self::Done(process) => write!(f, "done {process}"),
            Self::Refused(reason) => {
                let reason: String = reason.chars().filter(|c| !c.is_control()).collect();
                let end = reason.floor_char_boundary(LINE_MAX / 2);
                write!(f, "refused {}", reason.get(..end).unwrap_or_default())
            }
        }
    }
}

impl Message {
    /// What it means where another was expected.
    pub(super) fn instead_of(self, wanted: &'static str) -> HandoverError {
        if let Self::Refused(why) = self {
            return HandoverError::Refused(why);
        }
        HandoverError::Unexpected(self.to_string(), wanted)
    }

    /// Reads a line without its end; the reason why it is no message.
    pub(super) fn parse(line: &str) -> Result<Self, &'static str> {
        match line {
            "ready" => return Ok(Self::Ready),
            "draining" => return Ok(Self::Draining),
            _ => {}
        }
        match line.split_once(' ') {
            Some(("gateway-control", rest)) => hello(rest),
            Some(("socket", rest)) => address(rest).map(Self::Socket),
            Some(("sockets", count)) => number(count).map(Self::Sockets),
            Some(("done", process)) => number(process).map(Self::Done),
            Some(("refused", reason)) => Ok(Self::Refused(reason.to_owned())),
            Some(_) | None => Err("not a message of this protocol"),
        }
    }
}

fn hello(rest: &str) -> Result<Message, &'static str> {
    match rest.split_once(' ') {
        Some((VERSION, "take")) => Ok(Message::Hello(Wish::Take)),
        Some((VERSION, "upgrade")) => Ok(Message::Hello(Wish::Upgrade)),
        Some((VERSION, _)) => Err("an unknown wish"),
        Some(_) | None => Err("another version of the protocol; this is 1"),
    }
}

fn address(rest: &str) -> Result<Address, &'static str> {
    match rest.split_once(' ') {
        Some(("tcp", address)) => {
            let address = address.parse().map_err(|_| "not an address")?;
            Ok(Address::Tcp(address))
        }
        Some(("unix", path)) if path.starts_with('/') => {
            let path: Vec<u8> = percent_decode_str(path).collect();
            Ok(Address::Unix(PathBuf::from(OsString::from_vec(path))))
        }
        Some(_) | None => Err("not a socket of a known kind"),
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, &'static str> {
    // `parse` takes a plus sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or("not a number")
}

fn encoded(path: &Path) -> String {
    percent_encode(path.as_os_str().as_bytes(), IN_PATHS).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unix(path: &str) -> Message {
        Message::Socket(Address::Unix(path.into()))
    }

    #[test]
    fn reads_what_it_writes() {
        let tcp = |address: &str| Message::Socket(Address::Tcp(address.parse().unwrap()));
        for (message, line) in [
            (Message::Hello(Wish::Take), "gateway-control 1 take"),
            (Message::Hello(Wish::Upgrade), "gateway-control 1 upgrade"),
            (tcp("0.0.0.0:80"), "socket tcp 0.0.0.0:80"),
            (tcp("[::1]:0"), "socket tcp [::1]:0"),
            (unix("/run/a.sock"), "socket unix /run/a.sock"),
            (unix("/a b\n%ü"), "socket unix /a%20b%0A%25%C3%BC"),
            (Message::Sockets(3), "sockets 3"),
            (Message::Ready, "ready"),
            (Message::Draining, "draining"),
            (Message::Done(4711), "done 4711"),
            (
                Message::Refused("no, not now".into()),
                "refused no, not now",
            ),
        ] {
            assert_eq!(message.to_string(), line);
            assert_eq!(Message::parse(line), Ok(message), "{line}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for line in [
            "",
            " ",
            "READY",
            "ready ",
            "ready now",
            "draining 1",
            "gateway-control",
            "gateway-control 1",
            "gateway-control 2 take",
            "gateway-control 1 take more",
            "gateway-control 1 Take",
            "socket",
            "socket tcp",
            "socket tcp localhost:80",
            "socket tcp 1.2.3.4",
            "socket udp 1.2.3.4:80",
            "socket unix relative",
            "sockets",
            "sockets -1",
            "sockets +1",
            "sockets 99999999999999999999999",
            "done x",
            "nonsense",
        ] {
            assert!(Message::parse(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn a_reason_stays_on_its_line_and_short() {
        let long = format!("first\nsecond\r{}", "ü".repeat(LINE_MAX));
        let line = Message::Refused(long).to_string();
        assert!(line.starts_with("refused firstsecondü"), "{line}");
        assert!(line.len() <= LINE_MAX);
    }
}
