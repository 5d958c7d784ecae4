//! Counters by status code: the registered codes each have one, all others share one.

use std::sync::atomic::{AtomicU64, Ordering};

/// The status codes with a counter of their own (IANA registry, and 499: the client went away before any answer).
const CODES: [u16; 64] = [
    100, 101, 102, 103, 200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304,
    305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415,
    416, 417, 418, 421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504,
    505, 506, 507, 508, 510, 511, 599,
];

/// Code → index in [`CODES`], made at compile time; `CODES.len()` for all others.
#[expect(
    clippy::indexing_slicing,
    reason = "runs in the compiler, where a wrong index is an error"
)]
const INDEX: [u8; 600] = {
    let mut index = [64u8; 600];
    let mut at = 0u8;
    while (at as usize) < CODES.len() {
        index[CODES[at as usize] as usize] = at;
        at += 1;
    }
    index
};

/// Answers counted by status code.
#[derive(Debug)]
pub struct StatusCounters([AtomicU64; 65]);

impl Default for StatusCounters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl StatusCounters {
    /// Counts one answer.
    pub fn count(&self, status: u16) {
        let index = INDEX
            .get(usize::from(status))
            .map_or(CODES.len(), |index| usize::from(*index));
        if let Some(counter) = self.0.get(index) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The codes that were counted at least once; `None` is all others together.
    pub fn read(&self) -> impl Iterator<Item = (Option<u16>, u64)> {
        let codes = CODES.iter().copied().map(Some).chain([None]);
        codes
            .zip(self.0.iter().map(|counter| counter.load(Ordering::Relaxed)))
            .filter(|(_, n)| *n > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unregistered_codes_share_one_counter() {
        let counters = StatusCounters::default();
        for status in [200, 200, 520, 999, 499, 99] {
            counters.count(status);
        }
        let read: Vec<_> = counters.read().collect();
        assert_eq!(read, [(Some(200), 2), (Some(499), 1), (None, 3)]);
    }
}
