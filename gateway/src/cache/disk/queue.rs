//! What the keeper of a directory is to do, in order. What takes memory is bounded; what gives room is not refused.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::purges::Record;
use super::{Spool, Stored};
use crate::cache::entry::Entry;

/// One thing to do.
pub(super) enum Command {
    /// Write an answer.
    Keep(Arc<Entry>),
    /// Write more of one.
    Append(Arc<Spool>, Bytes),
    /// Write its head; it is whole.
    Finish(Arc<Spool>, Arc<Entry>),
    /// Delete what there is of it.
    Discard(Arc<Spool>),
    /// Write a head again.
    Head(Arc<Stored>),
    /// Put on record what is to be forgotten.
    Record(Record),
    /// Say whether all of that is on record.
    Tell(oneshot::Sender<bool>),
    /// Make room: the directory may hold less.
    Fit,
    /// Write down how far the log of purges was read.
    Heard(Vec<u8>),
}

/// What there is to do.
#[derive(Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
}

#[derive(Default)]
struct Inner {
    commands: VecDeque<(Command, usize)>,
    /// What the answers weigh that wait to be written, and how many there are.
    weight: usize,
    keeps: usize,
    /// The same of content that is on its way to files.
    appending: usize,
    unlinks: Vec<Arc<Stored>>,
    woken: bool,
    closed: bool,
}

impl Queue {
    /// Adds something. After the close it is dropped.
    pub(super) fn push(&self, command: Command) {
        let mut inner = self.inner.lock();
        if inner.closed {
            return;
        }
        let weight = if let Command::Append(_, piece) = &command {
            piece.len()
        } else {
            0
        };
        inner.appending += weight;
        inner.commands.push_back((command, weight));
        drop(inner);
        self.wake.notify_one();
    }

    /// Has the keeper look again at what it may do.
    pub(super) fn wake(&self) {
        // Under the lock, or it could fall asleep between looking and waiting.
        self.inner.lock().woken = true;
        self.wake.notify_one();
    }

    /// What content weighs that is on its way to files.
    pub(super) fn appending(&self) -> usize {
        self.inner.lock().appending
    }

    /// Adds an answer of this weight, unless too many wait or too much.
    pub(super) fn try_push(&self, command: Command, weight: usize, most: (usize, usize)) -> bool {
        let mut inner = self.inner.lock();
        let full = inner.keeps >= most.0 || inner.weight.saturating_add(weight) > most.1;
        if inner.closed || (full && inner.keeps > 0) {
            return false;
        }
        inner.keeps += 1;
        inner.weight += weight;
        inner.commands.push_back((command, weight));
        drop(inner);
        self.wake.notify_one();
        true
    }

    pub(super) fn unlink(&self, stored: Arc<Stored>) {
        let mut inner = self.inner.lock();
        if inner.closed {
            return;
        }
        inner.unlinks.push(stored);
        drop(inner);
        self.wake.notify_one();
    }

    pub(super) fn close(&self) {
        self.inner.lock().closed = true;
        self.wake.notify_all();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.inner.lock().closed
    }

    pub(super) fn unlinks(&self) -> Vec<Arc<Stored>> {
        std::mem::take(&mut self.inner.lock().unlinks)
    }

    pub(super) fn len(&self) -> usize {
        self.inner.lock().commands.len()
    }

    /// Whether heads wait to be written.
    pub(super) fn has_heads(&self) -> bool {
        let inner = self.inner.lock();
        let mut commands = inner.commands.iter();
        commands.any(|(command, _)| matches!(command, Command::Head(_)))
    }

    pub(super) fn next(&self) -> Option<Command> {
        let mut inner = self.inner.lock();
        let (command, weight) = inner.commands.pop_front()?;
        if matches!(command, Command::Keep(_)) {
            inner.keeps -= 1;
            inner.weight -= weight;
        } else {
            inner.appending -= weight;
        }
        Some(command)
    }

    /// Waits for something to do, or so long; `false` when there will be nothing any more.
    pub(super) fn wait(&self, most: Duration) -> bool {
        let mut inner = self.inner.lock();
        if inner.commands.is_empty() && inner.unlinks.is_empty() {
            if inner.closed {
                return false;
            }
            if !inner.woken {
                self.wake.wait_for(&mut inner, most);
            }
        }
        inner.woken = false;
        true
    }
}
