//! URLs that requests have changed and that other gateways are still to hear of: each once, so many at most.

use std::sync::atomic::{AtomicUsize, Ordering};

use ahash::AHashSet;
use parking_lot::Mutex;

/// How many may wait.
pub(super) const WAITING_MAX: usize = 4096;

/// What they may weigh together.
const BYTES_MAX: usize = 1 << 20;

/// How many go into one notice, and what they may weigh there.
const BATCH_MAX: usize = 512;
const BATCH_BYTES: usize = 16 << 10;

/// The URLs that wait.
#[derive(Default)]
pub(super) struct Changes {
    waiting: Mutex<AHashSet<Box<str>>>,
    bytes: AtomicUsize,
}

impl Changes {
    /// Adds one; `false` where there is no room.
    pub(super) fn add(&self, url: Box<str>) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.contains(&url) {
            return true;
        }
        let weight = url.len();
        let full = self.bytes.load(Ordering::Relaxed) + weight > BYTES_MAX;
        if full || waiting.len() >= WAITING_MAX {
            return false;
        }
        self.bytes.fetch_add(weight, Ordering::Relaxed);
        waiting.insert(url)
    }

    /// Takes out what fits into one notice; nothing where nothing waits.
    pub(super) fn take(&self) -> Vec<Box<str>> {
        let mut waiting = self.waiting.lock();
        let (mut batch, mut weight) = (Vec::new(), 0);
        for url in waiting.iter().take(BATCH_MAX) {
            weight += url.len();
            if weight > BATCH_BYTES && !batch.is_empty() {
                break;
            }
            batch.push(url.clone());
        }
        for url in &batch {
            waiting.remove(url);
            self.bytes.fetch_sub(url.len(), Ordering::Relaxed);
        }
        batch
    }

    /// Puts back what could not be told; how many have no room any more.
    pub(super) fn give_back(&self, batch: Vec<Box<str>>) -> usize {
        batch
            .into_iter()
            .filter(|url| !self.add(url.clone()))
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_waits_once_and_leaves_in_batches() {
        let changes = Changes::default();
        for n in 0..2 * BATCH_MAX + 10 {
            assert!(changes.add(format!("http://a/{n}").into()));
            assert!(changes.add("http://a/again".into()));
        }
        let mut all = Vec::new();
        loop {
            let batch = changes.take();
            assert!(batch.len() <= BATCH_MAX);
            if batch.is_empty() {
                break;
            }
            all.extend(batch);
        }
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 2 * BATCH_MAX + 11);
        assert_eq!(changes.bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn only_so_many_wait() {
        let changes = Changes::default();
        for n in 0..WAITING_MAX {
            assert!(changes.add(n.to_string().into()), "{n}");
        }
        assert!(!changes.add("one more".into()));
        assert!(changes.add("0".into()), "it waits already");
        let batch = changes.take();
        let count = batch.len();
        assert!(changes.add("one more".into()));
        assert_eq!(changes.give_back(batch), 1);
        assert!(count > 1);
    }

    #[test]
    fn only_so_much_waits_and_a_long_one_goes_alone() {
        let changes = Changes::default();
        let long = "x".repeat(BATCH_BYTES + 1);
        let mut count = 0;
        while changes.add(format!("{count}{long}").into()) {
            count += 1;
        }
        assert!(count * long.len() <= BYTES_MAX && count > 10);
        for _ in 0..count {
            assert_eq!(changes.take().len(), 1);
        }
        assert!(changes.take().is_empty());
    }
}
