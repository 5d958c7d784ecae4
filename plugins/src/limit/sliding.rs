//! `window = "sliding"`: never more than the count in any window of that length, wherever it starts.
//!
//! Keeps a log of what was admitted within the last window: 16 bytes an entry, hence a limit of [`COUNT_MAX`] and a
//! budget for all keys of a table.

use std::collections::VecDeque;

use super::Verdict;
use super::rate::Rate;
use super::table::Count;

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

/// What one key has used: moments and costs, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Sliding {
    log: VecDeque<(u64, u64)>,
    used: u64,
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
        while let Some((at, cost)) = self.log.front().copied()
            && at.saturating_add(rule.window) <= now
        {
            self.log.pop_front();
            self.used -= cost;
        }
    }

    fn last(&self) -> u64 {
        self.log.back().map_or(0, |(at, _)| *at)
    }

    /// When so much of what is used will be free.
    fn free_at(&self, rule: &SlidingRule, mut needed: u64) -> u64 {
        for (at, cost) in &self.log {
            needed = needed.saturating_sub(*cost);
            if needed == 0 {
                return at.saturating_add(rule.window);
            }
        }
        self.idle_at(rule)
    }
}

impl Count for Sliding {
    type Rule = SlidingRule;
    type Now = u64;

    fn take(&mut self, rule: &SlidingRule, now: u64, cost: u64) -> Verdict {
        let now = now.max(self.last());
        self.forget(rule, now);
        let wanted = self.used.saturating_add(cost);
        let admitted = wanted <= rule.count;
        if admitted && cost > 0 {
            self.log.push_back((now, cost));
            self.used = wanted;
        }
        Verdict {
            admitted,
            remaining: rule.count.saturating_sub(self.used),
            retry_after: match admitted {
                true => Some(0),
                false if cost > rule.count => None,
                false => Some(self.free_at(rule, wanted - rule.count) - now),
            },
            reset: self.idle_at(rule).saturating_sub(now),
        }
    }

    fn idle_at(&self, rule: &SlidingRule) -> u64 {
        match self.log.back() {
            Some((at, _)) => at.saturating_add(rule.window),
            None => 0,
        }
    }

    fn used(&self, rule: &SlidingRule, now: u64) -> u64 {
        let within = |(at, _): &&(u64, u64)| at.saturating_add(rule.window) > now;
        self.log.iter().filter(within).map(|(_, cost)| cost).sum()
    }

    fn time(now: u64) -> u64 {
        now
    }

    fn heap(&self) -> usize {
        self.log.capacity() * size_of::<(u64, u64)>()
    }
}
