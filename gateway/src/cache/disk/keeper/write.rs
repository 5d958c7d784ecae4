//! Answers go to files.

use super::{
    Arc, Counts, Entry, Instant, Keeper, Ordering, PAUSE, Spool, Stored, file, format, io,
};
use crate::cache::disk::file::Writer;
use crate::cache::disk::readers::Unread;

impl Keeper<'_> {
    /// Writes an answer that is in memory.
    pub(super) fn keep(&mut self, entry: &Arc<Entry>) {
        self.try_keep(entry);
        entry.marks.queued.store(false, Ordering::Release);
    }

    fn try_keep(&mut self, entry: &Arc<Entry>) {
        let Some(whole) = entry.body.whole() else {
            return;
        };
        if entry.is_gone() || entry.body.file().is_some() {
            return;
        }
        let head = format::encode(entry);
        let end = format::End::new(0, whole.length() as u64, &[], &head);
        let cost = file::cost(end.length().unwrap_or(u64::MAX));
        let fit = head.len() <= format::HEAD_MAX && self.is_fit(cost);
        if !fit || !self.may_write() || !self.make_room(cost) {
            Counts::add(&self.disk.counts.refused);
            return;
        }
        let stamp = self.disk.stamp();
        let pieces = whole.pieces();
        let written = self.retried(|root| {
            let mut writer = Writer::create(root, stamp)?;
            for piece in pieces {
                writer.append(piece)?;
            }
            writer.finish(root, &head)
        });
        match written {
            Ok(_) => {
                self.disk.bytes.fetch_add(cost, Ordering::Relaxed);
                self.publish(entry, stamp, whole.length(), cost);
            }
            Err(error) => self.failed(&error),
        }
    }

    /// From here on the answer has a file, unless nobody is to find it any more.
    fn publish(&mut self, entry: &Arc<Entry>, stamp: u64, length: usize, cost: u64) -> bool {
        let stored = Stored::new(self.disk, stamp, length, cost);
        let published = self.zone.publish(entry, &stored);
        if published {
            self.adopted(&stored);
        } else if self.disk.is_closed() {
            // It is good, and found by who comes next.
        } else {
            self.remove_file(stamp, cost);
        }
        published
    }

    /// Whether a try is worth it.
    fn may_write(&self) -> bool {
        self.paused_until
            .is_none_or(|until| Instant::now() >= until)
    }

    fn failed(&mut self, error: &io::Error) {
        Counts::add(&self.disk.counts.write_failed);
        self.paused_until = Some(Instant::now() + PAUSE);
        self.complain(&format!("an answer cannot be written: {error}"));
    }

    /// Once more where the directory was removed.
    fn retried<T>(&mut self, write: impl Fn(&std::path::Path) -> io::Result<T>) -> io::Result<T> {
        let root = &self.disk.root;
        match write(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.take_again() => {
                write(root)
            }
            written => written,
        }
    }

    /// Whether an answer is not too large: others must not all go for one.
    fn is_fit(&self, cost: u64) -> bool {
        cost <= self.disk.size.load(Ordering::Relaxed) / 2
    }

    /// Sees to it that so much more fits; others go for it. `false` where there are none.
    pub(super) fn make_room(&mut self, cost: u64) -> bool {
        let disk = self.disk;
        let size = disk.size.load(Ordering::Relaxed);
        loop {
            let used = disk.bytes.load(Ordering::Relaxed);
            let over = used.saturating_add(cost).saturating_sub(size);
            if over == 0 {
                return true;
            }
            // What nobody has looked at yet is the oldest.
            let unknown = self.scan.oldest(over);
            if !unknown.is_empty() {
                for (stamp, cost) in unknown {
                    Counts::add(&disk.counts.evictions);
                    self.remove_file(stamp, cost);
                }
                continue;
            }
            if !self.zone.evict_stored(disk) {
                return false;
            }
            self.delete();
        }
    }

    /// Writes more of an answer that is on its way.
    pub(super) fn append(&mut self, spool: &Arc<Spool>, piece: &[u8]) {
        if spool.has_failed() {
            return;
        }
        let Some(entry) = spool.entry.upgrade() else {
            return self.give_up(spool);
        };
        let more = piece.len() as u64;
        let so_far = spool.writer.lock().as_ref().map_or(0, Writer::length) as u64;
        if !self.is_fit(so_far + more) || !self.may_write() || !self.make_room(more) {
            Counts::add(&self.disk.counts.refused);
            return self.give_up(spool);
        }
        match self.try_append(spool, piece) {
            Ok(so_far) => entry.body.spooled(so_far),
            Err(error) => {
                self.failed(&error);
                self.give_up(spool);
            }
        }
    }

    fn try_append(&mut self, spool: &Arc<Spool>, piece: &[u8]) -> io::Result<usize> {
        let mut writing = spool.writer.lock();
        let mut writer = if let Some(writer) = writing.take() {
            writer
        } else {
            let writer = self.retried(|root| Writer::create(root, spool.stamp))?;
            spool.begun(writer.file.clone());
            writer
        };
        let appended = writer.append(piece);
        let so_far = writer.length();
        // Also where it failed: whoever discards it counts what was written.
        *writing = Some(writer);
        appended?;
        let bytes = &self.disk.bytes;
        bytes.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Ok(so_far)
    }

    /// Writes the head of an answer whose content is written.
    pub(super) fn finish(&mut self, spool: &Arc<Spool>, entry: &Arc<Entry>) {
        let writer = spool.writer.lock().take();
        let Some(writer) = writer.filter(|_| !spool.has_failed() && !entry.is_gone()) else {
            return self.discard(spool);
        };
        let length = writer.length();
        let head = format::encode(entry);
        let finished = if head.len() > format::HEAD_MAX {
            Err(io::ErrorKind::FileTooLarge.into())
        } else {
            writer.finish(&self.disk.root, &head)
        };
        let bytes = &self.disk.bytes;
        bytes.fetch_sub(length as u64, Ordering::Relaxed);
        match finished {
            Ok(file_length) => {
                let cost = file::cost(file_length);
                bytes.fetch_add(cost, Ordering::Relaxed);
                if self.publish(entry, spool.stamp, length, cost) {
                    self.zone.leave_memory(entry);
                }
                self.make_room(0);
            }
            Err(error) => {
                self.failed(&error);
                self.give_up(spool);
            }
        }
    }

    /// Deletes what there is of an answer.
    pub(super) fn discard(&mut self, spool: &Arc<Spool>) {
        spool.fail();
        if let Some(writer) = spool.writer.lock().take() {
            let written = writer.length() as u64;
            self.disk.bytes.fetch_sub(written, Ordering::Relaxed);
        }
    }

    /// The same where it was wanted: it passes through and is not kept.
    pub(super) fn give_up(&mut self, spool: &Arc<Spool>) {
        self.discard(spool);
        if let Some(entry) = spool.entry.upgrade() {
            self.zone.remove(&entry);
            entry.body.pass_through();
        }
    }

    /// Writes the head of an answer again.
    pub(super) fn write_head(&mut self, stored: &Arc<Stored>) {
        let Some(entry) = stored.owner() else {
            return;
        };
        let head = format::encode(&entry);
        let written = {
            let _alone = stored.head.write();
            file::write_head(&self.disk.path(stored.stamp), stored.stamp, &head)
        };
        match written {
            Ok(length) => {
                let (cost, bytes) = (file::cost(length), &self.disk.bytes);
                let before = stored.cost.swap(cost, Ordering::Relaxed);
                bytes.fetch_add(cost, Ordering::Relaxed);
                bytes.fetch_sub(before, Ordering::Relaxed);
            }
            Err(Unread::System(io::ErrorKind::NotFound)) => {}
            Err(error) => {
                // It would say what is not true any more.
                Counts::add(&self.disk.counts.write_failed);
                self.complain(&format!("a head cannot be written: {error}"));
                self.zone.remove(&entry);
            }
        }
    }
}
