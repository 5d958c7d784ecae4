//! The content of a stored answer: readable while it is still being written, by any number of readers.
//!
//! Content of unknown length that outgrows its limit is not kept any more: from there on it only passes through to those who
//! already read it, a bounded piece at a time. Content that is too large for memory passes through to a file, where those who
//! read it later or slower find it.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::disk::{Spool, Stored, readers};

/// Content up to this size is put into one piece when it is whole, which leaves in one write.
const ONE_PIECE: usize = 256 << 10;

/// What passes through waits for its readers beyond this.
const PASSING_MAX: usize = 1 << 20;

/// The content.
#[derive(Default)]
pub struct Body {
    growing: Mutex<Growing>,
    grown: Notify,
    taken: Notify,
    whole: OnceLock<Whole>,
    /// Where it is on disk.
    file: Mutex<Option<Arc<Stored>>>,
    /// Whether it is there alone.
    elsewhere: bool,
}

/// All of it.
pub struct Whole {
    pieces: Box<[Bytes]>,
    length: usize,
}

#[derive(Default)]
struct Growing {
    pieces: VecDeque<Bytes>,
    /// Where the first piece begins.
    start: usize,
    /// Bytes written so far.
    length: usize,
    ended: Option<End>,
    /// Whether pieces go as soon as everybody has read them.
    passing: bool,
    /// Where pieces go instead, and how much has arrived there.
    spool: Option<(Arc<Spool>, usize)>,
    /// Where each reader is.
    readers: Vec<(u64, usize)>,
    next_reader: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Broken,
}

/// Why there is no more to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// Whoever wrote it did not come to an end.
    #[error("the answer that was to be stored broke off")]
    Broken,
    /// It was not kept for so late a reader.
    #[error("the answer is too large to be kept for later readers")]
    Gone,
    /// It cannot be read from disk.
    #[error("the answer cannot be read from disk: {0}")]
    Disk(readers::Unread),
}

/// What there is for a reader.
enum Step {
    Found(Result<Option<Bytes>, Lost>),
    /// It has left memory: it is in this file, from here to there.
    Behind(Arc<File>, usize, usize),
    Nothing,
}

impl Body {
    /// Content that is on disk alone.
    pub fn on_disk(file: Arc<Stored>) -> Self {
        Self {
            file: Mutex::new(Some(file)),
            elsewhere: true,
            ..Self::default()
        }
    }

    /// All of it, when it is all in memory.
    pub fn whole(&self) -> Option<&Whole> {
        self.whole.get()
    }

    /// Whether it is on disk alone.
    pub fn is_elsewhere(&self) -> bool {
        self.elsewhere
    }

    /// Where it is on disk.
    pub fn file(&self) -> Option<Arc<Stored>> {
        self.file.lock().clone()
    }

    /// It is on disk there, or not any more.
    pub(super) fn set_file(&self, file: Option<Arc<Stored>>) {
        *self.file.lock() = file;
    }

    /// Its length, once that is known.
    pub fn whole_length(&self) -> Option<usize> {
        if let Some(whole) = self.whole() {
            return Some(whole.length());
        }
        self.file().map(|file| file.length())
    }

    /// Bytes written so far.
    pub fn length(&self) -> usize {
        self.whole_length()
            .unwrap_or_else(|| self.growing.lock().length)
    }

    /// Its file was not what it should have been.
    pub(super) fn blame(&self, unread: readers::Unread) {
        if let Some(file) = self.file() {
            file.disk.blame(unread);
        }
    }

    /// Content from here on, and what there is so far, goes to a file; what there is so far.
    pub(super) fn begin_spool(&self, spool: &Arc<Spool>) -> Vec<Bytes> {
        let mut growing = self.growing.lock();
        growing.spool = Some((spool.clone(), 0));
        growing.pieces.iter().cloned().collect()
    }

    /// So much has arrived in the file.
    pub(super) fn spooled(&self, so_far: usize) {
        let mut growing = self.growing.lock();
        if let Some((_, arrived)) = &mut growing.spool {
            *arrived = so_far;
        }
        growing.trim();
        drop(growing);
        self.taken.notify_waiters();
    }

    /// Appends a piece.
    pub fn push(&self, piece: Bytes) {
        if piece.is_empty() {
            return;
        }
        let mut growing = self.growing.lock();
        growing.length += piece.len();
        growing.pieces.push_back(piece);
        growing.trim();
        drop(growing);
        self.grown.notify_waiters();
    }

    /// From here on nothing is kept.
    pub fn pass_through(&self) {
        let mut growing = self.growing.lock();
        growing.passing = true;
        growing.trim();
        drop(growing);
        self.taken.notify_waiters();
    }

    /// Waits until what passes through is not too much.
    pub async fn has_room(&self) {
        loop {
            let taken = self.taken.notified();
            {
                let growing = self.growing.lock();
                let passes = growing.passing || growing.spool.is_some();
                if !passes || growing.length - growing.start <= PASSING_MAX {
                    return;
                }
            }
            taken.await;
        }
    }

    /// Everything has been written.
    pub fn finish(&self) {
        let mut growing = self.growing.lock();
        growing.ended = Some(End::Whole);
        if !growing.passing && growing.spool.is_none() {
            let whole = Whole::new(&growing.pieces, growing.length);
            if self.whole.set(whole).is_ok() {
                growing.pieces.clear();
                growing.start = growing.length;
            }
        }
        drop(growing);
        self.grown.notify_waiters();
    }

    /// The rest will never come.
    pub fn break_off(&self) {
        let mut growing = self.growing.lock();
        growing.ended.get_or_insert(End::Broken);
        drop(growing);
        self.grown.notify_waiters();
    }

    /// Whether it has broken off.
    pub fn is_broken(&self) -> bool {
        self.growing.lock().ended == Some(End::Broken)
    }

    /// The next piece from a position on; `None` at the end.
    pub async fn read(&self, reader: &mut Position) -> Result<Option<Bytes>, Lost> {
        loop {
            if let Some(whole) = self.whole() {
                return Ok(whole.read(reader));
            }
            let grown = self.grown.notified();
            let step = self.growing.lock().read(reader);
            match step {
                Step::Found(found) => {
                    self.taken.notify_waiters();
                    return found;
                }
                Step::Behind(file, from, to) => {
                    let piece = readers::piece(file, from, to).await.map_err(Lost::Disk)?;
                    reader.at = to;
                    return Ok(Some(piece));
                }
                // Between the look and the wait nothing is missed: the wait was made first.
                Step::Nothing => grown.await,
            }
        }
    }

    /// A reader goes.
    pub fn leave(&self, reader: &Position) {
        if let Some(id) = reader.id {
            let mut growing = self.growing.lock();
            growing.readers.retain(|(other, _)| *other != id);
            growing.trim();
            drop(growing);
            self.taken.notify_waiters();
        }
    }
}

/// Where a reader is.
#[derive(Debug, Default)]
pub struct Position {
    id: Option<u64>,
    at: usize,
    /// The end of the range that is wanted.
    until: Option<usize>,
}

impl Position {
    /// Goes to a range.
    pub fn seek(&mut self, start: usize, end: Option<usize>) {
        self.at = start;
        self.until = end;
    }

    /// What is left of content of this length.
    pub(super) fn left(&self, length: usize) -> (usize, usize) {
        (self.at, self.until.unwrap_or(length).min(length))
    }

    /// Cuts a piece that begins at `from` to what is wanted.
    fn cut(&mut self, piece: &Bytes, from: usize) -> Option<Bytes> {
        let wanted = self.until.unwrap_or(usize::MAX);
        let begin = self.at.checked_sub(from)?.min(piece.len());
        let end = wanted.saturating_sub(from).min(piece.len());
        if begin >= end {
            return None;
        }
        self.at = from + end;
        Some(piece.slice(begin..end))
    }
}

impl Growing {
    fn read(&mut self, reader: &mut Position) -> Step {
        if reader.until.is_some_and(|until| reader.at >= until) {
            return Step::Found(Ok(None));
        }
        if self.ended == Some(End::Broken) {
            return Step::Found(Err(Lost::Broken));
        }
        if reader.at < self.start {
            return self.behind(reader);
        }
        let found = self.next_piece(reader);
        match (found, self.ended) {
            (Some(piece), _) => Step::Found(Ok(Some(piece))),
            (None, Some(_)) => Step::Found(Ok(None)),
            (None, None) => Step::Nothing,
        }
    }

    fn next_piece(&mut self, reader: &mut Position) -> Option<Bytes> {
        let id = *reader.id.get_or_insert_with(|| {
            self.next_reader += 1;
            self.next_reader
        });
        let mut from = self.start;
        let mut found = None;
        for piece in &self.pieces {
            if reader.at < from + piece.len() {
                found = reader.cut(piece, from);
                break;
            }
            from += piece.len();
        }
        match self.readers.iter_mut().find(|(other, _)| *other == id) {
            Some((_, at)) => *at = reader.at,
            None => self.readers.push((id, reader.at)),
        }
        self.trim();
        found
    }

    /// What has left memory is in a file, or nowhere.
    fn behind(&self, reader: &Position) -> Step {
        let Some(file) = self.spool.as_ref().and_then(|(spool, _)| spool.file()) else {
            return Step::Found(Err(Lost::Gone));
        };
        let most = reader.at.saturating_add(readers::PIECE);
        let to = most.min(self.start).min(reader.until.unwrap_or(usize::MAX));
        Step::Behind(file, reader.at, to)
    }

    /// Drops what everybody has read.
    fn trim(&mut self) {
        let slowest = match &self.spool {
            // Whoever is slower reads the file.
            Some((_, arrived)) if !self.passing => *arrived,
            _ if !self.passing => return,
            _ => {
                let slowest = self.readers.iter().map(|(_, at)| *at).min();
                slowest.unwrap_or(self.length)
            }
        };
        while let Some(first) = self.pieces.front()
            && self.start + first.len() <= slowest
        {
            self.start += first.len();
            self.pieces.pop_front();
        }
    }
}

impl Whole {
    fn new(pieces: &VecDeque<Bytes>, length: usize) -> Self {
        let pieces = if length <= ONE_PIECE {
            let mut one = BytesMut::with_capacity(length);
            for piece in pieces {
                one.extend_from_slice(piece);
            }
            std::iter::once(one.freeze())
                .filter(|one| !one.is_empty())
                .collect()
        } else {
            pieces.iter().cloned().collect()
        };
        Self { pieces, length }
    }

    /// Its length.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Its pieces.
    pub fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    fn read(&self, reader: &mut Position) -> Option<Bytes> {
        let mut from = 0;
        for piece in &self.pieces {
            if reader.at < from + piece.len() {
                return reader.cut(piece, from);
            }
            from += piece.len();
        }
        None
    }
}

#[cfg(test)]
mod tests;
