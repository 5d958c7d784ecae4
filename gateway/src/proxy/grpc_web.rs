//! gRPC-Web onto an upstream that speaks gRPC: the message in, the answer and its trailers out, in both codings.
//!
//! One bridge serves one attempt. It changes nothing of the messages themselves; it takes them out of base64 and puts them
//! back, and writes the trailers as the last frame of the body, since browsers cannot read trailers. An upstream that
//! does not speak HTTP/2 gets the call as the client sent it.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::Result;
use plugins::contract::flow::Refusal;

use super::dialect::{self, Coding};
use super::grpc;

use self::frames::Frames;
use self::text::Decoder;

mod frames;
mod text;

/// The body of a call in text is no base64.
pub(super) static MALFORMED: Refusal = Refusal {
    status: 400,
    code: "grpc-web.malformed",
    title: "The body of the call is no valid base64.",
};

/// The flag of a frame that holds trailers.
const TRAILERS: u8 = 0x80;

/// What one attempt has to translate.
pub(super) struct Bridge {
    /// Takes the request out of base64.
    decoder: Option<Decoder>,
    /// How the client wants the answer.
    wanted: Coding,
    /// Where in the answer's messages we are; none before an answer that is gRPC.
    frames: Option<Frames>,
}

impl Bridge {
    /// Turns the head for the upstream, a copy of the client's, into one of gRPC.
    pub(super) fn build(head: &mut RequestHeader, sent: Coding) -> Result<Self> {
        let wanted = dialect::wanted(head, sent);
        let kind = head.headers.get(header::CONTENT_TYPE);
        let kind = kind.map(|kind| dialect::without_parameters(kind.as_bytes()));
        let format = kind.and_then(|kind| {
            kind.iter()
                .position(|byte| *byte == b'+')
                .and_then(|at| kind.get(at..))
        });
        head.insert_header(header::CONTENT_TYPE, typed(b"application/grpc", format))?;
        if sent == Coding::Text {
            head.remove_header(&header::CONTENT_LENGTH);
        }
        Ok(Self {
            decoder: (sent == Coding::Text).then(Decoder::default),
            wanted,
            frames: None,
        })
    }

    /// A piece of the request; `Err` when it is no base64.
    pub(super) fn request(
        &mut self,
        bytes: &mut Option<Bytes>,
        end: bool,
    ) -> Result<(), &'static Refusal> {
        let Some(decoder) = &mut self.decoder else {
            return Ok(());
        };
        if let Some(piece) = bytes {
            *piece = decoder.decode(piece).ok_or(&MALFORMED)?;
        }
        if end && !decoder.is_whole() {
            return Err(&MALFORMED);
        }
        Ok(())
    }

    /// The head of the answer. One that is no gRPC passes as it is.
    pub(super) fn head(&mut self, head: &mut ResponseHeader) -> Result<()> {
        self.frames = None;
        let kind = head.headers.get(header::CONTENT_TYPE);
        let Some(format) = kind.and_then(dialect::grpc_format) else {
            return Ok(());
        };
        let web: &[u8] = match self.wanted {
            Coding::Binary => b"application/grpc-web",
            Coding::Text => b"application/grpc-web-text",
        };
        let format = Some(format).filter(|format| !format.is_empty());
        let kind = typed(web, Some(format.unwrap_or(b"+proto")));
        head.insert_header(header::CONTENT_TYPE, kind)?;
        head.remove_header(&header::CONTENT_LENGTH);
        self.frames = Some(Frames::default());
        Ok(())
    }

    /// A piece of the answer.
    pub(super) fn body(&mut self, bytes: &mut Option<Bytes>) {
        let (Some(frames), Some(piece)) = (&mut self.frames, bytes) else {
            return;
        };
        frames.follow(piece);
        *piece = coded(std::mem::take(piece), self.wanted);
    }

    /// The end of the answer, in place of trailers.
    pub(super) fn trailers(&self, trailers: &HeaderMap) -> Option<Bytes> {
        self.frames.as_ref()?;
        Some(coded(frame(trailers), self.wanted))
    }

    /// The end of an answer that broke between two of its messages; within one nothing can be said any more.
    pub(super) fn broken(&self, refusal: &'static Refusal) -> Option<Bytes> {
        let frames = self.frames.as_ref()?;
        frames
            .is_between()
            .then(|| coded(frame(&grpc::trailers(refusal)), self.wanted))
    }
}

fn typed(kind: &[u8], format: Option<&[u8]>) -> HeaderValue {
    let whole = [kind, format.unwrap_or_default()].concat();
    // Joined from values that were values; the fallback cannot be seen.
    HeaderValue::from_bytes(&whole).unwrap_or(HeaderValue::from_static("application/grpc"))
}

fn coded(bytes: Bytes, coding: Coding) -> Bytes {
    match coding {
        Coding::Binary => bytes,
        Coding::Text => text::encode(&bytes),
    }
}

/// Trailers as the last message.
fn frame(trailers: &HeaderMap) -> Bytes {
    let mut lines = Vec::new();
    for (name, value) in trailers {
        lines.extend_from_slice(name.as_str().as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend_from_slice(value.as_bytes());
        lines.extend_from_slice(b"\r\n");
    }
    let mut frame = BytesMut::with_capacity(5 + lines.len());
    frame.put_u8(TRAILERS);
    // HTTP/2 limits a list of fields far below 4 GiB.
    frame.put_u32(u32::try_from(lines.len()).unwrap_or(u32::MAX));
    frame.extend_from_slice(&lines);
    frame.freeze()
}

#[cfg(test)]
mod tests;
