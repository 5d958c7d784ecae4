//! How far a directory has heard what other gateways forgot: a place in their log, beside the files that agree with it.
//!
//! What a directory holds is looked at only after its zone has read on from there; so no file is given out that was forgotten
//! while nobody listened. A place that cannot be read, or is of another log, is none: then everything is stale.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::format::sum;
use super::{Command, Disk};

/// The version of the form.
const VERSION: u8 = 1;

/// A longer place is none.
const PLACE_MAX: usize = 64;

/// A place in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Which log, by a checksum of all that makes it this one.
    pub log: u32,
    /// Where in it.
    pub place: Vec<u8>,
}

impl Heard {
    /// Its bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let said = [&[VERSION], &self.log.to_le_bytes()[..], &self.place].concat();
        [&sum(&said).to_le_bytes()[..], &said].concat()
    }

    /// From bytes.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (said_sum, said) = bytes.split_first_chunk::<4>()?;
        if sum(said).to_le_bytes() != *said_sum {
            return None;
        }
        let (&version, rest) = said.split_first()?;
        let (log, place) = rest.split_first_chunk::<4>()?;
        let fits = version == VERSION && !place.is_empty() && place.len() <= PLACE_MAX;
        fits.then(|| Self {
            log: u32::from_le_bytes(*log),
            place: place.to_vec(),
        })
    }
}

/// Files wait so long for their zone to read on; then they are stale.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of it while the directory is in use.
pub(super) struct Hearing {
    /// Whether files wait until their zone has read on, and for how long.
    waits: Mutex<Option<Duration>>,
    /// Whether it has.
    caught_up: AtomicBool,
    /// What the directory said, and then what it was told to say.
    last: Mutex<Option<Heard>>,
}

impl Hearing {
    /// Whether files wait.
    pub(super) fn new(waits: bool) -> Self {
        Self {
            waits: Mutex::new(waits.then_some(PATIENCE)),
            caught_up: AtomicBool::new(false),
            last: Mutex::default(),
        }
    }

    /// How long files still wait that have waited so long; `None` where they do not.
    pub(super) fn left(&self, waited: Duration) -> Option<Duration> {
        self.waits.lock().map(|most| most.saturating_sub(waited))
    }

    pub(super) fn wait_no_more(&self) {
        *self.waits.lock() = None;
    }

    #[cfg(test)]
    pub(super) fn lose_patience(&self) {
        *self.waits.lock() = Some(Duration::ZERO);
    }

    /// Reads what the directory says.
    pub(super) fn open(&self, root: &Path) {
        let bytes = fs::read(path(root)).unwrap_or_default();
        *self.last.lock() = Heard::read(&bytes);
    }
}

impl Disk {
    /// Whether the directory is used by us.
    pub fn is_ours(&self) -> bool {
        self.ours.load(Ordering::Acquire)
    }

    /// Where to read on in this log, before anything else is heard; `None` where that has been done. Only for a directory of
    /// ours.
    pub fn left_off(&self, log: u32) -> Option<Option<Vec<u8>>> {
        if self.hearing.caught_up.load(Ordering::Acquire) {
            return None;
        }
        let last = self.hearing.last.lock();
        let heard = last.as_ref().filter(|heard| heard.log == log);
        Some(heard.map(|heard| heard.place.clone()))
    }

    /// Everything up to there has been heard, and what was to be forgotten is on its way to the record or gone.
    pub fn heard(&self, heard: &Heard) {
        let mut last = self.hearing.last.lock();
        if last.as_ref() != Some(heard) {
            *last = Some(heard.clone());
            self.queue.push(Command::Heard(heard.bytes()));
        }
        drop(last);
        self.hearing.caught_up.store(true, Ordering::Release);
        self.wait_no_more();
    }

    /// Files need not wait until a log has been read.
    pub(in crate::cache) fn wait_no_more(&self) {
        if !self.is_loaded() {
            self.hearing.wait_no_more();
            self.queue.wake();
        }
    }
}

/// Writes it. Not synchronised: after a loss of power an older place does no harm, and a torn one is none.
pub(super) fn write(root: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = root.join("tmp").join("heard");
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(true).mode(0o600);
    options.open(&new)?.write_all(bytes)?;
    fs::rename(new, path(root))
}

fn path(root: &Path) -> PathBuf {
    root.join("heard")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_place_is_read_as_it_was_written(log: u32, place in proptest::collection::vec(any::<u8>(), 1..PLACE_MAX)) {
            let heard = Heard { log, place };
            prop_assert_eq!(Heard::read(&heard.bytes()), Some(heard));
        }

        #[test]
        fn a_torn_place_is_none(log: u32, at in 0..20_usize, wrong in 1..=u8::MAX) {
            let heard = Heard { log, place: b"1700000000000-1".to_vec() };
            let mut bytes = heard.bytes();
            prop_assert_eq!(Heard::read(&bytes[..at]), None);
            bytes[at] ^= wrong;
            prop_assert_eq!(Heard::read(&bytes), None);
        }
    }
}
