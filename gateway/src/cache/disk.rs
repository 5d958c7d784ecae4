//! What a zone keeps in a directory, so that it outlives the process and what memory cannot hold.
//!
//! ```text
//! DIR/lock            held by the process that uses the directory
//! DIR/purges          what was to be forgotten, until all files agree
//! DIR/heard           how far the log of other gateways' purges was read
//! DIR/tmp/STAMP       files that are being written
//! DIR/XX/STAMP        one file an answer; XX are the last two digits of STAMP
//! ```
//!
//! One thread a directory (`keeper`) writes, renames and deletes, in the order in which it was told; a few threads for all
//! directories ([`readers`]) read. No worker touches the file system. Heads are in memory, so finding, judging and forgetting an
//! answer is what it is without a disk; only content is read from files, and no byte of it is given out unchecked.

pub mod format;
pub mod heard;
pub mod purges;
pub mod readers;

mod file;
mod keeper;
mod queue;
mod scan;
mod spool;
mod stored;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use parking_lot::Mutex;

use super::entry::Entry;
use super::purge::Target;
use super::zone::{Ledger, Zone};
use heard::Hearing;
use purges::{Record, Records};
use queue::{Command, Queue};

pub use file::Opened;
pub use spool::Spool;
pub use stored::Stored;

/// What a file costs is rounded up to this.
const CLUSTER: u64 = 4096;

/// Answers that may wait to be written.
const WAITING_MAX: usize = 4096;

/// The least that the answers that wait may weigh together; otherwise a quarter of the memory.
const WAITING_LEAST: usize = 1 << 20;

/// While more content than this is on its way to files, no other answer sets out.
const APPENDING_MAX: usize = 32 << 20;

/// How long an answer to a purge waits until it is on record.
const ON_RECORD: Duration = Duration::from_secs(5);

/// A directory in use, or one that will be as soon as nobody else uses it.
pub struct Disk {
    root: PathBuf,
    size: AtomicU64,
    /// Bytes of all files.
    bytes: AtomicU64,
    /// Answers in files.
    objects: AtomicU64,
    /// What happened.
    pub counts: Counts,
    queue: Queue,
    pub(super) files: Mutex<Ledger<Stored>>,
    clock: AtomicU64,
    records: Mutex<Records>,
    /// How many are taking answers out at this moment.
    forgetting: AtomicUsize,
    hearing: Hearing,
    /// Whether the directory is ours.
    ours: AtomicBool,
    /// Whether all its files are known.
    loaded: AtomicBool,
    ended: tokio::sync::watch::Sender<bool>,
}

/// What happened, for metrics.
#[derive(Debug, Default)]
pub struct Counts {
    /// Answers that were given from here.
    pub hits: AtomicU64,
    /// Answers that had to go for others.
    pub evictions: AtomicU64,
    /// Answers that were not written because too many waited already, or because the last try has failed just now.
    pub refused: AtomicU64,
    /// Writes that failed.
    pub write_failed: AtomicU64,
    /// Reads that failed or came too late.
    pub read_failed: AtomicU64,
    /// Files that were not what they should have been; they are deleted.
    pub torn: AtomicU64,
}

impl Counts {
    fn add(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Answers are being taken out: until it is dropped, not every file agrees with the record of purges.
#[must_use = "the record may be emptied as soon as it is dropped"]
pub struct Forgetting(Arc<Disk>);

impl Forgetting {
    fn begin(disk: &Arc<Disk>) -> Self {
        disk.forgetting.fetch_add(1, Ordering::AcqRel);
        Self(disk.clone())
    }
}

impl Drop for Forgetting {
    fn drop(&mut self) {
        self.0.forgetting.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What a directory holds, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Bytes in use, each file rounded up to 4 KiB.
    pub bytes: u64,
    /// Bytes that may be in use.
    pub limit: u64,
    /// Answers.
    pub objects: u64,
    /// Whether all that is there is known.
    pub loaded: bool,
}

/// Makes sure that a directory can be used, without using it.
pub fn prepare(root: &Path) -> io::Result<()> {
    make_directory(root)?;
    make_directory(&root.join("tmp"))?;
    open_lock(root).map(drop)
}

fn make_directory(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn open_lock(root: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).write(true).truncate(false).mode(0o600);
    options.open(root.join("lock"))
}

impl Disk {
    fn new(root: &Path, size: u64, waits: bool) -> Arc<Self> {
        Arc::new(Self {
            root: root.to_owned(),
            size: AtomicU64::new(size),
            bytes: AtomicU64::new(0),
            objects: AtomicU64::new(0),
            counts: Counts::default(),
            queue: Queue::default(),
            files: Mutex::default(),
            clock: AtomicU64::new(0),
            records: Mutex::default(),
            forgetting: AtomicUsize::new(0),
            hearing: Hearing::new(waits),
            ours: AtomicBool::new(false),
            loaded: AtomicBool::new(false),
            ended: tokio::sync::watch::Sender::new(false),
        })
    }

    /// Begins to use a directory. What it holds is found bit by bit, after what others forgot meanwhile where the zone `follows`
    /// a log of that.
    pub(super) fn start(
        root: &Path,
        size: u64,
        follows: bool,
        zone: &'static Zone,
    ) -> io::Result<Arc<Self>> {
        let disk = Self::new(root, size, follows);
        let for_thread = disk.clone();
        std::thread::Builder::new()
            .name("cache-disk".to_owned())
            .spawn(move || keeper::run(&for_thread, zone))?;
        Ok(disk)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Changes how much it may hold.
    pub(super) fn resize(&self, size: u64) {
        self.size.store(size, Ordering::Relaxed);
        self.queue.push(Command::Fit);
    }

    /// Ends once everything is written that was to be written. Files stay.
    pub(super) fn close(&self) {
        self.queue.close();
    }

    /// Returns when its thread is gone.
    pub async fn closed(&self) {
        let mut ended = self.ended.subscribe();
        // The sender is here: it cannot be gone.
        drop(ended.wait_for(|ended| *ended).await);
    }

    /// Whether all its files are known.
    pub fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    /// Whether it takes no more answers.
    pub fn is_closed(&self) -> bool {
        self.queue.is_closed()
    }

    /// A number that was never given before, greater than all before: the time where clocks go forward.
    fn stamp(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX));
        let next = |last: u64| Some(now.max(last.saturating_add(1)));
        let last = self
            .clock
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, next);
        last.ok().and_then(next).unwrap_or(now)
    }

    /// Sees to it that no number is given that is not greater.
    fn later_than(&self, stamp: u64) {
        self.clock.fetch_max(stamp, Ordering::AcqRel);
    }

    fn path(&self, stamp: u64) -> PathBuf {
        let name = file::name(stamp);
        self.root.join(file::shard(stamp)).join(name)
    }

    /// Has an answer written that is whole in memory; `false` when too many wait.
    pub(super) fn keep(&self, entry: &Arc<Entry>, memory: usize) -> bool {
        let most = WAITING_LEAST.max(memory / 4);
        let weight = entry.body.length();
        let taken = self.ours.load(Ordering::Acquire)
            && self
                .queue
                .try_push(Command::Keep(entry.clone()), weight, (WAITING_MAX, most));
        if !taken {
            Counts::add(&self.counts.refused);
        }
        taken
    }

    /// Begins a file for an answer that is too large for memory; none while the directory is not ours, or behind.
    pub(super) fn spool(&self, entry: &Arc<Entry>) -> Option<Arc<Spool>> {
        let busy = self.queue.appending() > APPENDING_MAX;
        if busy || !self.ours.load(Ordering::Acquire) || self.is_closed() {
            Counts::add(&self.counts.refused);
            return None;
        }
        let spool = Arc::new(Spool::new(self.stamp(), entry));
        for piece in entry.body.begin_spool(&spool) {
            self.append(&spool, piece);
        }
        Some(spool)
    }

    /// Content goes on. Whoever sends it waits for it to arrive, so no more than what a spool may have under way is here.
    pub(super) fn append(&self, spool: &Arc<Spool>, piece: Bytes) {
        self.queue.push(Command::Append(spool.clone(), piece));
    }

    /// Content is at its end.
    pub(super) fn finish(&self, spool: Arc<Spool>, entry: Arc<Entry>) {
        self.queue.push(Command::Finish(spool, entry));
    }

    /// Content is of no use.
    pub(super) fn discard(&self, spool: Arc<Spool>) {
        self.queue.push(Command::Discard(spool));
    }

    /// Has the head of an answer written again.
    pub(super) fn write_head(&self, stored: Arc<Stored>) {
        self.queue.push(Command::Head(stored));
    }

    /// Has a file deleted that nobody is to find any more.
    pub(super) fn unlink(&self, stored: Arc<Stored>) {
        self.files.lock().removed();
        self.queue.unlink(stored);
    }

    /// Something is to be forgotten. Files that are not known yet will be held against it; `lasting` says that it is put on
    /// record in any case. The record stays at least until what is returned is dropped, after the last answer was taken out.
    pub(super) fn note(self: &Arc<Self>, target: &Target, soft: bool, lasting: bool) -> Forgetting {
        let forgetting = Forgetting::begin(self);
        let record = Record::new(self.stamp(), soft, target.clone());
        let unknown = !self.is_loaded();
        if unknown {
            self.records.lock().add(record.clone());
        }
        if unknown || lasting {
            self.queue.push(Command::Record(record));
        }
        forgetting
    }

    /// Whether everything that was noted is on record now.
    pub(super) async fn recorded(&self) -> bool {
        let (done, told) = tokio::sync::oneshot::channel();
        self.queue.push(Command::Tell(done));
        matches!(tokio::time::timeout(ON_RECORD, told).await, Ok(Ok(true)))
    }

    /// What it holds.
    pub fn census(&self) -> Census {
        Census {
            bytes: self.bytes.load(Ordering::Relaxed),
            limit: self.size.load(Ordering::Relaxed),
            objects: self.objects.load(Ordering::Relaxed),
            loaded: self.is_loaded(),
        }
    }
}

#[cfg(test)]
mod tests;
