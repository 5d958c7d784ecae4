//! Whether a target may be picked: what checks and outlier ejection say of it. One load a pick, no lock.
//!
//! A new target is in good standing: until somebody knows better, it gets requests. Only the health scheduler lets checks
//! speak and lets ejected targets back; only `outlier::Outlier` ejects.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;

use super::outlier::Record;

/// Set while checks fail.
const DOWN: u8 = 1;
/// Set while it is ejected.
const EJECTED: u8 = 2;

/// A target's standing.
#[derive(Debug)]
pub struct Standing {
    /// What speaks against it.
    against: AtomicU8,
    origin: Instant,
    /// When it came back to good standing, in nanoseconds since `origin`; 0 while it never left.
    returned: AtomicU64,
    /// What outlier ejection remembers of it.
    pub(super) record: Record,
    /// Addresses that fail their checks, while others pass.
    avoided: ArcSwapOption<Vec<SocketAddr>>,
    story: Mutex<Story>,
}

/// What is told of a standing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Story {
    /// When it last changed between good and not; never yet: none.
    pub since: Option<SystemTime>,
    /// Why its checks took it out.
    pub down: Option<String>,
    /// Why it was ejected, while it is.
    pub ejected: Option<&'static str>,
    /// Its last check.
    pub last_check: Option<LastCheck>,
    /// How often it was ejected in short order.
    pub ejections: u32,
}

/// A check that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastCheck {
    /// When it ended.
    pub at: SystemTime,
    /// Why it failed.
    pub error: Option<String>,
}

impl Standing {
    /// A good one.
    pub fn new(now: Instant) -> Self {
        Self {
            against: AtomicU8::new(0),
            origin: now,
            returned: AtomicU64::new(0),
            record: Record::new(now),
            avoided: ArcSwapOption::empty(),
            story: Mutex::default(),
        }
    }

    /// Whether it may be picked.
    pub fn is_good(&self) -> bool {
        self.against.load(Ordering::Relaxed) == 0
    }

    /// Whether it is ejected.
    pub fn is_ejected(&self) -> bool {
        self.against.load(Ordering::Relaxed) & EJECTED != 0
    }

    /// Whether its checks fail.
    pub fn is_down(&self) -> bool {
        self.against.load(Ordering::Relaxed) & DOWN != 0
    }

    /// For how long it is in good standing again; `None` when it never was in another.
    pub fn good_for(&self, now: Instant) -> Option<Duration> {
        let returned = self.returned.load(Ordering::Relaxed);
        let at = self.origin + Duration::from_nanos(returned);
        (returned != 0).then(|| now.saturating_duration_since(at))
    }

    /// Addresses that are not to be used, where there are better ones.
    pub(super) fn avoided(&self) -> Option<Arc<Vec<SocketAddr>>> {
        self.avoided.load_full()
    }

    pub(super) fn avoid(&self, addresses: Option<Vec<SocketAddr>>) {
        self.avoided.store(addresses.map(Arc::new));
    }

    /// What is told of it.
    pub fn story(&self) -> Story {
        self.told().clone()
    }

    /// Its last check is over.
    pub(super) fn checked(&self, error: Option<String>) {
        self.told().last_check = Some(LastCheck {
            at: SystemTime::now(),
            error,
        });
    }

    /// Its checks say so: `true` if that is news.
    pub(super) fn set_down(&self, down: Option<String>, now: Instant) -> bool {
        let is = down.is_some();
        self.told().down = down;
        self.set(DOWN, is, now)
    }

    /// It is ejected, or let back: `true` if that is news.
    pub(super) fn set_ejected(&self, why: Option<&'static str>, times: u32, now: Instant) -> bool {
        let mut story = self.told();
        story.ejected = why;
        story.ejections = times;
        drop(story);
        self.set(EJECTED, why.is_some(), now)
    }

    /// Forgets what checks said: they are gone, or ask something else.
    pub(super) fn forget_checks(&self, now: Instant) {
        self.set_down(None, now);
        self.avoid(None);
        self.told().last_check = None;
    }

    fn set(&self, bit: u8, is: bool, now: Instant) -> bool {
        let before = if is {
            self.against.fetch_or(bit, Ordering::Relaxed)
        } else {
            self.against.fetch_and(!bit, Ordering::Relaxed)
        };
        let after = if is { before | bit } else { before & !bit };
        if before != 0 && after == 0 {
            let nanos = now.saturating_duration_since(self.origin).as_nanos();
            let nanos = u64::try_from(nanos).unwrap_or(u64::MAX).max(1);
            self.returned.store(nanos, Ordering::Relaxed);
        }
        if (before == 0) != (after == 0) {
            self.told().since = Some(SystemTime::now());
        }
        before != after
    }

    fn told(&self) -> MutexGuard<'_, Story> {
        self.story.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Standing {
    fn default() -> Self {
        Self::new(Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_good_when_nothing_speaks_against_it() {
        let start = Instant::now();
        let standing = Standing::new(start);
        assert!(standing.is_good() && standing.good_for(start).is_none());
        assert!(standing.set_down(Some("refused".into()), start));
        assert!(
            !standing.set_down(Some("timed out".into()), start),
            "no news"
        );
        assert!(standing.set_ejected(Some("5 failures in a row"), 1, start));
        assert!(standing.set_down(None, start));
        assert!(!standing.is_good() && standing.is_ejected() && !standing.is_down());
        let back = start + Duration::from_secs(3);
        assert!(standing.set_ejected(None, 1, back));
        assert!(standing.is_good());
        let later = back + Duration::from_secs(2);
        assert_eq!(standing.good_for(later), Some(Duration::from_secs(2)));
    }
}
