//! One POST over HTTP/1.1 with every wait limited, to an admin listener on a plain TCP or unix socket.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The environment variable that holds the admin token; an argument would show in every list of processes.
pub(super) const TOKEN: &str = "GATEWAY_ADMIN_TOKEN";

/// To connect, and between two pieces of the answer: a reload looks names up before it answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// Largest answer that is read.
const ANSWER_MAX: u64 = 16 << 20;

/// Where an admin listener is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// `http://host:port`
    Tcp(String),
    /// `unix:/path`
    Unix(PathBuf),
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        let rest = text
            .strip_prefix("http://")
            .ok_or("write http://ADDRESS:PORT or unix:/PATH")?;
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.is_empty()
            || authority.contains(['/', '?', '#', '@'])
            || authority.contains(char::is_whitespace)
        {
            return Err("write http://ADDRESS:PORT with nothing behind it");
        }
        let bare = authority.ends_with(']') || !authority.contains(':');
        Ok(Self::Tcp(if bare {
            format!("{authority}:80")
        } else {
            authority.to_owned()
        }))
    }
}

/// Why an admin listener did not do what was asked.
pub(super) fn refusal(status: u16, title: Option<&str>, with_token: bool) -> String {
    match (status, with_token) {
        (401, true) => format!("the token in {TOKEN} is not the right one"),
        (401, false) => format!("a token is needed: set {TOKEN}"),
        (_, _) => {
            let title = title.unwrap_or("this is not the admin listener of a gateway");
            format!("the answer was {status}: {title}")
        }
    }
}

/// Sends the request and reads the whole answer.
pub(super) fn post(to: &Address, path: &str, token: Option<&str>) -> io::Result<Answer> {
    let host = match to {
        Address::Tcp(authority) => authority,
        Address::Unix(_) => "localhost",
    };
    let token = token.map(authorization).transpose()?.unwrap_or_default();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n{token}\r\n"
    );
    match to {
        Address::Tcp(authority) => {
            let stream = connect(authority)?;
            stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
            stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
            exchange(stream, &head)
        }
        Address::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
            stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
            exchange(stream, &head)
        }
    }
}

/// A token with a line break in it would be two header fields.
fn authorization(token: &str) -> io::Result<String> {
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(format!("Authorization: Bearer {token}\r\n"));
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "the token holds characters that no token can hold",
    ))
}

fn connect(authority: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exchange(mut stream: impl Read + Write, head: &str) -> io::Result<Answer> {
    stream.write_all(head.as_bytes())?;
    let mut bytes = Vec::new();
    // The answer ends where the connection does: that was asked for.
    stream.take(ANSWER_MAX).read_to_end(&mut bytes)?;
    parse(&String::from_utf8_lossy(&bytes))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))
}

fn parse(text: &str) -> Option<Answer> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head
        .strip_prefix("HTTP/1.")?
        .split(' ')
        .nth(1)?
        .parse()
        .ok()?;
    Some(Answer {
        status,
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses() {
        let tcp = |text: &str| Ok(Address::Tcp(text.to_owned()));
        assert_eq!("http://127.0.0.1:9090".parse(), tcp("127.0.0.1:9090"));
        assert_eq!("http://[::1]/".parse(), tcp("[::1]:80"));
        assert_eq!(
            "unix:/run/gw.sock".parse(),
            Ok(Address::Unix("/run/gw.sock".into()))
        );
        for text in [
            "",
            "unix:",
            "127.0.0.1:9090",
            "https://a:1",
            "http://",
            "http://a:1/reload",
            "http://u@a",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn reads_answers() {
        let answer = parse("HTTP/1.1 422 Unprocessable Entity\r\na: b\r\n\r\n{}").unwrap();
        assert_eq!((answer.status, &*answer.body), (422, "{}"));
        assert!(parse("SSH-2.0-OpenSSH\r\n\r\n").is_none());
        assert!(parse("HTTP/1.1 200 OK\r\n").is_none());
    }

    #[test]
    fn no_token_breaks_out_of_its_line() {
        assert!(authorization("a\r\nX: y").is_err());
        assert_eq!(
            authorization("t0k").unwrap(),
            "Authorization: Bearer t0k\r\n"
        );
    }
}
