//! Bytes in, bytes out: for requests that no client library would agree to send.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::wait::DEADLINE;

/// What came back.
#[derive(Clone, Debug)]
pub struct RawResult {
    /// Every byte received.
    pub bytes: Vec<u8>,
    /// The peer closed or reset; `false`: it still listened when we gave up.
    pub closed: bool,
}

impl RawResult {
    /// The bytes as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// The status of the first answer; `None` when nothing like an answer came.
    pub fn status(&self) -> Option<u16> {
        let text = self.text();
        text.strip_prefix("HTTP/1.1 ")
            .or(text.strip_prefix("HTTP/1.0 "))?
            .get(..3)?
            .parse()
            .ok()
    }

    /// The statuses of all answers, found by their status lines.
    pub fn statuses(&self) -> Vec<u16> {
        let text = self.text();
        let mut parts = text.split("HTTP/1.1 ");
        parts.next();
        parts
            .filter_map(|part| part.get(..3)?.parse().ok())
            .collect()
    }
}

/// Sends `bytes` and reads until the peer closes or the harness deadline passes.
pub fn raw(addr: SocketAddr, bytes: &[u8]) -> RawResult {
    exchange(addr, bytes, DEADLINE, |_| false)
}

/// Sends `bytes` and reads until the answer holds `needle`, the peer closes, or `deadline` passes.
pub fn raw_until(addr: SocketAddr, bytes: &[u8], needle: &str, deadline: Duration) -> RawResult {
    exchange(addr, bytes, deadline, |so_far| {
        String::from_utf8_lossy(so_far).contains(needle)
    })
}

fn exchange(
    addr: SocketAddr,
    bytes: &[u8],
    deadline: Duration,
    enough: impl Fn(&[u8]) -> bool,
) -> RawResult {
    let stream = TcpStream::connect(addr).unwrap_or_else(|error| panic!("{addr}: {error}"));
    let mut writer = stream.try_clone().expect("a second handle");
    let bytes = bytes.to_vec();
    // Written beside the reading: a peer may answer and close before it took everything.
    let writing = thread::spawn(move || writer.write_all(&bytes).is_ok());
    let result = reading(&stream, deadline, enough);
    // Wakes a writer that the peer left hanging; fails only if the peer was quicker.
    stream.shutdown(Shutdown::Both).ok();
    writing.join().expect("the writer does not panic");
    result
}

/// Reads from `stream` until `enough`, a close, or the deadline.
pub fn reading(
    mut stream: &TcpStream,
    deadline: Duration,
    enough: impl Fn(&[u8]) -> bool,
) -> RawResult {
    let end = Instant::now() + deadline;
    let mut result = RawResult {
        bytes: Vec::new(),
        closed: false,
    };
    let mut chunk = [0; 16 << 10];
    while !enough(&result.bytes) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream
            .set_read_timeout(Some(left))
            .expect("a positive timeout");
        match stream.read(&mut chunk) {
            Ok(0) => result.closed = true,
            Ok(count) => result.bytes.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                result.closed =
                    error.kind() != ErrorKind::WouldBlock && error.kind() != ErrorKind::TimedOut;
                break;
            }
        }
        if result.closed {
            break;
        }
    }
    result
}
