//! What a plugin answers: go on, or this reply.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

/// A kind of refusal: declared once as a `static`, so that metrics, documents and tests can list them all.
#[derive(Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Status code of the answer.
    pub status: u16,
    /// Stable name `<plugin>.<what>`: the `code` of the answer, the metric label, the log field.
    pub code: &'static str,
    /// One sentence for the client; the same for every refusal of this kind.
    pub title: &'static str,
}

/// Whether the request goes on.
#[must_use]
#[derive(Debug)]
pub enum Flow {
    /// To the next plugin.
    Continue,
    /// No further: this is the answer.
    Reply(Box<Reply>),
}

/// An answer that the gateway makes itself.
#[derive(Debug)]
pub struct Reply {
    /// Status code.
    pub status: StatusCode,
    /// Which refusal this is; `None` for an answer that is no refusal, such as a preflight's.
    pub refusal: Option<&'static Refusal>,
    /// Header fields beside those the gateway writes itself (length, type, request id).
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The content.
    pub body: ReplyBody,
    /// What the request's body has to be for it; `None`: whatever it is.
    pub terms: Option<Box<Terms>>,
    /// What the access log calls it, where it is no refusal.
    pub code: Option<&'static str>,
}

/// A reply to one body only: the gateway reads the request's body to its end, keeps none of it, and then knows.
#[derive(Debug)]
pub struct Terms {
    /// The body's SHA-256.
    pub sha256: [u8; 32],
    /// The most bytes that are read.
    pub bytes_max: u64,
    /// The answer to another body.
    pub other: &'static Refusal,
    /// The answer to a larger one.
    pub larger: &'static Refusal,
}

/// The content of a reply.
#[derive(Debug)]
pub enum ReplyBody {
    /// None at all.
    Empty,
    /// `application/problem+json` (RFC 9457) made from the refusal; the detail may say what the client can change.
    Problem {
        /// A sentence about this very refusal, with nothing internal in it.
        detail: Option<String>,
    },
    /// These bytes; the content type is among the headers.
    Bytes(Bytes),
}

impl Flow {
    /// Refuses with a problem answer.
    pub fn refuse(refusal: &'static Refusal) -> Self {
        Self::Reply(Box::new(Reply::refusal(refusal)))
    }
}

impl Reply {
    /// A problem answer without detail.
    pub fn refusal(refusal: &'static Refusal) -> Self {
        // A refusal is declared with a literal status; the fallback cannot be seen outside a typing mistake.
        let status =
            StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            refusal: Some(refusal),
            headers: Vec::new(),
            body: ReplyBody::Problem { detail: None },
            terms: None,
            code: None,
        }
    }

    /// An answer that is no refusal.
    pub fn plain(status: StatusCode, body: ReplyBody) -> Self {
        Self {
            status,
            refusal: None,
            headers: Vec::new(),
            body,
            terms: None,
            code: None,
        }
    }

    /// Names it in the access log, where it is no refusal.
    pub fn named(self, code: &'static str) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// Says to which body alone it is the reply.
    pub fn on(self, terms: Terms) -> Self {
        Self {
            terms: Some(Box::new(terms)),
            ..self
        }
    }

    /// Adds a header field.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Says what the client can change.
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.body = ReplyBody::Problem {
            detail: Some(text.into()),
        };
        self
    }
}

impl From<Reply> for Flow {
    fn from(reply: Reply) -> Self {
        Self::Reply(Box::new(reply))
    }
}
