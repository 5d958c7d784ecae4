//! What a backend does with a request, said before the request comes.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A point where a backend waits until the test lets it go on: a delay without a clock.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<(Mutex<Passes>, Condvar)>);

#[derive(Debug, Default)]
struct Passes {
    left: usize,
    open: bool,
    waiting: usize,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everyone pass from now on.
    pub fn open(&self) {
        self.change(|passes| passes.open = true);
    }

    /// Lets one waiter (or the next one to come) pass.
    pub fn step(&self) {
        self.change(|passes| passes.left += 1);
    }

    /// How many wait here now.
    pub fn waiting(&self) -> usize {
        self.0
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .waiting
    }

    fn change(&self, edit: impl FnOnce(&mut Passes)) {
        edit(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
    }

    pub(in crate::backend) fn pass(&self) {
        let (passes, changed) = &*self.0;
        let mut passes = passes.lock().unwrap_or_else(PoisonError::into_inner);
        passes.waiting += 1;
        while !passes.open && passes.left == 0 {
            passes = changed.wait(passes).unwrap_or_else(PoisonError::into_inner);
        }
        passes.waiting -= 1;
        passes.left = passes.left.saturating_sub(1);
    }
}

/// What becomes of the connection after the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Kept for the next request, unless the request asks for a close.
    #[default]
    Keep,
    /// Closed in an orderly way.
    Close,
    /// Reset: the peer sees ECONNRESET.
    Reset,
    /// Left open and silent until the peer gives up.
    Stall,
}

#[derive(Clone, Debug, Default)]
pub(super) enum Payload {
    /// The request as JSON.
    #[default]
    Echo,
    Answer(Answer),
    /// These bytes, verbatim.
    Raw(Vec<u8>),
    /// 101, then every byte comes back.
    Upgrade,
}

#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Sized(Vec<u8>),
    /// Each chunk passes the gate, where there is one, and is its own write.
    Chunked(Vec<Vec<u8>>, Option<Gate>),
    UntilClose(Vec<u8>),
}

/// One behaviour. Build it from a constructor and refine it by chaining.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub(super) gate: Option<Gate>,
    pub(super) interim: Vec<u16>,
    pub(super) payload: Payload,
    pub(super) ending: Ending,
    pub(super) leaves_body: bool,
}

impl Script {
    /// 200 and the request as JSON: `backend`, `method`, `target`, `version`, `headers` (pairs in order), `length`, `body`.
    pub fn echo() -> Self {
        Self::default()
    }

    /// A status and a body with its length.
    pub fn answer(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::with_body(status, Body::Sized(body.into()))
    }

    /// A status without a body.
    pub fn status(status: u16) -> Self {
        Self::answer(status, "")
    }

    /// 200 with a chunked body, each chunk written by itself.
    pub fn chunks<C: Into<Vec<u8>>>(chunks: impl IntoIterator<Item = C>) -> Self {
        let chunks = chunks.into_iter().map(Into::into).collect();
        Self::with_body(200, Body::Chunked(chunks, None))
    }

    /// 200 with a chunked body; the head leaves at once and each chunk (and the end) waits for a pass of `gate`.
    pub fn trickle<C: Into<Vec<u8>>>(gate: &Gate, chunks: impl IntoIterator<Item = C>) -> Self {
        let chunks = chunks.into_iter().map(Into::into).collect();
        Self::with_body(200, Body::Chunked(chunks, Some(gate.clone())))
    }

    /// 200 with a body that ends where the connection does.
    pub fn until_close(body: impl Into<Vec<u8>>) -> Self {
        Self::with_body(200, Body::UntilClose(body.into())).ending(Ending::Close)
    }

    /// These bytes verbatim, then a close.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self {
            payload: Payload::Raw(bytes.into()),
            ..Self::default()
        }
        .ending(Ending::Close)
    }

    /// No answer, ever; the connection stays open.
    pub fn stall() -> Self {
        Self::raw("").ending(Ending::Stall)
    }

    /// A reset instead of an answer.
    pub fn reset() -> Self {
        Self::raw("").ending(Ending::Reset)
    }

    /// A close instead of an answer.
    pub fn close() -> Self {
        Self::raw("")
    }

    /// 101 with the protocol that was asked for, then an echo of bytes.
    pub fn upgrade() -> Self {
        Self {
            payload: Payload::Upgrade,
            ..Self::default()
        }
        .ending(Ending::Close)
    }

    fn with_body(status: u16, body: Body) -> Self {
        let answer = Answer {
            status,
            headers: Vec::new(),
            body,
        };
        Self {
            payload: Payload::Answer(answer),
            ..Self::default()
        }
    }

    /// Adds a header to an answer.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let Payload::Answer(answer) = &mut self.payload else {
            panic!("only an answer has headers; write them into the raw bytes");
        };
        answer.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The request is read and recorded; then the script waits here.
    pub fn gated(mut self, gate: &Gate) -> Self {
        self.gate = Some(gate.clone());
        self
    }

    /// Sends a 1xx before the answer.
    pub fn interim(mut self, status: u16) -> Self {
        self.interim.push(status);
        self
    }

    /// What becomes of the connection afterwards.
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// Answers without reading the body (the record has none), then ends the connection.
    pub fn leaving_body(mut self) -> Self {
        self.leaves_body = true;
        if self.ending == Ending::Keep {
            self.ending = Ending::Close;
        }
        self
    }
}
