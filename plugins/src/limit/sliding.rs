//! `window = "sliding"`: never more than the count in any window of that length, wherever it starts.
//!
//! Keeps a log of what was admitted within the last window: 16 bytes an entry beyond the first six, hence a limit of
//! [`COUNT_MAX`] and a budget for all keys of a table.

use super::Verdict;
use super::log::Log;
use super::rate::Rate;
use super::table::{Count, Line};

/// The highest count of a sliding window: 160 kB for a key that uses all of it.
pub const COUNT_MAX: u64 = 10_000;

/// A count and the length of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlidingRule {
    /// Units of cost in any window.
    pub count: u64,
    /// The window in microseconds.
    pub window: u64,
}

/// What one key has used.
#[derive(Debug, Clone, Default)]
pub struct Sliding {
    log: Log,
    used: u16,
}

impl SlidingRule {
    /// `None` where the rate has no fixed period or a count beyond [`COUNT_MAX`].
    pub fn new(rate: Rate) -> Option<Self> {
        let window = rate.period().micros()?;
        (rate.count() <= COUNT_MAX).then_some(Self {
            count: rate.count(),
            window,
        })
    }
}

impl Sliding {
    fn forget(&mut self, rule: &SlidingRule, now: u64) {
        let freed = self.log.forget(|at| at.saturating_add(rule.window) <= now);
        self.used = narrow(u64::from(self.used).saturating_sub(freed));
    }

    /// When so much of what is used will be free.
    fn free_at(&self, rule: &SlidingRule, mut needed: u64) -> u64 {
        for (at, cost) in self.log.iter() {
            needed = needed.saturating_sub(u64::from(cost));
            if needed == 0 {
                return at.saturating_add(rule.window);
            }
        }
        self.idle_at(rule)
    }
}

/// A count of a window, which is at most [`COUNT_MAX`].
fn narrow(count: u64) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

impl Count for Sliding {
    type Align = Line;
    type Rule = SlidingRule;
    type Now = u64;

    fn take(&mut self, rule: &SlidingRule, now: u64, cost: u64) -> Verdict {
        let now = now.max(self.log.last().unwrap_or(0));
        self.forget(rule, now);
        let wanted = u64::from(self.used).saturating_add(cost);
        let admitted = wanted <= rule.count;
        if admitted && cost > 0 {
            self.log.push(now, narrow(cost));
            self.used = narrow(wanted);
        }
        Verdict {
            admitted,
            remaining: rule.count.saturating_sub(u64::from(self.used)),
            retry_after: match admitted {
                true => Some(0),
                false if cost > rule.count => None,
                false => Some(self.free_at(rule, wanted - rule.count) - now),
            },
            reset: self.idle_at(rule).saturating_sub(now),
        }
    }

    fn idle_at(&self, rule: &SlidingRule) -> u64 {
        let last = self.log.last();
        last.map_or(0, |at| at.saturating_add(rule.window))
    }

    fn used(&self, rule: &SlidingRule, now: u64) -> u64 {
        let within = |(at, _): &(u64, u16)| at.saturating_add(rule.window) > now;
        let counted = self.log.iter().filter(within);
        counted.map(|(_, cost)| u64::from(cost)).sum()
    }

    fn time(now: u64) -> u64 {
        now
    }

    fn heap(&self) -> usize {
        self.log.heap()
    }
}
