//! A bounded piece of memory that holds answers, and a directory behind it if so wanted: who is found, who must go.
//!
//! Zones are made once by name and live as long as the process; one that no configuration names any more is emptied and waits.

mod index;
mod ledger;
mod recall;
mod registry;
mod tiers;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ahash::{AHashMap, RandomState};
use http::HeaderMap;
use http::header::HeaderName;
use parking_lot::{Mutex, RwLock};
use pingora_cache::lock::{CacheKeyLockImpl, CacheLock};
use pingora_cache::predictor::Predictor;

pub use ledger::{Kept, Ledger, ghost};
pub use recall::{Mark, Recalled};
pub use registry::{Wanted, close_disks, keep_only, obtain, zones};

use super::disk::Disk;
use super::entry::{Entry, Place};
use super::key::Key;
use super::vary;
use index::Index;
use recall::Recalls;
use tiers::SPARED_MAX;

const SHARDS: usize = 64;

/// Answers to one URL that differ by fields of requests; more push out the oldest.
const VARIANTS_MAX: usize = 64;

/// How long one request may keep others waiting that want the same answer.
const WRITER_TIME: std::time::Duration = std::time::Duration::from_secs(10);

/// How many keys are remembered as not to be stored, in each of 16 parts.
const REMEMBERED: usize = 1024;

/// Answers and what they may cost.
pub struct Zone {
    /// Its name.
    pub name: Arc<str>,
    limit: AtomicUsize,
    bytes: AtomicUsize,
    /// Of these, heads of answers whose content is on disk alone.
    heads: AtomicUsize,
    entries: AtomicUsize,
    evictions: AtomicU64,
    next_id: AtomicU64,
    recalls: Recalls,
    counts: Counts,
    hasher: RandomState,
    shards: Box<[RwLock<AHashMap<Key, Group>>]>,
    ledger: Mutex<Ledger<Entry>>,
    index: Mutex<Index>,
    disk: RwLock<Option<Arc<Disk>>>,
    moves: Mutex<()>,
    /// One request fetches what several want.
    pub lock: Box<CacheKeyLockImpl>,
    /// Who need not wait because there will be nothing to share.
    pub predictor: Predictor<16>,
}

/// The answers to one key.
#[derive(Default)]
struct Group {
    /// Which fields chose the answer that came last.
    vary: Option<Arc<[HeaderName]>>,
    entries: Vec<Arc<Entry>>,
}

/// What a zone holds, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Bytes in use.
    pub bytes: usize,
    /// Bytes that may be in use.
    pub limit: usize,
    /// Answers.
    pub entries: usize,
    /// Answers that had to go for others.
    pub evictions: u64,
    /// Answers that were put in.
    pub stored: u64,
    /// Answers that an operator took out or marked stale.
    pub purged: u64,
    /// Answers that were taken out because a request changed what they are about.
    pub changed: u64,
}

/// What happened in a zone.
#[derive(Default)]
struct Counts {
    stored: AtomicU64,
    purged: AtomicU64,
    changed: AtomicU64,
}

fn whole(entries: usize) -> u64 {
    u64::try_from(entries).unwrap_or(u64::MAX)
}

impl Zone {
    fn new(name: &str, limit: usize) -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self {
            name: name.into(),
            limit: AtomicUsize::new(limit),
            bytes: AtomicUsize::new(0),
            heads: AtomicUsize::new(0),
            entries: AtomicUsize::new(0),
            evictions: AtomicU64::new(0),
            next_id: AtomicU64::new(1),
            recalls: Recalls::default(),
            counts: Counts::default(),
            hasher: RandomState::new(),
            shards,
            ledger: Mutex::default(),
            index: Mutex::default(),
            disk: RwLock::default(),
            moves: Mutex::default(),
            lock: CacheLock::new_boxed(WRITER_TIME),
            predictor: Predictor::new(REMEMBERED, None),
        }
    }

    fn shard(&self, key: &Key) -> Option<&RwLock<AHashMap<Key, Group>>> {
        // The map hashes the key; to choose among so few some of its bytes will do.
        let tail = key.bytes().iter().rev().take(16);
        let sum = tail.fold(0_usize, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
        });
        self.shards.get(sum % SHARDS)
    }

    /// A number for a new answer.
    pub(super) fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The answer for a request, if there is one.
    pub fn find(&self, key: &Key, fields: &HeaderMap) -> Option<Arc<Entry>> {
        let shard = self.shard(key)?.read();
        let group = shard.get(key)?;
        // The newest first: of two that fit it is the one to use (RFC 9111 section 4.1).
        let fits = |entry: &&Arc<Entry>| {
            entry.vary.is_empty() || vary::values(fields, &entry.vary) == entry.values
        };
        group.entries.iter().rev().find(fits).cloned()
    }

    /// Which fields chose the answer to this key that came last.
    pub fn varies(&self, key: &Key) -> Option<Arc<[HeaderName]>> {
        self.shard(key)?.read().get(key)?.vary.clone()
    }

    /// Puts an answer in, in place of one that answered the same.
    pub fn insert(&self, entry: &Arc<Entry>) {
        self.insert_as(entry, true);
    }

    /// The same; what answers the same already may have precedence. Whether it is in.
    fn insert_as(&self, entry: &Arc<Entry>, replaces: bool) -> bool {
        self.index.lock().add(entry);
        let Some(out) = self.link(entry, replaces) else {
            self.index.lock().remove(entry);
            return false;
        };
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.counts.stored.fetch_add(1, Ordering::Relaxed);
        if !entry.body.is_elsewhere() {
            self.ledger.lock().add(entry.clone(), &self.hasher);
        }
        for old in out {
            self.forget(&old);
        }
        self.charge(entry, entry.head_weight());
        if entry.is_gone() {
            // It had to go before it could be found.
            self.remove(entry);
            self.index.lock().remove(entry);
            return false;
        }
        true
    }

    /// Makes an answer one that is found; those that are not any more. `None` when another has precedence.
    fn link(&self, entry: &Arc<Entry>, replaces: bool) -> Option<Vec<Arc<Entry>>> {
        let mut shard = self.shard(&entry.place.key)?.write();
        let same = |other: &Arc<Entry>| other.vary == entry.vary && other.values == entry.values;
        if !replaces
            && shard.get(&entry.place.key).is_some_and(|group| {
                group.entries.len() >= VARIANTS_MAX || group.entries.iter().any(same)
            })
        {
            return None;
        }
        let group = shard.entry(entry.place.key.clone()).or_default();
        if replaces || group.vary.is_none() {
            group.vary = Some(entry.vary.clone());
        }
        let mut out = Vec::new();
        let known = group.entries.iter().position(same);
        let oldest = (group.entries.len() >= VARIANTS_MAX).then_some(0);
        if let Some(position) = known.or(oldest) {
            out.push(group.entries.remove(position));
        }
        if replaces {
            group.entries.push(entry.clone());
        } else {
            // The newest is the last, and this one comes from before.
            group.entries.insert(0, entry.clone());
        }
        Some(out)
    }

    /// Counts bytes of an answer; others go when it becomes too much.
    pub(super) fn charge(&self, entry: &Arc<Entry>, bytes: usize) {
        self.count(entry, bytes);
        self.make_room();
    }

    fn count(&self, entry: &Arc<Entry>, bytes: usize) {
        // Under the lock of whoever takes it out, so that nothing is counted after that.
        let _ledger = self.ledger.lock();
        if entry.is_gone() {
            return;
        }
        entry.marks.weight.fetch_add(bytes, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if entry.body.is_elsewhere() {
            self.heads.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// Bytes of an answer are not in memory any more.
    pub(super) fn discharge(&self, entry: &Arc<Entry>, bytes: usize) {
        let _ledger = self.ledger.lock();
        if !entry.is_gone() {
            entry.marks.weight.fetch_sub(bytes, Ordering::Relaxed);
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    fn make_room(&self) {
        let limit = self.limit.load(Ordering::Relaxed);
        let mut spared = Vec::new();
        while self.bytes.load(Ordering::Relaxed) > limit && self.give_way(limit, &mut spared) {}
        if !spared.is_empty() {
            let mut ledger = self.ledger.lock();
            for entry in spared {
                ledger.put_back(entry);
            }
        }
        // Heads alone must not fill the memory.
        while self.heads.load(Ordering::Relaxed) > limit / 2 {
            let Some(disk) = self.disk() else { return };
            if !self.evict_stored(&disk) {
                return;
            }
        }
    }

    /// Frees some memory; `false` when there is nothing. Answers that wait to be written are spared for a while.
    fn give_way(&self, limit: usize, spared: &mut Vec<Arc<Entry>>) -> bool {
        let victim = self.ledger.lock().victim(limit as u64, &self.hasher);
        let victim = match victim {
            Some(waits)
                if waits.marks.queued.load(Ordering::Acquire) && spared.len() < SPARED_MAX =>
            {
                spared.push(waits);
                return true;
            }
            Some(victim) => Some(victim),
            None => spared.pop(),
        };
        match victim {
            Some(victim) => {
                if !self.leave_memory(&victim) && self.remove(&victim) {
                    self.evictions.fetch_add(1, Ordering::Relaxed);
                }
                true
            }
            None => self.disk().is_some_and(|disk| self.evict_stored(&disk)),
        }
    }

    /// Takes an answer out, wherever it is by now; `false` when it was out already.
    pub fn remove(&self, entry: &Arc<Entry>) -> bool {
        let mut out = Vec::new();
        if let Some(shard) = self.shard(&entry.place.key) {
            let mut shard = shard.write();
            if let Some(group) = shard.get_mut(&entry.place.key) {
                out.extend(group.entries.extract_if(.., |other| other.id == entry.id));
                if group.entries.is_empty() {
                    shard.remove(&entry.place.key);
                }
            }
        }
        let mut removed = self.forget(entry);
        for other in out {
            removed |= self.forget(&other);
        }
        removed
    }

    /// Forgets everything about an answer that nobody finds any more.
    fn forget(&self, entry: &Arc<Entry>) -> bool {
        if !self.retire(entry) {
            return false;
        }
        self.forget_file(entry);
        self.index.lock().remove(entry);
        true
    }

    /// It is nobody's any more and costs nothing.
    fn retire(&self, entry: &Arc<Entry>) -> bool {
        let mut ledger = self.ledger.lock();
        if entry.marks.gone.swap(true, Ordering::AcqRel) {
            return false;
        }
        let weight = entry.marks.weight.swap(0, Ordering::Relaxed);
        self.bytes.fetch_sub(weight, Ordering::Relaxed);
        if entry.body.is_elsewhere() {
            self.heads.fetch_sub(weight, Ordering::Relaxed);
        } else {
            ledger.removed();
        }
        drop(ledger);
        self.entries.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// The answers to a URL with these words before `?`.
    pub fn at_url(&self, url: &str) -> Vec<Arc<Entry>> {
        self.index.lock().at_url(url)
    }

    /// The answers to all URLs that begin so.
    pub fn below(&self, prefix: &str) -> Vec<Arc<Entry>> {
        self.index.lock().below(prefix)
    }

    /// The answers with a tag.
    pub fn tagged(&self, tag: &str) -> Vec<Arc<Entry>> {
        self.index.lock().tagged(tag)
    }

    /// The present moment, for a request that goes to an origin.
    pub fn mark(&self) -> Mark {
        self.recalls.mark()
    }

    /// Somebody forgets answers now: those that were asked for before are not to be kept. To be called before any is taken out.
    pub fn recall(&self, what: Recalled<'_>) {
        self.recalls.write_down(what);
    }

    /// Whether an answer that was asked for at this moment may have been forgotten meanwhile. To be called again when it is in.
    pub fn recalled_since(&self, asked: Mark, place: &Place, tags: &[Arc<str>]) -> bool {
        self.recalls.concern(asked, place, tags)
    }

    /// Counts what was forgotten because somebody said so.
    pub fn count_purged(&self, entries: usize) {
        self.counts
            .purged
            .fetch_add(whole(entries), Ordering::Relaxed);
    }

    /// Counts what was forgotten because a request changed it.
    pub fn count_changed(&self, entries: usize) {
        self.counts
            .changed
            .fetch_add(whole(entries), Ordering::Relaxed);
    }

    /// What it holds.
    pub fn census(&self) -> Census {
        Census {
            bytes: self.bytes.load(Ordering::Relaxed),
            limit: self.limit.load(Ordering::Relaxed),
            entries: self.entries.load(Ordering::Relaxed),
            evictions: self.evictions.load(Ordering::Relaxed),
            stored: self.counts.stored.load(Ordering::Relaxed),
            purged: self.counts.purged.load(Ordering::Relaxed),
            changed: self.counts.changed.load(Ordering::Relaxed),
        }
    }

    fn resize(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
        self.make_room();
    }
}

/// A zone of a test, which may use a directory.
#[cfg(test)]
pub(in crate::cache) fn for_tests(limit: usize) -> &'static Zone {
    Box::leak(Box::new(Zone::new("test", limit)))
}

#[cfg(test)]
mod tests;
