//! What the cache did, in numbers: by route and zone, with reasons from a closed list.

use super::metrics::Counter;

/// What the cache did for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheResult {
    /// A stored answer was given.
    Hit,
    /// A stored answer was given though it was stale.
    Stale,
    /// A stored answer was given after its origin had confirmed it.
    Revalidated,
    /// There was none to give.
    Miss,
    /// The cache was left out.
    Bypass,
}

impl CacheResult {
    pub(super) const ALL: [(Self, &'static str); 5] = [
        (Self::Hit, "hit"),
        (Self::Stale, "stale"),
        (Self::Revalidated, "revalidated"),
        (Self::Miss, "miss"),
        (Self::Bypass, "bypass"),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(of, _)| *of == self);
        found.map_or("", |(_, name)| name)
    }
}

/// Why the cache was left out, why an answer was not kept, or why a stale one was given; `other` stands for all else.
pub const REASONS: [&str; 25] = [
    // Left out.
    "method",
    "body",
    "stream",
    "connection",
    "no-store",
    "bypass",
    "ambiguous",
    "not-stored-lately",
    // Not given.
    "request",
    "expired",
    "waited-in-vain",
    // Given though stale.
    "max-stale",
    "while-revalidate",
    "error",
    // Not kept.
    "status",
    "private",
    "must-understand",
    "vary",
    "set-cookie",
    "authorization",
    "no-lifetime",
    "stale-at-once",
    "too-large",
    "purged",
    "other",
];

/// What became of a request that waited for another to fetch what both want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// It was given what the other fetched.
    Given,
    /// It had to fetch for itself: what came was not for it, or did not come.
    Fetched,
    /// It waited as long as it may.
    InVain,
}

impl Waited {
    pub(super) const ALL: [(Self, &'static str); 3] = [
        (Self::Given, "given"),
        (Self::Fetched, "fetched"),
        (Self::InVain, "in-vain"),
    ];
}

/// What the cache did for one route.
#[derive(Debug)]
pub struct CacheMetrics {
    pub(super) results: [Counter; 5],
    /// In the order of the results, then of [`REASONS`].
    pub(super) reasons: [[Counter; REASONS.len()]; 5],
    pub(super) waited: [Counter; 3],
    pub(super) given_bytes: Counter,
}

impl Default for CacheMetrics {
    fn default() -> Self {
        Self {
            results: Default::default(),
            reasons: std::array::from_fn(|_| std::array::from_fn(|_| Counter::default())),
            waited: Default::default(),
            given_bytes: Counter::default(),
        }
    }
}

impl CacheMetrics {
    /// Counts a request.
    pub fn count(&self, result: CacheResult, reason: Option<&'static str>) {
        let mut results = CacheResult::ALL.iter().zip(&self.results);
        let Some(position) = results.position(|((of, _), counter)| {
            let found = *of == result;
            if found {
                counter.add_one();
            }
            found
        }) else {
            return;
        };
        let Some(reason) = reason else { return };
        let known = REASONS.iter().position(|known| *known == reason);
        let reasons = self.reasons.get(position);
        let counter = reasons.and_then(|all| all.get(known.unwrap_or(REASONS.len() - 1)));
        counter.into_iter().for_each(Counter::add_one);
    }

    /// Counts content that was given from what is stored.
    pub fn gave(&self, bytes: u64) {
        self.given_bytes.add(bytes);
    }

    /// Counts a request that waited for another.
    pub fn waited(&self, how: Waited) {
        let mut all = Waited::ALL.iter().zip(&self.waited);
        if let Some((_, counter)) = all.find(|((of, _), _)| *of == how) {
            counter.add_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::storable::Refused;

    #[test]
    fn every_reason_has_its_place() {
        for refused in Refused::ALL {
            assert!(REASONS.contains(&refused.name()), "{}", refused.name());
        }
        let metrics = CacheMetrics::default();
        metrics.count(CacheResult::Bypass, Some("method"));
        metrics.count(CacheResult::Bypass, Some("nobody knows"));
        metrics.count(CacheResult::Hit, None);
        let counts = |result: usize| {
            let counters = metrics.reasons[result].iter().map(Counter::read);
            counters.collect::<Vec<_>>()
        };
        let bypassed = counts(4);
        assert_eq!((bypassed[0], bypassed[REASONS.len() - 1]), (1, 1));
        assert_eq!(metrics.results[4].read(), 2);
        assert_eq!(counts(0).iter().sum::<u64>(), 0);
    }
}
