//! HTTP/1.1 framing read strictly, for both ends of the gateway.
//!
//! Whatever RFC 9112 forbids is an error here, not an interpretation: a gateway that emits a bare LF, a
//! folded header or two lengths fails the test that saw it.

pub(crate) mod h2;

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::TcpStream;

const LINE_MAX: usize = 4 << 20;

/// Header fields in wire order, names as they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The first value of `name`, compared without case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).into_iter().next()
    }

    /// Every value of `name` in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let same = |(key, _): &&(String, String)| key.eq_ignore_ascii_case(name);
        self.0
            .iter()
            .filter(same)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Is there at least one field of this name?
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Does the comma-separated field `name` hold `token`?
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        let mut tokens = self
            .all(name)
            .into_iter()
            .flat_map(|value| value.split(','));
        tokens.any(|each| each.trim().eq_ignore_ascii_case(token))
    }
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// A body and the trailers that followed it.
pub(crate) type BodyAndTrailers = (Vec<u8>, Headers);

/// What carries the bytes: a socket, or TLS over one.
pub(crate) trait Pipe: Read + Write + Debug + Send {}

impl<T: Read + Write + Debug + Send> Pipe for T {}

/// A connection with what was read ahead.
#[derive(Debug)]
pub(crate) struct Wire {
    pipe: Box<dyn Pipe>,
    /// The socket beneath, for options and half-closes.
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
}

pub(crate) fn malformed(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// The peer went away in the middle, which breaks no grammar.
fn cut() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "closed inside a message")
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let pipe = stream.try_clone().expect("a second handle");
        Self::over(pipe, stream)
    }

    /// Over something that uses this socket.
    pub(crate) fn over(pipe: impl Pipe + 'static, stream: TcpStream) -> Self {
        Self {
            pipe: Box::new(pipe),
            stream,
            ahead: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pipe.write_all(bytes)?;
        self.pipe.flush()
    }

    /// Reads once more; `false` at the end of the stream.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16 << 10];
        let count = self.pipe.read(&mut chunk)?;
        self.ahead.extend_from_slice(&chunk[..count]);
        Ok(count > 0)
    }

    fn need_more(&mut self) -> io::Result<()> {
        if self.fill()? { Ok(()) } else { Err(cut()) }
    }

    /// A line without its CRLF; `None` when the stream ended before its first byte.
    pub(crate) fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.ahead.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.ahead.drain(..=end).collect();
                line.pop();
                return match line.pop() {
                    Some(b'\r') if !line.contains(&b'\r') => Ok(Some(latin1(&line))),
                    _ => Err(malformed(format!(
                        "bare CR or LF after {:?}",
                        latin1(&line)
                    ))),
                };
            }
            match (self.ahead.is_empty(), self.ahead.len() > LINE_MAX) {
                (_, true) => return Err(malformed("an endless line")),
                (true, _) if !self.fill()? => return Ok(None),
                (true, _) => {}
                (false, _) => self.need_more()?,
            }
        }
    }

    /// Fields up to and with the empty line.
    pub(crate) fn headers(&mut self) -> io::Result<Headers> {
        let mut headers = Headers::default();
        loop {
            let line = self.line()?.ok_or_else(cut)?;
            if line.is_empty() {
                return Ok(headers);
            }
            headers.0.push(field(&line)?);
        }
    }

    pub(crate) fn body(&mut self, framing: Framing) -> io::Result<BodyAndTrailers> {
        match framing {
            Framing::Length(length) => Ok((self.exactly(length)?, Headers::default())),
            Framing::Chunked => self.chunks(),
            Framing::UntilClose => {
                while self.fill()? {}
                Ok((std::mem::take(&mut self.ahead), Headers::default()))
            }
        }
    }

    pub(crate) fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < count {
            self.need_more()?;
        }
        Ok(self.ahead.drain(..count).collect())
    }

    fn chunks(&mut self) -> io::Result<BodyAndTrailers> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?.ok_or_else(cut)?;
            let size = usize::from_str_radix(&line, 16)
                .map_err(|_| malformed(format!("chunk size {line:?}")))?;
            if size == 0 {
                return Ok((body, self.headers()?));
            }
            body.extend(self.exactly(size)?);
            if self.exactly(2)? != b"\r\n" {
                return Err(malformed("a chunk is longer than it says"));
            }
        }
    }

    /// Takes what was read ahead, for protocols that follow an upgrade.
    pub(crate) fn take_ahead(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ahead)
    }
}

/// The framing that the fields declare; `None` when they declare none.
pub(crate) fn declared(headers: &Headers) -> io::Result<Option<Framing>> {
    let (lengths, codings) = (
        headers.all("content-length"),
        headers.all("transfer-encoding"),
    );
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Ok(None),
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") => Ok(Some(Framing::Chunked)),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => length
            .parse()
            .map(|length| Some(Framing::Length(length)))
            .map_err(|_| malformed(format!("content-length {length:?}"))),
        (lengths, codings) => Err(malformed(format!(
            "lengths {lengths:?}, codings {codings:?}"
        ))),
    }
}

fn field(line: &str) -> io::Result<(String, String)> {
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| malformed(format!("field without colon: {line:?}")))?;
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(token) {
        return Err(malformed(format!("field name {name:?}")));
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

/// Bytes as text without loss: each byte is the character of that number.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}
