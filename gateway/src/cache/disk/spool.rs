//! An answer that goes to a file while it comes, because it is too large for memory.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use parking_lot::Mutex;

use super::file::Writer;
use crate::cache::entry::Entry;

/// An answer on its way to a file.
pub struct Spool {
    pub(super) stamp: u64,
    /// The answer.
    pub(super) entry: Weak<Entry>,
    pub(super) writer: Mutex<Option<Writer>>,
    file: OnceLock<Arc<File>>,
    failed: AtomicBool,
}

impl Spool {
    pub(super) fn new(stamp: u64, entry: &Arc<Entry>) -> Self {
        Self {
            stamp,
            entry: Arc::downgrade(entry),
            writer: Mutex::default(),
            file: OnceLock::new(),
            failed: AtomicBool::new(false),
        }
    }

    /// The file, for those who read what has left memory.
    pub(in crate::cache) fn file(&self) -> Option<Arc<File>> {
        self.file.get().cloned()
    }

    pub(super) fn begun(&self, file: Arc<File>) {
        // It is begun once.
        drop(self.file.set(file));
    }

    /// Nothing more will arrive there.
    pub(in crate::cache) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// Whether nothing more will arrive there.
    pub(in crate::cache) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }
}
