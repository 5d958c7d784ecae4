//! What was to be forgotten, on record: a file that was not known at the time, or whose deletion a crash undid, is held against
//! it when it is found.
//!
//! A record that cannot be read speaks against every file: nothing is given out that somebody may have wanted forgotten.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use super::format::sum;
use crate::cache::entry::Place;
use crate::cache::purge::{Meant, Target};

/// More records than this speak against every file that is not known yet.
const RECORDS_MAX: usize = 1000;

/// Longest record that is read.
const RECORD_MAX: usize = 64 << 10;

/// One thing that was to be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Files with lesser numbers are meant.
    pub stamp: u64,
    /// Whether they are only stale.
    pub soft: bool,
    /// Which.
    pub target: Target,
    meant: Meant,
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verdict {
    Kept,
    Stale,
    Gone,
}

/// What was to be forgotten while not every file was known.
#[derive(Debug, Default)]
pub(super) struct Records {
    records: Vec<Record>,
    /// Files with lesser numbers are gone.
    all_before: u64,
}

impl Record {
    /// A record of this moment.
    pub fn new(stamp: u64, soft: bool, target: Target) -> Self {
        let meant = Meant::by(&target);
        Self {
            stamp,
            soft,
            target,
            meant,
        }
    }

    /// Its bytes in a file of records.
    pub fn bytes(&self) -> Vec<u8> {
        let (kind, text) = match &self.target {
            Target::Url(text) => (0, text),
            Target::Prefix(text) => (1, text),
            Target::Tag(text) => (2, text),
        };
        let mut said = self.stamp.to_le_bytes().to_vec();
        said.extend([u8::from(self.soft), kind]);
        said.extend_from_slice(text.as_bytes());
        let length = u32::try_from(said.len()).unwrap_or(u32::MAX);
        [&length.to_le_bytes()[..], &sum(&said).to_le_bytes(), &said].concat()
    }

    fn read(said: &[u8]) -> Option<Self> {
        let (stamp, rest) = said.split_first_chunk::<8>()?;
        let ([soft, kind], text) = rest.split_first_chunk::<2>()?;
        let text = std::str::from_utf8(text).ok()?.to_owned();
        let target = match kind {
            0 => Target::Url(text),
            1 => Target::Prefix(text),
            2 => Target::Tag(text),
            _ => return None,
        };
        Some(Self::new(u64::from_le_bytes(*stamp), *soft == 1, target))
    }
}

/// Reads records; `None` beside them where the rest cannot be read.
pub fn read_all(mut bytes: &[u8]) -> (Vec<Record>, bool) {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let Some((record, rest)) = next(bytes) else {
            return (records, false);
        };
        records.push(record);
        bytes = rest;
    }
    (records, true)
}

fn next(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (said_sum, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let (said, rest) = rest.split_at_checked(length.min(RECORD_MAX + 1))?;
    if length > RECORD_MAX || sum(said).to_le_bytes() != *said_sum {
        return None;
    }
    Some((Record::read(said)?, rest))
}

impl Records {
    pub(super) fn add(&mut self, record: Record) {
        if self.records.len() >= RECORDS_MAX {
            self.against_all(record.stamp);
            self.records.clear();
        } else {
            self.records.push(record);
        }
    }

    pub(super) fn against_all(&mut self, before: u64) {
        self.all_before = self.all_before.max(before);
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What becomes of a file by everything that is on record.
    pub(super) fn verdict(&self, stamp: u64, place: &Place, tags: &[Arc<str>]) -> Verdict {
        if stamp < self.all_before {
            return Verdict::Gone;
        }
        let against = self
            .records
            .iter()
            .filter(|record| stamp < record.stamp && record.meant.is(place, tags));
        let verdict = |record: &Record| {
            if record.soft {
                Verdict::Stale
            } else {
                Verdict::Gone
            }
        };
        against.map(verdict).max().unwrap_or(Verdict::Kept)
    }
}

/// The file of records. Several processes may add to it; only the one that has the directory empties it.
pub(super) struct Log {
    /// Its length as far as we have read and written it; none where it was not read.
    known: Option<u64>,
    /// How many records that are.
    count: usize,
    /// Whether something could not be put on record.
    pub(super) failed: bool,
}

impl Log {
    /// Reads what is there.
    pub(super) fn open(root: &Path, records: &mut Records, now: u64) -> (Self, u64) {
        let mut bytes = Vec::new();
        let read = File::open(path(root)).and_then(|mut file| file.read_to_end(&mut bytes));
        let (found, whole) = read_all(&bytes);
        let absent = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        if !whole || read.is_err_and(|error| !absent(&error)) {
            tracing::warn!(directory = %root.display(), "The record of purges is damaged: what is kept there is forgotten");
            records.against_all(now);
        }
        let count = found.len();
        let latest = found.iter().map(|record| record.stamp).max();
        for record in found {
            records.add(record);
        }
        let log = Self {
            known: Some(bytes.len() as u64),
            count,
            failed: false,
        };
        (log, latest.unwrap_or_default())
    }

    /// One that was not read: for who only adds.
    pub(super) fn unread() -> Self {
        Self {
            known: None,
            count: 0,
            failed: false,
        }
    }

    /// Puts something on record, for good.
    pub(super) fn add(&mut self, root: &Path, record: &Record) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600);
        let mut file = file.open(path(root))?;
        file.lock()?;
        let bytes = record.bytes();
        let before = file.metadata()?.len();
        if let Err(error) = file.write_all(&bytes) {
            // Half a record would speak against every file.
            file.set_len(before).ok();
            return Err(error);
        }
        self.known = self.known.map(|known| known + bytes.len() as u64);
        self.count += 1;
        file.sync_data()
    }

    /// Whether there is nothing on record.
    pub(super) fn is_empty(&self) -> bool {
        self.known == Some(0)
    }

    /// Whether so much is on record that the next start could no longer tell files apart if as much came again.
    pub(super) fn is_long(&self) -> bool {
        self.known.is_some() && self.count > RECORDS_MAX / 2
    }

    /// Empties it, unless somebody else has added to it. All files agree with it, and that will outlive the power.
    pub(super) fn empty(&mut self, root: &Path) -> io::Result<()> {
        let file = match OpenOptions::new().write(true).open(path(root)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        file.lock()?;
        if Some(file.metadata()?.len()) != self.known {
            return Ok(());
        }
        rustix::fs::syncfs(&file)?;
        file.set_len(0)?;
        (self.known, self.count) = (Some(0), 0);
        file.sync_data()
    }
}

fn path(root: &Path) -> std::path::PathBuf {
    root.join("purges")
}
