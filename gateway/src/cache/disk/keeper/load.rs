//! What the directory holds from before: found bit by bit, between one command and the next, the newest first.

use super::{
    Arc, Counts, Disk, Entry, Instant, Keeper, Log, Ordering, Scan, Stored, Unread, Verdict, file,
    purge, scan,
};
use crate::cache::disk::format::{End, Head};

impl Keeper<'_> {
    /// Looks which files there are. From here on the directory takes answers.
    pub(super) fn find(&mut self) {
        let root = &self.disk.root;
        scan::tidy(root);
        self.scan = Scan::new(root);
        self.disk.later_than(self.scan.latest());
        let (log, latest) = {
            let mut records = self.disk.records.lock();
            Log::open(root, &mut records, self.disk.stamp())
        };
        self.log = log;
        self.disk.hearing.open(root);
        self.waiting_since = Instant::now();
        self.disk.later_than(latest);
        self.first = self.disk.stamp();
        self.disk.bytes.store(self.scan.cost(), Ordering::Relaxed);
        for path in std::mem::take(&mut self.scan.foreign) {
            self.foreign(&path);
        }
        self.complained = None;
        self.disk.ours.store(true, Ordering::Release);
        tracing::info!(
            zone = &*self.zone.name,
            directory = %self.disk.root.display(),
            bytes = self.scan.cost(),
            "Uses a directory for kept answers"
        );
        self.make_room(0);
        if self.scan.is_empty() {
            self.found_all();
        }
    }

    fn foreign(&mut self, path: &std::path::Path) {
        Counts::add(&self.disk.counts.torn);
        if let Err(error) = std::fs::remove_file(path) {
            self.complain(&format!(
                "{} does not belong there: {error}",
                path.display()
            ));
        }
    }

    /// Whether files may be looked at: what was forgotten meanwhile elsewhere is known, or will not be known soon.
    pub(super) fn may_load(&mut self) -> bool {
        match self.disk.hearing.left(self.waiting_since.elapsed()) {
            None => return true,
            Some(left) if !left.is_zero() => return false,
            Some(_) => {}
        }
        self.complain("the log of purges cannot be read: what is kept there is stale");
        purge::expire_all(self.zone, true);
        self.disk.hearing.wait_no_more();
        true
    }

    /// Looks at one more file.
    pub(super) fn load_next(&mut self) {
        if let Some((stamp, cost)) = self.scan.newest() {
            let found = file::read_head(&self.disk.path(stamp), stamp);
            match found {
                Ok((end, head)) => {
                    if !self.adopt(&end, head, cost) {
                        self.remove_file(stamp, cost);
                    }
                }
                Err(error) => self.unreadable(error, stamp, cost),
            }
        }
        if self.scan.is_empty() {
            self.found_all();
        }
    }

    fn unreadable(&mut self, error: Unread, stamp: u64, cost: u64) {
        self.disk.blame(error);
        if error.is_final() {
            self.remove_file(stamp, cost);
        } else {
            // It is there and costs what it costs; the next start looks again.
            self.complain(&format!("a file cannot be read: {error}"));
        }
    }

    /// Makes a file an answer that is found; `false` when it is of no use.
    fn adopt(&mut self, end: &End, head: Head, cost: u64) -> bool {
        let verdict = |disk: &Disk| {
            let records = disk.records.lock();
            records.verdict(end.stamp, &head.place, &head.tags)
        };
        let before = verdict(self.disk);
        let Ok(length) = usize::try_from(end.body) else {
            return false;
        };
        if before == Verdict::Gone || is_useless(&head) {
            return false;
        }
        let stored = Stored::new(self.disk, end.stamp, length, cost);
        let place_and_tags = (head.place.clone(), head.tags.clone());
        let Some(entry) = self.zone.adopt(head, &stored) else {
            return false;
        };
        self.adopted(&stored);
        // What came on record meanwhile did not find it.
        let records = self.disk.records.lock();
        let after = records.verdict(end.stamp, &place_and_tags.0, &place_and_tags.1);
        drop(records);
        self.settle(&entry, after);
        true
    }

    pub(super) fn adopted(&self, stored: &Arc<Stored>) {
        self.disk.objects.fetch_add(1, Ordering::Relaxed);
        self.disk
            .files
            .lock()
            .add(stored.clone(), self.zone.hasher());
    }

    fn settle(&self, entry: &Arc<Entry>, verdict: Verdict) {
        match verdict {
            Verdict::Kept => {}
            Verdict::Stale => self.zone.expire(entry),
            Verdict::Gone => {
                self.zone.remove(entry);
            }
        }
    }

    pub(super) fn found_all(&mut self) {
        if self.disk.loaded.swap(true, Ordering::AcqRel) {
            return;
        }
        self.write_what_waits();
        self.disk.records.lock().clear();
        if !self.log.is_empty() {
            self.empty_record();
        }
        let objects = self.disk.objects.load(Ordering::Relaxed);
        tracing::info!(zone = &*self.zone.name, objects, "Knows all kept answers");
        self.paused_until = self.paused_until.filter(|until| *until > Instant::now());
    }
}

impl Keeper<'_> {
    /// Heads that were to be marked stale are written by then. No more than what waits now: others add to it all the time.
    fn write_what_waits(&mut self) {
        for _ in 0..self.disk.queue.len() {
            if let Some(command) = self.disk.queue.next() {
                self.execute(command);
            }
        }
    }
}

/// Whether nobody could get it, and no origin could confirm it.
fn is_useless(head: &Head) -> bool {
    let times = &head.times;
    let longest = times.stale_while_revalidate.max(times.stale_if_error);
    let over = times.age(std::time::SystemTime::now()) > times.lifetime.saturating_add(longest);
    let confirmable = [http::header::ETAG, http::header::LAST_MODIFIED];
    over && !confirmable
        .iter()
        .any(|name| head.fields.contains_key(name))
}
