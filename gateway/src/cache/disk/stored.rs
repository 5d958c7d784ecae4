//! A file that holds an answer, as it is known.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use ahash::RandomState;
use parking_lot::{Mutex, RwLock};

use super::{Counts, Disk, Opened, readers};
use crate::cache::entry::Entry;
use crate::cache::zone::{Kept, ghost};

/// A file that holds an answer.
pub struct Stored {
    /// Where.
    pub disk: Arc<Disk>,
    pub(super) stamp: u64,
    /// Length of the content.
    length: usize,
    /// What it is counted with.
    pub(super) cost: AtomicU64,
    gone: AtomicBool,
    /// The answer that is found and has its content here.
    owner: Mutex<Weak<Entry>>,
    /// Who opens it must not see half of a head.
    pub(super) head: RwLock<()>,
}

impl Stored {
    pub(super) fn new(disk: &Arc<Disk>, stamp: u64, length: usize, cost: u64) -> Arc<Self> {
        Arc::new(Self {
            disk: disk.clone(),
            stamp,
            length,
            cost: AtomicU64::new(cost),
            gone: AtomicBool::new(false),
            owner: Mutex::default(),
            head: RwLock::default(),
        })
    }

    /// Length of the content.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The answer that has its content here.
    pub fn owner(&self) -> Option<Arc<Entry>> {
        self.owner.lock().upgrade()
    }

    /// Makes it another one's.
    pub(in crate::cache) fn give_to(&self, entry: &Arc<Entry>) {
        *self.owner.lock() = Arc::downgrade(entry);
    }

    /// Whether it is this one's.
    pub(in crate::cache) fn belongs_to(&self, entry: &Arc<Entry>) -> bool {
        std::ptr::eq(self.owner.lock().as_ptr(), Arc::as_ptr(entry))
    }

    /// Has the file deleted; once.
    pub(in crate::cache) fn drop_file(self: &Arc<Self>) {
        if !self.gone.swap(true, Ordering::AcqRel) {
            self.disk.unlink(self.clone());
        }
    }

    /// Opens it and reads the first piece.
    pub async fn open(self: &Arc<Self>) -> Result<Opened, readers::Unread> {
        let stored = self.clone();
        let opened = readers::run(move || Opened::open(&stored)).await;
        let counts = &self.disk.counts;
        match &opened {
            Ok(_) => Counts::add(&counts.hits),
            // Whoever took it out was faster.
            Err(_) if self.is_gone() => {}
            Err(error) => self.disk.blame(*error),
        }
        opened
    }
}

impl Disk {
    /// Counts what could not be read.
    pub(in crate::cache) fn blame(&self, error: readers::Unread) {
        Counts::add(if error.is_final() {
            &self.counts.torn
        } else {
            &self.counts.read_failed
        });
    }
}

impl Kept for Stored {
    fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    fn weight(&self) -> u64 {
        self.cost.load(Ordering::Relaxed)
    }

    fn used(&self) -> u8 {
        self.owner()
            .map_or(0, |entry| entry.uses.on_disk.load(Ordering::Relaxed))
    }

    fn set_used(&self, used: u8) {
        if let Some(entry) = self.owner() {
            entry.uses.on_disk.store(used, Ordering::Relaxed);
        }
    }

    fn ghost(&self, hasher: &RandomState) -> u64 {
        self.owner().map_or(0, |entry| ghost(&entry, hasher))
    }
}
