//! Who must go when memory is short.
//!
//! Two queues (S3-FIFO): what is new waits in a short one, and goes from there unless it was used meanwhile; what was used, or
//! comes back soon after it went, has a place in the long one and goes round in it as long as it is used. So what is asked for
//! once does not push out what is asked for often, and a hit changes nothing but a mark.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::{AHashSet, RandomState};

use crate::cache::entry::Entry;

/// How many keys of answers that went are remembered.
const GHOSTS_MAX: usize = 16 << 10;

/// The queues.
#[derive(Default)]
pub(super) struct Ledger {
    new: VecDeque<Arc<Entry>>,
    proven: VecDeque<Arc<Entry>>,
    /// Answers in the queues that are gone already.
    dead: usize,
    ghosts: VecDeque<u64>,
    ghost_set: AHashSet<u64>,
}

impl Ledger {
    pub(super) fn add(&mut self, entry: Arc<Entry>, hasher: &RandomState) {
        if self.ghost_set.remove(&ghost(&entry, hasher)) {
            entry.marks.proven.store(true, Ordering::Relaxed);
            self.proven.push_back(entry);
        } else {
            self.new.push_back(entry);
        }
        if self.dead > 64 + usize::midpoint(self.new.len(), self.proven.len()) {
            self.new.retain(|entry| !entry.is_gone());
            self.proven.retain(|entry| !entry.is_gone());
            self.dead = 0;
        }
    }

    /// An answer is gone; its place in a queue is swept later.
    pub(super) fn removed(&mut self, _entry: &Entry, _weight: usize) {
        self.dead += 1;
    }

    /// The next to go. It leaves the queues.
    pub(super) fn victim(&mut self, limit: usize, hasher: &RandomState) -> Option<Arc<Entry>> {
        let mut new_bytes: usize = self.new.iter().take(256).map(|entry| weight(entry)).sum();
        loop {
            let from_new = !self.new.is_empty()
                && (self.proven.is_empty() || new_bytes > limit / 10 || self.new.len() > 256);
            let queue = if from_new {
                &mut self.new
            } else {
                &mut self.proven
            };
            let entry = queue.pop_front()?;
            if entry.is_gone() {
                self.dead = self.dead.saturating_sub(1);
                continue;
            }
            let used = entry.marks.used.load(Ordering::Relaxed);
            if from_new {
                new_bytes = new_bytes.saturating_sub(weight(&entry));
                if used == 0 {
                    self.remember(ghost(&entry, hasher));
                    return Some(entry);
                }
                entry.marks.used.store(0, Ordering::Relaxed);
                self.proven.push_back(entry);
            } else if used == 0 {
                return Some(entry);
            } else {
                entry.marks.used.store(used - 1, Ordering::Relaxed);
                self.proven.push_back(entry);
            }
        }
    }

    fn remember(&mut self, ghost: u64) {
        if self.ghost_set.insert(ghost) {
            self.ghosts.push_back(ghost);
        }
        while self.ghosts.len() > GHOSTS_MAX {
            if let Some(oldest) = self.ghosts.pop_front() {
                self.ghost_set.remove(&oldest);
            }
        }
    }
}

fn weight(entry: &Entry) -> usize {
    entry.marks.weight.load(Ordering::Relaxed)
}

fn ghost(entry: &Entry, hasher: &RandomState) -> u64 {
    hasher.hash_one((&entry.place.key, &entry.values))
}
