//! Waits for a request head: a moment without hurry for the first byte, then one deadline for the whole.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::time::{Instant, Sleep, sleep_until};

use super::check::{Checked, Checker};
use super::conn::Conn;
use super::framing::Framing;
use super::live::Listener;
use super::refusal::HeadRefusal;

/// What an HTTP/2 client with prior knowledge sends first (RFC 9113, section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A checked request head, ready for Pingora.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) bytes: BytesMut,
    pub(crate) framing: Framing,
    pub(crate) upgrade: bool,
}

/// What a waiting connection came to.
#[derive(Debug)]
pub(crate) enum Arrival {
    Head(Head),
    Refused(HeadRefusal),
    Http2,
    /// The client went, or waited too long, or the listener is closing.
    Over,
}

/// A connection's one timer. It runs on while requests come and go and is looked at again when it rings; setting a timer for
/// every wait would cost more than the rest of the wait.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    fn poll(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        let sleep = match &mut self.sleep {
            // It was polled by this task before and will wake it; that is all a poll could do now.
            Some(sleep) if sleep.deadline() <= at && !sleep.is_elapsed() => return Poll::Pending,
            Some(sleep) => sleep,
            None => self.sleep.insert(Box::pin(sleep_until(at))),
        };
        while sleep.deadline() > at || Instant::now() < at {
            sleep.as_mut().reset(at);
            ready!(sleep.as_mut().poll(cx));
        }
        Poll::Ready(())
    }
}

/// One wait for a head.
struct Wait<'a> {
    conn: &'a mut Conn,
    alarm: &'a mut Alarm,
    listener: &'a Listener,
    checker: Checker,
    deadline: Instant,
    begun: bool,
    http2: Http2,
}

/// Whether the preface of HTTP/2 may come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Http2 {
    Never,
    /// On plaintext: the listener's latest settings decide.
    Perhaps,
    /// The TLS handshake agreed on it.
    Agreed,
}

/// Waits until the next head is complete, refused, or not to be expected any more.
pub(crate) async fn arrive(
    conn: &mut Conn,
    alarm: &mut Alarm,
    listener: &Listener,
    first: bool,
) -> Arrival {
    let deadline = Instant::now() + listener.live().settings.idle_timeout;
    let checker = Checker::default();
    let http2 = match &conn.facts().tls {
        _ if !first => Http2::Never,
        None => Http2::Perhaps,
        Some(tls) if tls.http2 => Http2::Agreed,
        Some(_) => Http2::Never,
    };
    let mut wait = Wait {
        conn,
        alarm,
        listener,
        checker,
        deadline,
        begun: false,
        http2,
    };
    poll_fn(|cx| wait.poll(cx)).await
}

impl Wait<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Arrival> {
        loop {
            if !self.conn.early().is_empty() {
                self.begin();
                if let Some(arrival) = self.look() {
                    return Poll::Ready(arrival);
                }
            }
            match self.conn.poll_receive(cx) {
                Poll::Ready(Ok(count)) if count > 0 => {}
                Poll::Ready(_) => return Poll::Ready(Arrival::Over),
                Poll::Pending => return self.poll_patience(cx),
            }
        }
    }

    /// The first byte starts the clock for the whole head.
    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.conn.note_head_began();
            let live = self.listener.live();
            if self.http2 == Http2::Perhaps && !live.settings.http2 {
                self.http2 = Http2::Never;
            }
            self.deadline =
                Instant::from_std(self.conn.head_began()) + live.settings.header_timeout;
        }
    }

    fn look(&mut self) -> Option<Arrival> {
        if self.http2 != Http2::Never {
            match preface(self.conn.early()) {
                Some(true) => return Some(Arrival::Http2),
                Some(false) => return None,
                // There is no answer in a protocol that was not agreed on.
                None if self.http2 == Http2::Agreed => return Some(Arrival::Over),
                None => self.http2 = Http2::Never,
            }
        }
        // What is in force now, not when the wait began.
        match self
            .checker
            .advance(self.conn.early(), &self.listener.live().settings.head)
        {
            Ok(None) => None,
            Ok(Some(checked)) => Some(Arrival::Head(take(self.conn, &checked))),
            Err(refusal) => Some(Arrival::Refused(refusal)),
        }
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<Arrival> {
        if !self.conn.pending_is_empty() && self.conn.send_before_waiting(cx).is_err() {
            return Poll::Ready(Arrival::Over);
        }
        if !self.begun && self.conn.facts().dismissed() {
            return Poll::Ready(Arrival::Over);
        }
        ready!(self.alarm.poll(cx, self.deadline));
        Poll::Ready(if self.begun {
            Arrival::Refused(HeadRefusal::Timeout)
        } else {
            Arrival::Over
        })
    }
}

/// Whether the HTTP/2 preface is here in full; `None` if this is something else.
fn preface(early: &[u8]) -> Option<bool> {
    let common = early.len().min(PREFACE.len());
    (early.get(..common) == PREFACE.get(..common)).then_some(common == PREFACE.len())
}

/// Cuts the head from the connection. An empty line before it goes; an absolute target becomes its origin form, which is what
/// travels on and what routes see: the authority was found to agree with `Host`.
fn take(conn: &mut Conn, checked: &Checked) -> Head {
    let mut bytes = conn.take_early(checked.end);
    if checked.start > 0 {
        bytes::Buf::advance(&mut bytes, checked.start);
    }
    if let Some(origin) = checked.origin {
        bytes = to_origin_form(&bytes, checked, origin);
    }
    Head {
        bytes,
        framing: checked.framing,
        upgrade: checked.upgrade,
    }
}

fn to_origin_form(bytes: &[u8], checked: &Checked, origin: usize) -> BytesMut {
    let (target, after) = (checked.target.start - checked.start, origin - checked.start);
    let (before, rest) = (bytes.get(..target), bytes.get(after..));
    let (before, rest) = (before.unwrap_or_default(), rest.unwrap_or_default());
    let asterisk = before == b"OPTIONS " && rest.first() == Some(&b' ');
    let mut head = BytesMut::with_capacity(bytes.len() + 1);
    head.extend_from_slice(before);
    match rest.first() {
        Some(b'/') => {}
        _ if asterisk => head.extend_from_slice(b"*"),
        _ => head.extend_from_slice(b"/"),
    }
    head.extend_from_slice(rest);
    head
}
