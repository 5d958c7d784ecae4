//! One POST over HTTP/1.1 with every wait limited, to an admin listener on TCP, with or without TLS, or a unix socket.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, ServerName};

use super::{WRONG, complain};

/// The environment variable that holds the admin token; an argument would show in every list of processes.
const TOKEN: &str = "GATEWAY_ADMIN_TOKEN";

/// To connect, and between two pieces of the answer: a reload looks names up before it answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
/// Largest answer that is read.
const ANSWER_MAX: u64 = 16 << 20;

/// Where an admin listener is.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    /// `http://host:port`
    Tcp(String),
    /// `https://host:port`
    Tls(String),
    /// `unix:/path`
    Unix(PathBuf),
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
    with_token: bool,
}

/// Which admin listener is asked.
#[derive(Debug, clap::Args)]
pub(super) struct Whom {
    /// The admin listener; a token for it comes from `GATEWAY_ADMIN_TOKEN`
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090")]
    admin: String,
    /// Whom to trust where the URL is `https`: certificates in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Whom {
    /// Sends a POST there. Where no answer comes, it has complained, and the process ends with the code.
    pub(super) fn post(&self, path: &str) -> Result<Answer, ExitCode> {
        let wrong = |text: &str| {
            complain(text);
            ExitCode::from(WRONG)
        };
        let parsed: Result<Address, _> = self.admin.parse();
        let address =
            parsed.map_err(|error| wrong(&format!("error: --admin {}: {error}\n", self.admin)))?;
        if let Some(lack) = lack(&address, self.ca.as_deref()) {
            return Err(wrong(lack));
        }
        let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
        let sent = post(&address, path, token.as_deref(), self.ca.as_deref());
        let with_token = token.is_some();
        let answer = sent.map(|answer| Answer {
            with_token,
            ..answer
        });
        answer.map_err(|error| {
            complain(&format!(
                "error: cannot ask the gateway at {}: {error}\n",
                self.admin
            ));
            ExitCode::FAILURE
        })
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Self::Unix(path.into()));
        }
        let (encrypted, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://"))
        {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err("write http://ADDRESS:PORT, https://… or unix:/PATH"),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.is_empty()
            || authority.contains(['/', '?', '#', '@'])
            || authority.contains(char::is_whitespace)
        {
            return Err("write http://ADDRESS:PORT with nothing behind it");
        }
        let bare = authority.ends_with(']') || !authority.contains(':');
        Ok(match (encrypted, bare) {
            (true, true) => Self::Tls(format!("{authority}:443")),
            (true, false) => Self::Tls(authority.to_owned()),
            (false, true) => Self::Tcp(format!("{authority}:80")),
            (false, false) => Self::Tcp(authority.to_owned()),
        })
    }
}

impl Answer {
    /// Why the admin listener did not do what was asked.
    pub(super) fn refusal(&self, title: Option<&str>) -> String {
        match (self.status, self.with_token) {
            (401, true) => format!("the token in {TOKEN} is not the right one"),
            (401, false) => format!("a token is needed: set {TOKEN}"),
            (status, _) => {
                let title = title.unwrap_or("this is not the admin listener of a gateway");
                format!("the answer was {status}: {title}")
            }
        }
    }
}

/// What the arguments lack.
fn lack(to: &Address, trusted: Option<&Path>) -> Option<&'static str> {
    let lacks = matches!(to, Address::Tls(_)) && trusted.is_none();
    lacks.then_some(
        "error: https needs --ca FILE: the authority of the admin listener's certificate\n",
    )
}

/// Sends the request and reads the whole answer.
fn post(
    to: &Address,
    path: &str,
    token: Option<&str>,
    trusted: Option<&Path>,
) -> io::Result<Answer> {
    let host = match to {
        Address::Tcp(authority) | Address::Tls(authority) => authority,
        Address::Unix(_) => "localhost",
    };
    let token = token.map(authorization).transpose()?.unwrap_or_default();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n{token}\r\n"
    );
    match to {
        Address::Tcp(authority) => exchange(connect(authority)?, &head),
        Address::Tls(authority) => {
            let session = tls(authority, trusted)?;
            exchange(StreamOwned::new(session, connect(authority)?), &head)
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
            Ok(stream) => {
                stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
                stream.set_write_timeout(Some(CONNECT_TIMEOUT))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The client's side of a handshake with whoever an authority of this file vouches for.
fn tls(authority: &str, trusted: Option<&Path>) -> io::Result<ClientConnection> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = trusted {
        let read = CertificateDer::pem_file_iter(file).map_err(|error| unreadable(file, &error))?;
        for certificate in read {
            let certificate = certificate.map_err(|error| unreadable(file, &error))?;
            roots.add(certificate).map_err(io::Error::other)?;
        }
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = authority
        .rsplit_once(':')
        .map_or(authority, |(host, _)| host);
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)
}

fn unreadable(file: &Path, error: &pem::Error) -> io::Error {
    let message = format!("{} holds no certificates: {error}", file.display());
    io::Error::new(io::ErrorKind::InvalidInput, message)
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
        with_token: false,
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
        let tls = |text: &str| Ok(Address::Tls(text.to_owned()));
        assert_eq!("https://a".parse(), tls("a:443"));
        assert_eq!("https://[::1]:9090".parse(), tls("[::1]:9090"));
        assert_eq!(
            "unix:/run/gw.sock".parse(),
            Ok(Address::Unix("/run/gw.sock".into()))
        );
        for text in [
            "",
            "unix:",
            "127.0.0.1:9090",
            "https://",
            "ftp://a:1",
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
