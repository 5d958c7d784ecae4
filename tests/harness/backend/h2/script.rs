//! What an HTTP/2 backend does with a stream, said before it comes.

use std::future::Future;
use std::sync::Arc;

use h2::Reason;

use super::{H2Call, Handler};
use crate::backend::Gate;

/// One behaviour. Build it from a constructor and refine it by chaining.
#[derive(Clone, Debug, Default)]
pub struct H2Script {
    pub(super) gate: Option<Gate>,
    pub(super) payload: Payload,
}

#[derive(Clone, Default)]
pub(super) enum Payload {
    /// The request as JSON.
    #[default]
    Echo,
    Answer(Answer),
    /// `RST_STREAM` instead of an answer; the body stays unread and the request unrecorded.
    Reset(Reason),
    /// GOAWAY instead of an answer, likewise.
    GoAway(Reason),
    /// Neither.
    Stall,
    Handler(Handler),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) chunks: Vec<Vec<u8>>,
    pub(super) trailers: Vec<(String, String)>,
    /// Each chunk, and the end, waits here.
    pub(super) trickle: Option<Gate>,
    /// `RST_STREAM` instead of the end.
    pub(super) reset: Option<Reason>,
}

impl H2Script {
    /// 200 and the request as JSON: `backend`, `method`, `target`, `version`, `headers` (pairs), `length`, `body`.
    pub fn echo() -> Self {
        Self::default()
    }

    /// A status and a body.
    pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::chunks(status, [body])
    }

    /// A status and a body in several DATA frames.
    pub fn chunks<C: Into<Vec<u8>>>(status: u16, chunks: impl IntoIterator<Item = C>) -> Self {
        Self::of(Payload::Answer(Answer {
            status,
            chunks: chunks.into_iter().map(Into::into).collect(),
            ..Answer::default()
        }))
    }

    /// The same; the head leaves at once and each chunk (and the end) waits for a pass of `gate`.
    pub fn trickle<C: Into<Vec<u8>>>(gate: &Gate, chunks: impl IntoIterator<Item = C>) -> Self {
        let mut script = Self::chunks(200, chunks);
        script.answer_mut().trickle = Some(gate.clone());
        script
    }

    /// `RST_STREAM` instead of an answer.
    pub fn reset(reason: Reason) -> Self {
        Self::of(Payload::Reset(reason))
    }

    /// GOAWAY instead of an answer: the connection ends with every stream on it. It names this stream as seen, so a
    /// client must not believe that nothing happened.
    pub fn go_away(reason: Reason) -> Self {
        Self::of(Payload::GoAway(reason))
    }

    /// No answer, ever.
    pub fn stall() -> Self {
        Self::of(Payload::Stall)
    }

    /// Whatever this does; nothing is recorded.
    pub fn handler<F>(handle: impl Fn(H2Call) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let handle = move |call| -> super::Handled { Box::pin(handle(call)) };
        Self::of(Payload::Handler(Arc::new(handle)))
    }

    fn of(payload: Payload) -> Self {
        Self {
            gate: None,
            payload,
        }
    }

    /// Adds a header to an answer.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let pair = (name.to_owned(), value.to_owned());
        self.answer_mut().headers.push(pair);
        self
    }

    /// Adds a trailer to an answer.
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        let pair = (name.to_owned(), value.to_owned());
        self.answer_mut().trailers.push(pair);
        self
    }

    /// Ends an answer by `RST_STREAM`.
    pub fn then_reset(mut self, reason: Reason) -> Self {
        self.answer_mut().reset = Some(reason);
        self
    }

    /// The request is read and recorded; then the script waits here.
    pub fn gated(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    fn answer_mut(&mut self) -> &mut Answer {
        let Payload::Answer(answer) = &mut self.payload else {
            panic!("only an answer has headers, trailers and an end");
        };
        answer
    }
}

impl std::fmt::Debug for Payload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Echo => "Echo",
            Self::Answer(_) => "Answer",
            Self::Reset(_) => "Reset",
            Self::GoAway(_) => "GoAway",
            Self::Stall => "Stall",
            Self::Handler(_) => "Handler",
        })
    }
}
