//! Whether the gateway itself has too much to do, and who is turned away then: `[overload]`.
//!
//! ```text
//!  each worker: a timer, how late it fires ─▶ lag ──────┐
//!  the watch:   resident memory ────────────────────────┴─▶ the worker's level ─▶ read once by each request, one load
//!  the listeners: how many connections are open ───────────▶ asked by the request itself, where there is a limit
//!
//!  first step   behind `auth`, by chance: the first plans go, the last one stays
//!  second step  before a route is looked for: whoever is beyond what can be done, of any plan
//! ```
//!
//! Requests that were let in are never touched again: tunnels and streams go on. The admin listener has its own thread
//! and no level, so probes and metrics are always answered.

mod lag;
mod level;
mod memory;
mod rules;
mod watch;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch::Sender;

pub use level::{Level, Reason};
pub use rules::{REFUSALS, Rules, Step};

/// What is known of the load of this process. Lives as long as it.
pub struct Overload {
    rules: Sender<Option<Arc<Rules>>>,
    workers: Box<[Arc<Pressure>]>,
    connections: Arc<Connections>,
    /// What memory says, for all workers.
    machine: AtomicU32,
    memory: AtomicU64,
}

/// How much one worker has to do.
#[derive(Debug)]
pub struct Pressure {
    level: AtomicU32,
    lag_micros: AtomicU64,
    /// How many connections are not too many. Beside the level, so that it costs a request nothing to look.
    connections_max: AtomicUsize,
    connections: Arc<Connections>,
}

/// The connections of all listeners together.
#[derive(Default)]
struct Connections {
    /// How many are open. Nobody knows before there are listeners.
    open: OnceLock<Box<dyn Fn() -> usize + Send + Sync>>,
    /// Whether there were too many since the watch looked last.
    were_too_many: AtomicBool,
}

impl Connections {
    fn count(&self) -> usize {
        self.open.get().map_or(0, |count| count())
    }

    fn are_beyond(&self, limit: usize) -> bool {
        let beyond = limit != usize::MAX && self.count() > limit;
        if beyond {
            self.were_too_many.store(true, Ordering::Relaxed);
        }
        beyond
    }
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connections").field(&self.count()).finish()
    }
}

impl Overload {
    /// Of so many workers; nothing is looked at yet.
    pub fn new(workers: usize) -> Arc<Self> {
        let connections = Arc::new(Connections::default());
        let pressure = |_| Arc::new(Pressure::new(connections.clone()));
        Arc::new(Self {
            rules: Sender::new(None),
            workers: (0..workers.max(1)).map(pressure).collect(),
            connections,
            machine: AtomicU32::new(0),
            memory: AtomicU64::new(0),
        })
    }

    /// Who knows how many connections are open; the first one told is asked.
    pub fn count_with(&self, count: impl Fn() -> usize + Send + Sync + 'static) {
        drop(self.connections.open.set(Box::new(count)));
    }

    /// From now on goes by these rules; by none where nothing is configured.
    pub fn follow(&self, rules: Option<Arc<Rules>>) {
        let limit = rules.as_ref().and_then(|rules| rules.connections);
        for worker in &self.workers {
            let limit = limit.unwrap_or(usize::MAX);
            worker.connections_max.store(limit, Ordering::Relaxed);
        }
        self.rules.send_replace(rules);
    }

    /// What one worker's requests ask; workers are counted from 0.
    pub fn pressure(&self, worker: usize) -> Arc<Pressure> {
        let alone = || Arc::new(Pressure::new(self.connections.clone()));
        self.workers.get(worker).cloned().unwrap_or_else(alone)
    }

    /// Every worker's pressure, in their order; none while nothing is configured.
    pub fn pressures(&self) -> &[Arc<Pressure>] {
        if self.rules.borrow().is_some() {
            &self.workers
        } else {
            &[]
        }
    }

    /// Resident memory in bytes; `None` while it is not looked at.
    pub fn memory(&self) -> Option<u64> {
        let rules = self.rules.borrow();
        let looked_at = rules.as_ref().is_some_and(|rules| rules.memory.is_some());
        looked_at.then(|| self.memory.load(Ordering::Relaxed))
    }
}

impl Pressure {
    fn new(connections: Arc<Connections>) -> Self {
        Self {
            level: AtomicU32::new(Level::CALM.pack()),
            lag_micros: AtomicU64::new(0),
            connections_max: AtomicUsize::new(usize::MAX),
            connections,
        }
    }

    /// What holds for a request that begins now.
    pub fn level(&self) -> Level {
        let level = Level::unpack(self.level.load(Ordering::Relaxed));
        let limit = self.connections_max.load(Ordering::Relaxed);
        Level {
            crowded: self.connections.are_beyond(limit),
            ..level
        }
    }

    /// How late the worker comes to what is due, smoothed.
    pub fn lag(&self) -> Duration {
        Duration::from_micros(self.lag_micros.load(Ordering::Relaxed))
    }

    fn set(&self, level: Level, lag: Duration) {
        let micros = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
        self.lag_micros.store(micros, Ordering::Relaxed);
        self.level.store(level.pack(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use plugins::contract::mode::Mode;
    use plugins::contract::services::Nothing;

    use super::*;
    use crate::config::model::OverloadConfig;

    fn at_most(connections: usize) -> Arc<Rules> {
        let config = OverloadConfig {
            lag: None,
            memory: None,
            connections: Some(connections),
            plans: Vec::new(),
            shed_status: 503,
            retry_after: Duration::from_secs(1),
            mode: Mode::Enforce,
        };
        Rules::new(&config, &Nothing)
    }

    #[test]
    fn connections_are_judged_by_their_count_of_this_moment() {
        let (overload, open) = (Overload::new(2), Arc::new(AtomicUsize::new(3)));
        let (pressure, counted) = (overload.pressure(1), open.clone());
        overload.count_with(move || counted.load(Ordering::Relaxed));
        assert!(pressure.level().is_calm(), "there is no limit");
        overload.follow(Some(at_most(3)));
        assert!(pressure.level().is_calm(), "as many as there may be");
        open.store(4, Ordering::Relaxed);
        assert!(pressure.level().crowded);
        open.store(3, Ordering::Relaxed);
        assert!(pressure.level().is_calm(), "somebody has left");
        open.store(4, Ordering::Relaxed);
        overload.follow(None);
        assert!(pressure.level().is_calm());
    }
}
