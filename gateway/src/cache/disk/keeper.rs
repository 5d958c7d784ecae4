//! The thread of a directory: it alone writes there. It takes the directory, finds out what is in it, and does what it is told,
//! one thing after the other, so that nothing is written that has been deleted.

use std::fs::{File, TryLockError};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::purges::{Log, Verdict};
use super::queue::Command;
use super::readers::Unread;
use super::scan::{self, Scan};
use super::{Counts, Disk, Spool, Stored, file, format, heard, make_directory, open_lock};
use crate::cache::entry::Entry;
use crate::cache::purge;
use crate::cache::zone::Zone;

mod load;
mod write;

/// How often it looks whether the directory is free.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How long it rests when there is nothing to do.
const REST: Duration = Duration::from_mins(1);

/// After a write has failed, the next answers are not written for so long.
const PAUSE: Duration = Duration::from_secs(5);

/// How often the same trouble is complained of.
const COMPLAIN: Duration = Duration::from_mins(1);

/// What the thread knows.
struct Keeper<'a> {
    disk: &'a Arc<Disk>,
    zone: &'static Zone,
    /// Ours as long as it is open.
    lock: Option<File>,
    scan: Scan,
    /// Files of this process begin here.
    first: u64,
    log: Log,
    /// Whether something was to be put on record and is not.
    unrecorded: bool,
    paused_until: Option<Instant>,
    /// Since when files wait for the log of purges.
    waiting_since: Instant,
    complained: Option<Instant>,
}

/// Works until the directory is closed.
pub(super) fn run(disk: &Arc<Disk>, zone: &'static Zone) {
    let mut keeper = Keeper {
        disk,
        zone,
        lock: None,
        scan: Scan::default(),
        first: 0,
        log: Log::unread(),
        unrecorded: false,
        paused_until: None,
        waiting_since: Instant::now(),
        complained: None,
    };
    if keeper.take() {
        keeper.find();
        keeper.work();
    }
    disk.ours.store(false, Ordering::Release);
    // Before anybody hears of the end.
    drop(keeper.lock.take());
    disk.ended.send_replace(true);
}

impl Keeper<'_> {
    /// Waits for the directory; `false` when it is not wanted any more.
    fn take(&mut self) -> bool {
        loop {
            match try_lock(self.disk) {
                Ok(Some(lock)) => {
                    self.lock = Some(lock);
                    return true;
                }
                Ok(None) => self.complain("another process uses it; it is used when that ends"),
                Err(error) => self.complain(&error.to_string()),
            }
            while let Some(command) = self.disk.queue.next() {
                self.while_waiting(command);
            }
            if self.disk.is_closed() || !self.disk.queue.wait(LOOK_AGAIN) {
                return false;
            }
        }
    }

    /// What is to be forgotten goes on record even though the directory is another's.
    fn while_waiting(&mut self, command: Command) {
        match command {
            Command::Record(record) => self.record(&record),
            Command::Tell(done) => self.tell(done),
            Command::Keep(entry) => entry.marks.queued.store(false, Ordering::Relaxed),
            Command::Append(spool, _) | Command::Finish(spool, _) => self.give_up(&spool),
            // What the directory says of it is its owner's to say.
            Command::Discard(_) | Command::Head(_) | Command::Fit | Command::Heard(_) => {}
        }
    }

    fn work(&mut self) {
        loop {
            self.delete();
            let command = self.disk.queue.next();
            let idle = command.is_none();
            if let Some(command) = command {
                self.execute(command);
            }
            if self.scan.is_empty() {
                // The last may have gone for others, too.
                self.found_all();
            } else if !self.disk.is_closed() && self.may_load() {
                self.load_next();
                continue;
            }
            if idle {
                self.clean_up();
                if !self.disk.queue.wait(self.rest()) {
                    return;
                }
            }
        }
    }

    /// How long it may wait for a command.
    fn rest(&self) -> Duration {
        if self.scan.is_empty() {
            return REST;
        }
        let left = self.disk.hearing.left(self.waiting_since.elapsed());
        left.unwrap_or(REST).min(REST)
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Keep(entry) => self.keep(&entry),
            Command::Append(spool, piece) => self.append(&spool, &piece),
            Command::Finish(spool, entry) => self.finish(&spool, &entry),
            Command::Discard(spool) => self.discard(&spool),
            Command::Head(stored) => self.write_head(&stored),
            Command::Record(record) => self.record(&record),
            Command::Tell(done) => self.tell(done),
            Command::Fit => {
                self.make_room(0);
            }
            Command::Heard(bytes) => self.write_heard(&bytes),
        }
    }

    /// Only after all that was heard is on record or done.
    fn write_heard(&mut self, bytes: &[u8]) {
        self.delete();
        if self.unrecorded {
            // The next process is to hear it again.
            return;
        }
        let root = &self.disk.root;
        if let Err(error) = heard::write(root, bytes) {
            Counts::add(&self.disk.counts.write_failed);
            self.complain(&format!(
                "a place in the log of purges cannot be kept: {error}"
            ));
        }
    }

    fn record(&mut self, record: &super::purges::Record) {
        let mut added = self.log.add(&self.disk.root, record);
        if added.is_err() && self.take_again() {
            added = self.log.add(&self.disk.root, record);
        }
        if let Err(error) = added {
            self.log.failed = true;
            self.unrecorded = true;
            Counts::add(&self.disk.counts.write_failed);
            self.complain(&format!("a purge cannot be put on record: {error}"));
        }
    }

    fn tell(&mut self, done: tokio::sync::oneshot::Sender<bool>) {
        let failed = std::mem::take(&mut self.log.failed);
        // Who asked may have gone.
        done.send(!failed).ok();
    }

    /// Deletes what nobody is to find any more.
    fn delete(&mut self) {
        for stored in self.disk.queue.unlinks() {
            self.remove_file(stored.stamp, stored.cost.load(Ordering::Relaxed));
            self.disk.objects.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn remove_file(&mut self, stamp: u64, cost: u64) {
        match std::fs::remove_file(self.disk.path(stamp)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Counts::add(&self.disk.counts.write_failed);
                self.complain(&format!("a file cannot be deleted: {error}"));
            }
            _ => {}
        }
        self.disk.bytes.fetch_sub(cost, Ordering::Relaxed);
    }

    /// All files agree with the record of purges, if all are known: it is not needed any more.
    fn clean_up(&mut self) {
        if self.scan.is_empty() && self.log.is_long() {
            self.empty_record();
        }
    }

    /// Empties it unless somebody is at it: then it goes another time, or with the next start.
    fn empty_record(&mut self) {
        let under_way = self.disk.forgetting.load(Ordering::Acquire) > 0;
        if under_way || self.disk.queue.has_heads() {
            return;
        }
        self.delete();
        if let Err(error) = self.log.empty(&self.disk.root) {
            self.complain(&format!("the record of purges cannot be emptied: {error}"));
        }
    }

    /// The directory has been removed: makes it again, and takes it.
    fn take_again(&mut self) -> bool {
        if self.lock.is_none() || self.disk.root.exists() {
            return false;
        }
        let made = make_directory(&self.disk.root)
            .and_then(|()| make_directory(&self.disk.root.join("tmp")))
            .and_then(|()| try_lock(self.disk));
        match made {
            Ok(Some(lock)) => {
                tracing::warn!(directory = %self.disk.root.display(), "The directory of a cache zone was gone and is made again");
                self.lock = Some(lock);
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.complain(&error.to_string());
                false
            }
        }
    }

    fn complain(&mut self, trouble: &str) {
        let now = Instant::now();
        if self
            .complained
            .is_some_and(|last| now.duration_since(last) < COMPLAIN)
        {
            return;
        }
        self.complained = Some(now);
        tracing::error!(
            zone = &*self.zone.name,
            directory = %self.disk.root.display(),
            "The directory of a cache zone cannot be used as it should be: {trouble}"
        );
    }
}

fn try_lock(disk: &Disk) -> io::Result<Option<File>> {
    let file = open_lock(&disk.root)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
