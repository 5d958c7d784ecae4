//! Which target an attempt goes to. Nothing here allocates or locks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::Target;
use super::endpoint::Endpoint;
use super::schedule;
use crate::config::model::Balance;

/// So many targets are tried in their order before one is looked for in the list.
const TURNS: usize = 64;

/// What a request wishes of a pick.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// The moment of the pick: the caller has read the clock already.
    pub now: Instant,
    /// Hash of the value that `hash-on` names.
    pub hash: Option<u64>,
    /// What the sticky cookie says.
    pub sticky: Option<u64>,
    /// Where this request was sent before. Somebody else is picked, as long as there is somebody else.
    pub tried: &'a [Arc<Target>],
}

impl Wish<'static> {
    /// Any target.
    pub fn at(now: Instant) -> Self {
        Self {
            now,
            hash: None,
            sticky: None,
            tried: &[],
        }
    }
}

/// Why no target was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// None has a known address and is in good standing.
    NoTarget,
    /// The upstream has as many requests as it may have.
    Full,
}

/// Targets of one rank, with what its algorithm needs to choose among them.
pub(super) struct Group {
    pub(super) endpoints: Box<[Endpoint]>,
    /// Indices of `endpoints`, each as often as its weight says.
    schedule: Box<[u32]>,
}

impl Group {
    pub(super) fn new(endpoints: Vec<Endpoint>) -> Self {
        let weights: Vec<u32> = endpoints.iter().map(|endpoint| endpoint.weight).collect();
        Self {
            endpoints: endpoints.into(),
            schedule: schedule::smooth(&weights),
        }
    }

    /// The next target that is acceptable; `None` when nobody is.
    pub(super) fn choose(
        &self,
        balance: Balance,
        turn: &AtomicUsize,
        acceptable: impl Fn(&Endpoint) -> bool,
    ) -> Option<&Endpoint> {
        for _ in 0..self.schedule.len().min(TURNS) {
            // Whoever is passed over loses the turn: the others keep their shares.
            let turn = match balance {
                Balance::RoundRobin => turn.fetch_add(1, Ordering::Relaxed),
                Balance::Random => rand::random(),
            };
            let endpoint = self.at(turn)?;
            if acceptable(endpoint) {
                return Some(endpoint);
            }
        }
        self.anybody(acceptable)
    }

    fn at(&self, turn: usize) -> Option<&Endpoint> {
        let index = self.schedule.get(turn.checked_rem(self.schedule.len())?)?;
        self.endpoints.get(usize::try_from(*index).ok()?)
    }

    /// Hardly anybody is acceptable: looks at all, from a random place, so that no one gets all.
    fn anybody(&self, acceptable: impl Fn(&Endpoint) -> bool) -> Option<&Endpoint> {
        let start = rand::random::<usize>().checked_rem(self.endpoints.len())?;
        let (before, from) = self.endpoints.split_at_checked(start)?;
        from.iter()
            .chain(before)
            .find(|endpoint| acceptable(endpoint))
    }
}
