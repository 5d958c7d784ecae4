//! When one key was admitted, and at what cost: the log of a sliding window. A short one has its place in the table, so that
//! most keys need no memory elsewhere and a decision looks nowhere else.

use std::collections::VecDeque;

/// Entries that need no memory of their own: with the key they fill 128 bytes.
const FEW: usize = 6;

/// Moments and costs, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Log {
    moments: [u64; FEW],
    costs: [u16; FEW],
    /// How many of these count.
    few: u8,
    /// All entries, from the moment they were too many until none is left.
    #[expect(
        clippy::box_collection,
        reason = "8 bytes of the place, where a queue of its own would take 32"
    )]
    many: Option<Box<VecDeque<(u64, u16)>>>,
}

impl Log {
    /// Adds the latest.
    pub(super) fn push(&mut self, at: u64, cost: u16) {
        if let Some(many) = &mut self.many {
            many.push_back((at, cost));
            return;
        }
        let end = usize::from(self.few);
        if let (Some(moment), Some(entry)) = (self.moments.get_mut(end), self.costs.get_mut(end)) {
            (*moment, *entry) = (at, cost);
            self.few += 1;
        } else {
            let all = self.iter().chain([(at, cost)]).collect();
            self.many = Some(Box::new(all));
            self.few = 0;
        }
    }

    /// Takes the oldest out while they are old; their cost.
    pub(super) fn forget(&mut self, is_old: impl Fn(u64) -> bool) -> u64 {
        match &mut self.many {
            Some(many) => {
                let mut freed = 0;
                while let Some((_, cost)) = many.pop_front_if(|(at, _)| is_old(*at)) {
                    freed += u64::from(cost);
                }
                if many.is_empty() {
                    self.many = None;
                }
                freed
            }
            None => self.forget_few(is_old),
        }
    }

    fn forget_few(&mut self, is_old: impl Fn(u64) -> bool) -> u64 {
        let old = self.iter().take_while(|(at, _)| is_old(*at));
        let (count, freed) = old.fold((0, 0), |(count, freed), (_, cost)| {
            (count + 1, freed + u64::from(cost))
        });
        if count > 0 {
            self.moments.rotate_left(count);
            self.costs.rotate_left(count);
            self.few = self
                .few
                .saturating_sub(u8::try_from(count).unwrap_or(u8::MAX));
        }
        freed
    }

    /// The latest moment.
    pub(super) fn last(&self) -> Option<u64> {
        if let Some(many) = &self.many {
            return many.back().map(|(at, _)| *at);
        }
        let last = usize::from(self.few).checked_sub(1)?;
        self.moments.get(last).copied()
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u16)> {
        let few = self.moments.iter().copied().zip(self.costs.iter().copied());
        let many = self.many.iter().flat_map(|many| many.iter().copied());
        few.take(usize::from(self.few)).chain(many)
    }

    /// Bytes that it holds elsewhere.
    pub(super) fn heap(&self) -> usize {
        let entries = |many: &VecDeque<_>| many.capacity() * size_of::<(u64, u16)>();
        let many = self.many.as_deref();
        many.map_or(0, |many| size_of_val(many) + entries(many))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_a_queue(steps in proptest::collection::vec((0_u64..4, 0_u64..20, 1_u16..5), 0..200)) {
            let (mut log, mut oracle, mut now) = (Log::default(), VecDeque::new(), 0);
            for (pause, window, cost) in steps {
                now += pause;
                let old = |at: u64| at + window <= now;
                let mut freed = 0;
                while oracle.front().is_some_and(|(at, _)| old(*at)) {
                    let (_, cost): (u64, u16) = oracle.pop_front().unwrap();
                    freed += u64::from(cost);
                }
                prop_assert_eq!(log.forget(old), freed);
                log.push(now, cost);
                oracle.push_back((now, cost));
                prop_assert_eq!(log.iter().collect::<Vec<_>>(), oracle.iter().copied().collect::<Vec<_>>());
                prop_assert_eq!(log.last(), oracle.back().map(|(at, _)| *at));
            }
        }
    }

    #[test]
    fn a_short_log_needs_no_memory_elsewhere() {
        let mut log = Log::default();
        for at in 0..FEW {
            log.push(at as u64, 1);
        }
        assert_eq!(log.heap(), 0);
        log.push(9, 1);
        assert!(log.heap() > 0);
        assert_eq!(log.forget(|_| true), FEW as u64 + 1);
        assert_eq!(log.heap(), 0);
    }
}
