//! Who must go when memory, or a disk, is short.
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

/// What may have to go.
pub trait Kept {
    /// Whether it went already.
    fn is_gone(&self) -> bool;
    /// What it costs.
    fn weight(&self) -> u64;
    /// How often it was used since it was looked at last, up to three.
    fn used(&self) -> u8;
    /// Changes that.
    fn set_used(&self, used: u8);
    /// What it is recognised by when it comes back.
    fn ghost(&self, hasher: &RandomState) -> u64;
}

/// The queues.
pub struct Ledger<T> {
    new: VecDeque<Arc<T>>,
    proven: VecDeque<Arc<T>>,
    /// Those in the queues that are gone already.
    dead: usize,
    ghosts: VecDeque<u64>,
    ghost_set: AHashSet<u64>,
}

impl<T> Default for Ledger<T> {
    fn default() -> Self {
        Self {
            new: VecDeque::new(),
            proven: VecDeque::new(),
            dead: 0,
            ghosts: VecDeque::new(),
            ghost_set: AHashSet::new(),
        }
    }
}

impl<T: Kept> Ledger<T> {
    /// Something new.
    pub fn add(&mut self, kept: Arc<T>, hasher: &RandomState) {
        if self.ghost_set.remove(&kept.ghost(hasher)) {
            self.proven.push_back(kept);
        } else {
            self.new.push_back(kept);
        }
        if self.dead > 64 + usize::midpoint(self.new.len(), self.proven.len()) {
            self.new.retain(|kept| !kept.is_gone());
            self.proven.retain(|kept| !kept.is_gone());
            self.dead = 0;
        }
    }

    /// Something that was chosen and cannot go yet.
    pub fn put_back(&mut self, kept: Arc<T>) {
        self.new.push_back(kept);
    }

    /// Something is gone; its place in a queue is swept later.
    pub fn removed(&mut self) {
        self.dead += 1;
    }

    /// All of it.
    pub fn drain(&mut self) -> Vec<Arc<T>> {
        self.dead = 0;
        self.new.drain(..).chain(self.proven.drain(..)).collect()
    }

    /// The next to go. It leaves the queues.
    pub fn victim(&mut self, limit: u64, hasher: &RandomState) -> Option<Arc<T>> {
        let mut new_bytes: u64 = self.new.iter().take(256).map(|kept| kept.weight()).sum();
        loop {
            let from_new = !self.new.is_empty()
                && (self.proven.is_empty() || new_bytes > limit / 10 || self.new.len() > 256);
            let queue = if from_new {
                &mut self.new
            } else {
                &mut self.proven
            };
            let kept = queue.pop_front()?;
            if kept.is_gone() {
                self.dead = self.dead.saturating_sub(1);
                continue;
            }
            let used = kept.used();
            if from_new {
                new_bytes = new_bytes.saturating_sub(kept.weight());
                if used == 0 {
                    self.remember(kept.ghost(hasher));
                    return Some(kept);
                }
                kept.set_used(0);
                self.proven.push_back(kept);
            } else if used == 0 {
                return Some(kept);
            } else {
                kept.set_used(used - 1);
                self.proven.push_back(kept);
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

impl Kept for Entry {
    fn is_gone(&self) -> bool {
        self.is_gone()
    }

    fn weight(&self) -> u64 {
        self.marks.weight.load(Ordering::Relaxed) as u64
    }

    fn used(&self) -> u8 {
        self.uses.in_memory.load(Ordering::Relaxed)
    }

    fn set_used(&self, used: u8) {
        self.uses.in_memory.store(used, Ordering::Relaxed);
    }

    fn ghost(&self, hasher: &RandomState) -> u64 {
        ghost(self, hasher)
    }
}

/// What an answer is recognised by when it comes back.
pub fn ghost(entry: &Entry, hasher: &RandomState) -> u64 {
    hasher.hash_one((&entry.place.key, &entry.values))
}
