//! A strict HTTP/1.1 client on one kept connection.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::{Response, Shaken};
use crate::wait::DEADLINE;
use crate::wire::{Framing, Headers, Pipe, Wire, declared, malformed};

/// One connection; requests go out in the order of the calls.
#[derive(Debug)]
pub struct Client {
    wire: Wire,
    authority: String,
    shaken: Option<Box<Shaken>>,
}

impl Client {
    /// Connects; every read gives up after the harness deadline.
    pub fn connect(addr: SocketAddr) -> Self {
        Self::try_connect(addr).unwrap_or_else(|error| panic!("connect to {addr}: {error}"))
    }

    /// Connects, or says why not.
    pub fn try_connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(Self {
            wire: Wire::new(stream),
            authority: addr.to_string(),
            shaken: None,
        })
    }

    pub(super) fn over_tls(
        pipe: impl Pipe + 'static,
        socket: TcpStream,
        authority: String,
        shaken: Shaken,
    ) -> Self {
        Self {
            wire: Wire::over(pipe, socket),
            authority,
            shaken: Some(Box::new(shaken)),
        }
    }

    /// What the TLS handshake came to; panics on a plaintext connection.
    pub fn shaken(&self) -> &Shaken {
        self.shaken.as_ref().expect("a TLS connection")
    }

    /// How long a read may take from now on.
    pub fn patience(&self, limit: Duration) {
        self.wire
            .stream
            .set_read_timeout(Some(limit))
            .expect("a positive read timeout");
    }

    /// `GET path`.
    pub fn get(&mut self, path: &str) -> Response {
        self.request("GET", path, &[], b"")
    }

    /// Sends a request and reads the answer; `host` and `content-length` are added where left out.
    pub fn request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Response {
        self.try_request(method, path, headers, body)
            .unwrap_or_else(|error| panic!("{method} {path} at {}: {error}", self.authority))
    }

    /// Like `request`, or says what broke.
    pub fn try_request(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<Response> {
        let mut message = self.head(method, path, headers, body.len()).into_bytes();
        message.extend_from_slice(body);
        self.wire.write(&message)?;
        self.try_receive(method)
    }

    /// Sends bytes as they are; follow with `receive`.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write(bytes)
    }

    /// Reads the answer to a request of this method.
    pub fn receive(&mut self, method: &str) -> Response {
        self.try_receive(method)
            .unwrap_or_else(|error| panic!("answer to {method}: {error}"))
    }

    /// Reads the answer, or says what broke.
    pub fn try_receive(&mut self, method: &str) -> io::Result<Response> {
        let mut interim = Vec::new();
        loop {
            let (version, status) = self.status_line()?;
            let headers = self.wire.headers()?;
            if (100..200).contains(&status) && status != 101 {
                interim.push((status, headers));
                continue;
            }
            let framing = framing(method, status, &headers)?;
            let (body, trailers) = self.wire.body(framing)?;
            return Ok(Response {
                version,
                status,
                headers,
                body,
                trailers,
                interim,
            });
        }
    }

    /// Reads the head of an answer and leaves its body on the wire (`read_exactly`, `wait_closed`).
    pub fn receive_head(&mut self) -> (u16, Headers) {
        let (_, status) = self.status_line().expect("a status line");
        (status, self.wire.headers().expect("a head"))
    }

    /// The next `count` bytes as they come, for bodies read piecemeal and after an upgrade.
    pub fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        self.wire
            .exactly(count)
            .unwrap_or_else(|error| panic!("{count} bytes: {error}"))
    }

    /// Panics unless the peer closes (or resets) without sending another byte.
    pub fn wait_closed(&mut self) {
        let more = self.wire.fill();
        let ahead = self.wire.take_ahead();
        assert!(
            ahead.is_empty(),
            "expected a close, got {:?}",
            String::from_utf8_lossy(&ahead)
        );
        match more {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => {
                panic!("expected a close, got {error}")
            }
            Ok(_) | Err(_) => {}
        }
    }

    /// The socket, for options and half-closes.
    pub fn stream(&self) -> &TcpStream {
        &self.wire.stream
    }

    fn head(&self, method: &str, path: &str, headers: &[(&str, &str)], length: usize) -> String {
        use std::fmt::Write as _;
        let given = |name: &str| {
            headers
                .iter()
                .any(|(key, _)| key.eq_ignore_ascii_case(name))
        };
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !given("host") {
            write!(head, "Host: {}\r\n", self.authority).expect("a String takes all");
        }
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").expect("a String takes all");
        }
        if length > 0 && !given("content-length") && !given("transfer-encoding") {
            write!(head, "Content-Length: {length}\r\n").expect("a String takes all");
        }
        head + "\r\n"
    }

    fn status_line(&mut self) -> io::Result<(String, u16)> {
        let gone = || io::Error::new(io::ErrorKind::UnexpectedEof, "closed without an answer");
        let line = self.wire.line()?.ok_or_else(gone)?;
        let (version, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let code = rest
            .get(..3)
            .filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
        match (version, code, rest.as_bytes().get(3)) {
            ("HTTP/1.1" | "HTTP/1.0", Some(code), None | Some(b' ')) => Ok((
                version.to_owned(),
                code.parse().map_err(|_| malformed("status"))?,
            )),
            _ => Err(malformed(format!("status line {line:?}"))),
        }
    }
}

fn framing(method: &str, status: u16, headers: &Headers) -> io::Result<Framing> {
    // Declared all the same, so that a wrong pair of lengths never passes unseen.
    let declared = declared(headers)?;
    let bodiless = method == "HEAD" || matches!(status, 101 | 204 | 304);
    let tunnel = method == "CONNECT" && (200..300).contains(&status);
    if bodiless || tunnel {
        return Ok(Framing::Length(0));
    }
    Ok(declared.unwrap_or(Framing::UntilClose))
}
