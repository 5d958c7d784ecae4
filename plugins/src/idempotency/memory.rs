//! Records in memory: so many bytes and no more. Room is made by giving up the oldest answers, never a key of a request that
//! is under way; where there are only such, nobody gets a new one.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use ahash::RandomState;
use bytes::Bytes;
use parking_lot::Mutex;

use crate::limit::key::Key;

/// What a record costs beside its bytes: key, place in the table and in a queue.
const OVERHEAD: usize = 256;

/// Bytes of the records of one policy.
pub(super) const BYTES_MAX: usize = 64 << 20;

/// Records by their keys.
pub struct Memory {
    bytes_max: usize,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    records: HashMap<Key, Entry, RandomState>,
    /// In the order in which they were written; what was replaced since is still in it.
    answers: VecDeque<(Key, u64)>,
    running: VecDeque<(Key, u64)>,
    bytes: usize,
    written: u64,
}

struct Entry {
    value: Bytes,
    until: Duration,
    number: u64,
}

/// No room: all there is belongs to requests that are under way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Memory {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            inside: Mutex::default(),
        }
    }

    /// What there is under a key.
    pub(super) fn get(&self, key: &Key, now: Duration) -> Option<Bytes> {
        self.inside.lock().get(key, now)
    }

    /// Takes a key that nobody has, else says what there is.
    pub(super) fn claim(
        &self,
        key: Key,
        value: Bytes,
        keep: Duration,
        now: Duration,
    ) -> Result<Option<Bytes>, Full> {
        let mut inside = self.inside.lock();
        if let Some(there) = inside.get(&key, now) {
            return Ok(Some(there));
        }
        inside.make_room(cost(&value), self.bytes_max, now)?;
        inside.hold(key, value, now + keep);
        Ok(None)
    }

    /// Puts an answer in the place of this record, or nothing; says whether the record was still there.
    pub(super) fn exchange(
        &self,
        key: &Key,
        old: &[u8],
        new: Option<(Bytes, Duration)>,
        now: Duration,
    ) -> bool {
        let mut inside = self.inside.lock();
        let there = inside.records.get(key);
        let Some(before) = there.filter(|entry| entry.value == old) else {
            return false;
        };
        let (before, until) = (before.value.clone(), before.until);
        inside.remove(key);
        let Some((value, keep)) = new else {
            return true;
        };
        if inside.make_room(cost(&value), self.bytes_max, now).is_err() {
            // The key stays taken: what was carried out is not carried out again at once.
            inside.hold(*key, before, until);
            return false;
        }
        inside.keep(*key, value, now + keep);
        true
    }

    /// Puts an answer under a key, whatever was there.
    pub(super) fn put(&self, key: Key, value: Bytes, keep: Duration, now: Duration) {
        let mut inside = self.inside.lock();
        inside.remove(&key);
        if inside.make_room(cost(&value), self.bytes_max, now).is_ok() {
            inside.keep(key, value, now + keep);
        }
    }
}

fn cost(value: &Bytes) -> usize {
    value.len() + OVERHEAD
}

impl Inside {
    fn get(&self, key: &Key, now: Duration) -> Option<Bytes> {
        let entry = self.records.get(key)?;
        (now < entry.until).then(|| entry.value.clone())
    }

    fn put(&mut self, key: Key, value: Bytes, until: Duration) -> u64 {
        self.remove(&key);
        self.written += 1;
        self.bytes += cost(&value);
        let number = self.written;
        let entry = Entry {
            value,
            until,
            number,
        };
        self.records.insert(key, entry);
        number
    }

    fn hold(&mut self, key: Key, value: Bytes, until: Duration) {
        let number = self.put(key, value, until);
        self.running.push_back((key, number));
    }

    fn keep(&mut self, key: Key, value: Bytes, until: Duration) {
        let number = self.put(key, value, until);
        self.answers.push_back((key, number));
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.records.remove(key) {
            self.bytes = self.bytes.saturating_sub(cost(&entry.value));
        }
    }

    /// What is over goes first, then answers, the oldest before the others.
    fn make_room(&mut self, bytes: usize, most: usize, now: Duration) -> Result<(), Full> {
        while let Some(&(key, number)) = self.running.front() {
            if self.is_there(&key, number, now) {
                break;
            }
            self.running.pop_front();
            self.give_up(&key, number);
        }
        while let Some(&(key, number)) = self.answers.front() {
            let fits = self.bytes + bytes <= most;
            if fits && self.is_there(&key, number, now) {
                break;
            }
            self.answers.pop_front();
            self.give_up(&key, number);
        }
        let stale = self.running.len() > 64 + 2 * self.records.len();
        if stale || self.bytes + bytes > most {
            self.sweep(now);
        }
        if self.bytes + bytes > most {
            Err(Full)
        } else {
            Ok(())
        }
    }

    fn is_there(&self, key: &Key, number: u64, now: Duration) -> bool {
        let entry = self.records.get(key);
        entry.is_some_and(|entry| entry.number == number && now < entry.until)
    }

    fn give_up(&mut self, key: &Key, number: u64) {
        if self
            .records
            .get(key)
            .is_some_and(|entry| entry.number == number)
        {
            self.remove(key);
        }
    }

    /// Keys of requests that are over, though one before them is not: routes give different times.
    fn sweep(&mut self, now: Duration) {
        let over: Vec<_> = (self.running.iter().copied())
            .filter(|(key, number)| !self.is_there(key, *number, now))
            .collect();
        for (key, number) in over {
            self.give_up(&key, number);
        }
        let records = &self.records;
        self.running.retain(|(key, number)| {
            records
                .get(key)
                .is_some_and(|entry| entry.number == *number)
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::limit::key::KeyBuilder;

    const LOCK: Duration = Duration::from_secs(10);
    const KEEP: Duration = Duration::from_mins(1);

    fn key(name: &str) -> Key {
        let mut key = KeyBuilder::default();
        key.text(name);
        key.finish()
    }

    fn text(value: &'static str) -> Bytes {
        Bytes::from_static(value.as_bytes())
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_is_somebodys_until_it_is_answered_or_its_time_is_over() {
        let memory = Memory::new(1 << 20);
        let claim = |value, now| memory.claim(key("a"), text(value), LOCK, at(now)).unwrap();
        assert_eq!(claim("one", 0), None);
        assert_eq!(claim("two", 9), Some(text("one")));
        assert_eq!(claim("two", 10), None, "its time is over");
        assert!(
            !memory.exchange(&key("a"), b"one", Some((text("late"), KEEP)), at(11)),
            "not its own any more"
        );
        assert!(memory.exchange(&key("a"), b"two", Some((text("answer"), KEEP)), at(11)));
        assert_eq!(claim("three", 70), Some(text("answer")));
        assert_eq!(claim("three", 71), None);
        assert!(memory.exchange(&key("a"), b"three", None, at(71)));
        assert_eq!(memory.get(&key("a"), at(71)), None);
        assert!(!memory.exchange(&key("a"), b"three", None, at(71)));
    }

    #[test]
    fn the_oldest_answer_makes_room_and_nobody_who_is_under_way() {
        let memory = Memory::new(3 * (OVERHEAD + 3));
        for name in ["a", "b"] {
            assert_eq!(memory.claim(key(name), text("one"), LOCK, at(0)), Ok(None));
            assert!(memory.exchange(&key(name), b"one", Some((text("ans"), KEEP)), at(0)));
        }
        assert_eq!(memory.claim(key("c"), text("one"), LOCK, at(1)), Ok(None));
        assert_eq!(memory.claim(key("d"), text("one"), LOCK, at(1)), Ok(None));
        assert_eq!(memory.get(&key("a"), at(1)), None, "the oldest");
        assert_eq!(memory.get(&key("b"), at(1)), Some(text("ans")));
        assert_eq!(memory.claim(key("e"), text("one"), LOCK, at(1)), Ok(None));
        assert_eq!(memory.claim(key("f"), text("one"), LOCK, at(1)), Err(Full));
        assert_eq!(memory.get(&key("c"), at(1)), Some(text("one")));
        assert_eq!(
            memory.claim(key("f"), text("one"), LOCK, at(11)),
            Ok(None),
            "their time is over"
        );
    }

    #[test]
    fn a_long_request_does_not_hide_those_that_are_over() {
        let memory = Memory::new(2 * (OVERHEAD + 3));
        assert_eq!(memory.claim(key("a"), text("one"), KEEP, at(0)), Ok(None));
        assert_eq!(memory.claim(key("b"), text("one"), LOCK, at(0)), Ok(None));
        assert_eq!(memory.claim(key("c"), text("one"), LOCK, at(1)), Err(Full));
        assert_eq!(memory.claim(key("c"), text("one"), LOCK, at(11)), Ok(None));
        assert_eq!(memory.get(&key("a"), at(11)), Some(text("one")));
    }

    #[test]
    fn an_answer_without_room_leaves_its_key_taken() {
        let memory = Memory::new(2 * (OVERHEAD + 3));
        for name in ["a", "b"] {
            assert_eq!(memory.claim(key(name), text("one"), LOCK, at(0)), Ok(None));
        }
        let answer = Some((text("an answer"), KEEP));
        assert!(!memory.exchange(&key("a"), b"one", answer, at(1)));
        assert_eq!(memory.get(&key("a"), at(9)), Some(text("one")));
        assert_eq!(memory.get(&key("a"), at(10)), None);
    }

    #[derive(Debug, Clone)]
    enum Step {
        Claim(u8),
        Answer(u8, usize),
        Release(u8),
        Wait(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (0_u8..6).prop_map(Step::Claim),
            3 => (0_u8..6, 0_usize..900).prop_map(|(key, size)| Step::Answer(key, size)),
            1 => (0_u8..6).prop_map(Step::Release),
            2 => (0_u64..25).prop_map(Step::Wait),
        ];
        prop::collection::vec(step, 1..200)
    }

    proptest! {
        /// Against a map that has all the room in the world: what is there is right, only answers go missing, and no more
        /// bytes are held than may be.
        #[test]
        fn what_is_there_is_right_and_fits(steps in steps()) {
            let most = 4 * (OVERHEAD + 300);
            let memory = Memory::new(most);
            let mut model: BTreeMap<u8, (Bytes, bool, Duration)> = BTreeMap::new();
            let mut now = at(0);
            for (at_step, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Wait(seconds) => now += at(seconds),
                    Step::Claim(name) => {
                        let value = Bytes::from(format!("r{at_step}"));
                        model.retain(|_, (.., until)| now < *until);
                        match memory.claim(key(&name.to_string()), value.clone(), LOCK, now) {
                            Err(Full) => {}
                            Ok(Some(there)) => prop_assert_eq!(Some(&there), model.get(&name).map(|(value, ..)| value)),
                            Ok(None) => {
                                prop_assert!(model.get(&name).is_none_or(|(_, answered, _)| *answered));
                                model.insert(name, (value, false, now + LOCK));
                            }
                        }
                    }
                    Step::Answer(name, size) => {
                        let answer = Bytes::from(format!("a{at_step}{}", "x".repeat(size)));
                        let Some((value, false, _)) = model.get(&name).cloned() else { continue };
                        let done = memory.exchange(&key(&name.to_string()), &value, Some((answer.clone(), KEEP)), now);
                        // Without room for its answer a key stays taken.
                        if done {
                            model.insert(name, (answer, true, now + KEEP));
                        }
                    }
                    Step::Release(name) => {
                        let Some((value, false, _)) = model.get(&name).cloned() else { continue };
                        memory.exchange(&key(&name.to_string()), &value, None, now);
                        model.remove(&name);
                    }
                }
                let inside = memory.inside.lock();
                prop_assert!(inside.bytes <= most);
                let sum: usize = inside.records.values().map(|entry| cost(&entry.value)).sum();
                prop_assert_eq!(sum, inside.bytes);
            }
        }
    }
}
