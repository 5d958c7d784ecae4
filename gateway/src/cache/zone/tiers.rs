//! Memory and disk of a zone: an answer is in one, or the other, or both, and always found by the same means.
//!
//! An answer that moves is replaced by another [`Entry`] with the same number. Every move, and the question who owns a file,
//! is under one lock (`moves`); so a file is deleted exactly when nobody finds its answer any more.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ahash::RandomState;
use bytes::Bytes;

use super::{Kept, Zone};
use crate::cache::body::Body;
use crate::cache::disk::format::Head;
use crate::cache::disk::{Disk, Forgetting, Stored};
use crate::cache::entry::{Entry, Marks, Uses};
use crate::cache::purge::Target;

/// Of the memory, answers larger than one part in so many go to disk while they come.
const LARGE: usize = 8;

/// So many answers that wait to be written are passed over before one of them goes.
pub(super) const SPARED_MAX: usize = 64;

impl Zone {
    /// The directory that it uses.
    pub fn disk(&self) -> Option<Arc<Disk>> {
        self.disk.read().clone()
    }

    pub(in crate::cache) fn hasher(&self) -> &RandomState {
        &self.hasher
    }

    /// Content larger than this goes to disk while it comes.
    pub(in crate::cache) fn large(&self) -> usize {
        self.limit.load(Ordering::Relaxed) / LARGE
    }

    /// Uses this directory, no other, or none. What is there waits for the log of purges where the zone follows one.
    pub(in crate::cache) fn use_disk(&'static self, wanted: Option<(&Path, u64)>, follows: bool) {
        let old = self.disk();
        if let (Some(disk), Some((root, size))) = (&old, wanted)
            && disk.root() == root
            && !disk.is_closed()
        {
            if !follows {
                disk.wait_no_more();
            }
            return disk.resize(size);
        }
        if let Some(old) = old {
            self.leave_disk(&old);
        }
        let Some((root, size)) = wanted else {
            return;
        };
        match Disk::start(root, size, follows, self) {
            Ok(disk) => *self.disk.write() = Some(disk),
            Err(error) => {
                tracing::error!(zone = &*self.name, %error, "Cannot start the thread of a directory for kept answers");
            }
        }
    }

    /// Uses its directory no more; the files stay.
    pub(in crate::cache) fn leave_disk(&self, disk: &Arc<Disk>) {
        *self.disk.write() = None;
        disk.close();
        let files = disk.files.lock().drain();
        for stored in files {
            if let Some(entry) = stored.owner() {
                if entry.body.is_elsewhere() {
                    self.remove(&entry);
                } else {
                    let _move = self.moves.lock();
                    entry.body.set_file(None);
                }
            }
        }
    }

    /// Has an answer that is whole in memory written to disk.
    pub(in crate::cache) fn keep(&self, entry: &Arc<Entry>) {
        if let Some(disk) = self.disk() {
            entry.marks.queued.store(true, Ordering::Release);
            if !disk.keep(entry, self.limit.load(Ordering::Relaxed)) {
                entry.marks.queued.store(false, Ordering::Release);
            }
        }
    }

    /// An answer has a file from here on; `false` when nobody finds it any more.
    pub(in crate::cache) fn publish(&self, entry: &Arc<Entry>, stored: &Arc<Stored>) -> bool {
        let _move = self.moves.lock();
        if stored.disk.is_closed() || entry.is_gone() {
            return false;
        }
        stored.give_to(entry);
        entry.body.set_file(Some(stored.clone()));
        // Whoever takes it out marks it first and asks for its file then.
        if entry.is_gone() {
            entry.body.set_file(None);
            return false;
        }
        true
    }

    /// A validated answer takes over the file of the one that it replaces; `false` when that is gone.
    pub(in crate::cache) fn inherit(&self, entry: &Arc<Entry>) -> bool {
        let _move = self.moves.lock();
        match entry.body.file() {
            Some(stored) if stored.is_gone() => {
                entry.body.set_file(None);
                !entry.body.is_elsewhere()
            }
            Some(stored) => {
                stored.give_to(entry);
                true
            }
            None => !entry.body.is_elsewhere(),
        }
    }

    /// A file from an earlier time becomes an answer that is found, unless there is a newer one.
    pub(in crate::cache) fn adopt(&self, head: Head, stored: &Arc<Stored>) -> Option<Arc<Entry>> {
        let uses = Uses::default();
        uses.expired.store(head.expired, Ordering::Relaxed);
        let entry = Arc::new(Entry {
            id: self.new_id(),
            place: Arc::new(head.place),
            vary: head.vary.into(),
            values: head.values,
            status: head.status,
            fields: head.fields,
            times: head.times,
            body: Arc::new(Body::on_disk(stored.clone())),
            tags: head.tags.into(),
            marks: Marks::default(),
            uses: Arc::new(uses),
        });
        stored.give_to(&entry);
        self.insert_as(&entry, false).then_some(entry)
    }

    /// Its content leaves memory; `false` when it has no file.
    pub(in crate::cache) fn leave_memory(&self, entry: &Arc<Entry>) -> bool {
        let Some(stored) = entry.body.file() else {
            return false;
        };
        let elsewhere = Arc::new(entry.with(Body::on_disk(stored.clone())));
        self.exchange(entry, &elsewhere, &stored)
    }

    /// Its content comes back into memory; the answer that is found from here on.
    pub(in crate::cache) fn enter_memory(&self, entry: &Arc<Entry>, content: Bytes) -> Arc<Entry> {
        let Some(stored) = entry.body.file() else {
            return entry.clone();
        };
        let body = Body::default();
        body.push(content);
        body.finish();
        body.set_file(Some(stored.clone()));
        let here = Arc::new(entry.with(body));
        let size = here.body.length();
        if !self.exchange(entry, &here, &stored) {
            return entry.clone();
        }
        self.ledger.lock().add(here.clone(), &self.hasher);
        self.charge(&here, size);
        here
    }

    /// Replaces an answer by itself in another place; `false` when it is not found any more.
    fn exchange(&self, old: &Arc<Entry>, new: &Arc<Entry>, stored: &Arc<Stored>) -> bool {
        {
            let _move = self.moves.lock();
            let still = |file: Arc<Stored>| Arc::ptr_eq(&file, stored) && !file.is_gone();
            if !old.body.file().is_some_and(still) {
                return false;
            }
            let Some(shard) = self.shard(&old.place.key) else {
                return false;
            };
            let mut shard = shard.write();
            let group = shard.get_mut(&old.place.key);
            let place = group.and_then(|group| {
                let mut entries = group.entries.iter_mut();
                entries.find(|entry| Arc::ptr_eq(entry, old))
            });
            let Some(place) = place else {
                return false;
            };
            *place = new.clone();
            stored.give_to(new);
            // Whoever takes it out does that after us, since we hold the shard.
            self.index.lock().add(new);
        }
        self.retire(old);
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.count(new, new.head_weight());
        true
    }

    /// Frees room on disk; `false` when there is nothing.
    pub(in crate::cache) fn evict_stored(&self, disk: &Arc<Disk>) -> bool {
        let limit = disk.census().limit;
        let Some(stored) = disk.files.lock().victim(limit, &self.hasher) else {
            return false;
        };
        disk.counts.evictions.fetch_add(1, Ordering::Relaxed);
        self.give_up_file(&stored);
        true
    }

    fn give_up_file(&self, stored: &Arc<Stored>) {
        let owner = {
            let _move = self.moves.lock();
            let owner = stored.owner();
            if let Some(entry) = &owner
                && !entry.body.is_elsewhere()
            {
                entry.body.set_file(None);
            }
            owner
        };
        match owner {
            Some(entry) if entry.body.is_elsewhere() => {
                self.remove(&entry);
            }
            _ => {}
        }
        stored.drop_file();
    }

    /// The file of an answer that nobody finds any more goes, unless another has taken it over.
    pub(super) fn forget_file(&self, entry: &Arc<Entry>) {
        if let Some(stored) = entry.body.file() {
            let _move = self.moves.lock();
            if stored.belongs_to(entry) {
                stored.drop_file();
            }
        }
    }

    /// Marks an answer stale, also for later processes.
    pub fn expire(&self, entry: &Arc<Entry>) {
        entry.expire();
        if let Some(stored) = entry.body.file() {
            stored.disk.write_head(stored.clone());
        }
    }

    /// Something is to be forgotten, also by files that are not known yet. What is returned lives until that has been done.
    pub(in crate::cache) fn note(
        &self,
        target: &Target,
        soft: bool,
        lasting: bool,
    ) -> Option<Forgetting> {
        self.disk().map(|disk| disk.note(target, soft, lasting))
    }

    /// Whether everything that was to be forgotten is on record.
    pub async fn recorded(&self) -> bool {
        match self.disk() {
            Some(disk) => disk.recorded().await,
            None => true,
        }
    }
}
