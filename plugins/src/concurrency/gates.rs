//! The doors of one policy: one for each value that is counted apart.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;
use parking_lot::Mutex;

use super::Size;
use super::gate::Gate;
use crate::contract::services::Clock;
use crate::limit::key::Key;

/// Doors beyond which those that nobody uses are given up.
const IDLE_MAX: usize = 1_024;

/// Doors by key. There are never more in use than requests.
pub struct Gates {
    size: Size,
    clock: Arc<dyn Clock>,
    doors: Mutex<Doors>,
}

struct Doors {
    by_key: HashMap<Key, Arc<Gate>, RandomState>,
    /// At how many to look for those that nobody uses.
    full_at: usize,
}

/// Who is at one door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// How many are under way.
    pub inside: usize,
    /// How many may be.
    pub limit: usize,
    /// How many wait.
    pub waiting: usize,
}

impl Gates {
    pub(super) fn new(size: Size, clock: Arc<dyn Clock>) -> Self {
        Self {
            size,
            clock,
            doors: Mutex::new(Doors {
                by_key: HashMap::default(),
                full_at: IDLE_MAX,
            }),
        }
    }

    /// Shows every door that somebody uses.
    pub fn visit(&self, mut visitor: impl FnMut(&Key, Census)) {
        for (key, gate) in &self.doors.lock().by_key {
            let census = gate.census();
            if census.inside > 0 || census.waiting > 0 {
                visitor(key, census);
            }
        }
    }

    /// How many doors there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.doors.lock().by_key.len()
    }

    /// The door of a key.
    pub(super) fn gate(&self, key: &Key) -> Arc<Gate> {
        let mut doors = self.doors.lock();
        if let Some(gate) = doors.by_key.get(key) {
            return gate.clone();
        }
        if doors.by_key.len() >= doors.full_at {
            // Whoever is about to enter one holds it.
            doors
                .by_key
                .retain(|_, gate| Arc::strong_count(gate) > 1 || !gate.is_idle());
            doors.full_at = (doors.by_key.len() * 2).max(IDLE_MAX);
        }
        let gate = Arc::new(Gate::new(self.size, self.clock.clone()));
        doors.by_key.insert(*key, gate.clone());
        gate
    }
}
