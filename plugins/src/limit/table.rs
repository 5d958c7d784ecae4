//! Counts by key, for many keys and threads, in bounded memory.
//!
//! A key belongs to one of 64 shards, each a mutex over an open-addressing table with linear probing; keys are hashed
//! with a seed that only this process knows, and compared whole. A count that would be as good as none (a full bucket)
//! is idle and given up when room is needed. **Beyond the cap of keys** a newcomer takes the place of an idle one of
//! the next 32 places, or where none is, of the one of them that would be idle soonest: the newcomer is counted, always.
//!
//! **Memory** of one policy, for a million keys: 80 MB for buckets, 90 MB for quotas, 160 MB for sliding windows, whose
//! logs beyond six entries have 256 MiB more.

use ahash::RandomState;
use parking_lot::Mutex;

use super::Verdict;
use super::key::Key;

/// Keys that one table counts at most.
pub const KEYS_MAX: usize = 1_000_000;
/// Bytes that counts of one table may have beyond their places: logs of sliding windows.
pub const HEAP_MAX: usize = 256 << 20;

const SHARDS: usize = 64;
/// Places that a newcomer looks at when all are taken.
const LOOKED_AT: usize = 32;
const PLACES_MIN: usize = 8;

/// The count of one key.
pub trait Count: Default + Send + 'static {
    /// What it is measured by.
    type Rule: Send + Sync + 'static;
    /// What it is told of the time.
    type Now: Copy;
    /// What its place is aligned to: [`Line`] where key and count fill one, so that a decision touches no other.
    type Align: Send + 'static;

    /// Counts a request if it may pass.
    fn take(&mut self, rule: &Self::Rule, now: Self::Now, cost: u64) -> Verdict;

    /// From when on it is as good as none.
    fn idle_at(&self, rule: &Self::Rule) -> u64;

    /// What is used of the limit.
    fn used(&self, rule: &Self::Rule, now: u64) -> u64;

    /// The time on the clock that [`idle_at`](Self::idle_at) goes by.
    fn time(now: Self::Now) -> u64;

    /// Bytes that it holds elsewhere.
    fn heap(&self) -> usize {
        0
    }
}

/// Counts by key.
pub struct Table<C: Count> {
    rule: C::Rule,
    shards: Box<[Mutex<Shard<C>>]>,
    seed: RandomState,
    limits: Limits,
}

/// What one shard may hold.
#[derive(Clone, Copy)]
struct Limits {
    keys: usize,
    heap: usize,
}

struct Shard<C: Count> {
    places: Vec<Place<C>>,
    used: usize,
    heap: usize,
    /// Where the next search for somebody idle starts.
    hand: usize,
}

struct Place<C: Count> {
    _align: [C::Align; 0],
    key: Key,
    count: C,
}

/// A line of the processor's caches.
#[repr(align(64))]
pub struct Line;

impl<C: Count> Place<C> {
    fn free() -> Self {
        Self {
            _align: [],
            key: Key::NONE,
            count: C::default(),
        }
    }

    fn is_free(&self) -> bool {
        self.key == Key::NONE
    }
}

impl<C: Count> Table<C> {
    /// A table with the usual limits.
    pub fn new(rule: C::Rule) -> Self {
        Self::with_limits(rule, KEYS_MAX, HEAP_MAX)
    }

    /// A table for so many keys and so many bytes beyond their places.
    pub fn with_limits(rule: C::Rule, keys: usize, heap: usize) -> Self {
        let shard = || {
            Mutex::new(Shard {
                places: Vec::new(),
                used: 0,
                heap: 0,
                hand: 0,
            })
        };
        Self {
            rule,
            shards: std::iter::repeat_with(shard).take(SHARDS).collect(),
            seed: RandomState::new(),
            limits: Limits {
                keys: keys.div_ceil(SHARDS).max(1),
                heap: heap / SHARDS,
            },
        }
    }

    /// What the counts are measured by.
    pub fn rule(&self) -> &C::Rule {
        &self.rule
    }

    /// Counts a request of this key.
    pub fn take(&self, key: &Key, now: C::Now, cost: u64) -> Verdict {
        let hash = self.seed.hash_one(key);
        let mut shard = self.shard(hash).lock();
        let time = C::time(now);
        let index = match shard.find(key, hash) {
            Ok(index) => index,
            Err(free) => shard.admit(free, key, hash, time, self),
        };
        let Some(place) = shard.places.get_mut(index) else {
            // `find` and `admit` return places of this very table.
            return C::default().take(&self.rule, now, cost);
        };
        let before = place.count.heap();
        let verdict = place.count.take(&self.rule, now, cost);
        let after = place.count.heap();
        if after != before {
            shard.heap = shard.heap.saturating_sub(before) + after;
            shard.relieve(key, time, self);
        }
        verdict
    }

    /// How many keys are counted, idle ones among them.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().used).sum()
    }

    /// Whether nobody is counted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of all places and logs.
    pub fn bytes(&self) -> usize {
        let bytes = |shard: &Mutex<Shard<C>>| {
            let shard = shard.lock();
            shard.places.capacity() * size_of::<Place<C>>() + shard.heap
        };
        self.shards.iter().map(bytes).sum()
    }

    /// Shows every key that is not idle, with what it has used. Holds one shard at a time.
    pub fn visit(&self, now: u64, mut visitor: impl FnMut(&Key, u64)) {
        for shard in &self.shards {
            let shard = shard.lock();
            let taken = shard.places.iter().filter(|place| !place.is_free());
            for place in taken.filter(|place| place.count.idle_at(&self.rule) > now) {
                visitor(&place.key, place.count.used(&self.rule, now));
            }
        }
    }

    #[expect(
        clippy::indexing_slicing,
        clippy::cast_possible_truncation,
        reason = "a remainder of the number of shards"
    )]
    fn shard(&self, hash: u64) -> &Mutex<Shard<C>> {
        &self.shards[hash as usize % SHARDS]
    }
}

impl<C: Count> Shard<C> {
    /// Where a key of this hash is looked for first. The upper half of the hash decides, the lower chose the shard.
    fn home(&self, hash: u64) -> usize {
        let scaled = (u128::from(hash >> 32) * self.places.len() as u128) >> 32;
        usize::try_from(scaled).unwrap_or(0)
    }

    fn after(&self, index: usize) -> usize {
        if index + 1 < self.places.len() {
            index + 1
        } else {
            0
        }
    }

    /// The key's place, or the free one where it belongs. A table is never full, so the search ends.
    fn find(&self, key: &Key, hash: u64) -> Result<usize, usize> {
        let mut index = self.home(hash);
        while let Some(place) = self.places.get(index) {
            if place.key == *key {
                return Ok(index);
            }
            if place.is_free() {
                return Err(index);
            }
            index = self.after(index);
        }
        Err(index)
    }

    /// Gives a newcomer a place, at the cost of somebody idle where there is no room.
    fn admit(&mut self, free: usize, key: &Key, hash: u64, now: u64, table: &Table<C>) -> usize {
        let mut index = free;
        if self.used >= table.limits.keys {
            self.evict(key, now, table);
            index = self.find(key, hash).unwrap_or_else(|free| free);
        } else if (self.used + 1) * 5 > self.places.len() * 4 {
            self.rebuild(now, table);
            index = self.find(key, hash).unwrap_or_else(|free| free);
        }
        if let Some(place) = self.places.get_mut(index) {
            place.key = *key;
            self.used += 1;
        }
        index
    }

    /// A new table without those who are idle, larger if they were few.
    fn rebuild(&mut self, now: u64, table: &Table<C>) {
        let old = std::mem::take(&mut self.places);
        let alive: Vec<Place<C>> = old
            .into_iter()
            .filter(|place| !place.is_free() && place.count.idle_at(&table.rule) > now)
            .collect();
        // Room for as many again, so that the next time is far; at most a quarter more than the cap.
        let most = table.limits.keys + table.limits.keys.div_ceil(4) + 1;
        let places = (alive.len() * 2 + 2).next_multiple_of(PLACES_MIN).min(most);
        self.places.reserve_exact(places);
        self.places.resize_with(places, Place::free);
        self.used = alive.len();
        self.heap = alive.iter().map(|place| place.count.heap()).sum();
        self.hand = 0;
        for place in alive {
            let hash = table.seed.hash_one(place.key);
            if let Err(index) = self.find(&place.key, hash)
                && let Some(free) = self.places.get_mut(index)
            {
                *free = place;
            }
        }
    }

    /// Gives logs up until the rest is within the budget, the one of this key last.
    fn relieve(&mut self, key: &Key, now: u64, table: &Table<C>) {
        while self.heap > table.limits.heap && self.used > 1 {
            self.evict(key, now, table);
        }
    }

    /// Takes out who is idle among the next places, or at least whoever would be soonest. Spares one key.
    fn evict(&mut self, spared: &Key, now: u64, table: &Table<C>) {
        let mut soonest: Option<(u64, usize)> = None;
        let mut gone = false;
        let mut looked_at = 0;
        // Free places do not count, or a sparse table would be searched in vain.
        for _ in 0..self.places.len() {
            if looked_at >= LOOKED_AT {
                break;
            }
            let index = self.hand;
            match self.places.get(index) {
                Some(place) if !place.is_free() && place.key != *spared => {
                    looked_at += 1;
                    let idle_at = place.count.idle_at(&table.rule);
                    if idle_at <= now {
                        // Another one may move to this place, so the hand stays.
                        self.remove(index, table);
                        gone = true;
                        continue;
                    }
                    if soonest.is_none_or(|(at, _)| idle_at < at) {
                        soonest = Some((idle_at, index));
                    }
                }
                Some(_) | None => {}
            }
            self.hand = self.after(index);
        }
        if let (false, Some((_, index))) = (gone, soonest) {
            self.remove(index, table);
        }
    }

    /// Frees a place and closes the gap, so that every key is found between its home and the next free place.
    fn remove(&mut self, index: usize, table: &Table<C>) {
        let mut gap = index;
        if let Some(place) = self.places.get_mut(gap) {
            self.heap = self.heap.saturating_sub(place.count.heap());
            *place = Place::free();
            self.used -= 1;
        }
        let mut next = self.after(gap);
        while let Some(place) = self.places.get(next)
            && !place.is_free()
        {
            let home = self.home(table.seed.hash_one(place.key));
            if !is_between(gap, home, next) {
                self.places.swap(gap, next);
                gap = next;
            }
            next = self.after(next);
        }
    }
}

/// Whether, going round from just after the gap, the home comes before or at the place.
fn is_between(gap: usize, home: usize, place: usize) -> bool {
    if gap < place {
        gap < home && home <= place
    } else {
        gap < home || home <= place
    }
}
