//! Whether the gateway itself has too much to do, and who is turned away then: `[overload]`.
//!
//! ```text
//!  each worker: a timer, how late it fires ─▶ lag ──────┐
//!  the watch:   resident memory, open connections ──────┴─▶ the worker's level ─▶ read once by each request, one load
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

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch::Sender;

pub use level::{Level, Reason};
pub use rules::{REFUSALS, Rules, Step};

/// What is known of the load of this process. Lives as long as it.
pub struct Overload {
    rules: Sender<Option<Arc<Rules>>>,
    workers: Box<[Arc<Pressure>]>,
    /// What memory and connections say, for all workers.
    machine: AtomicU32,
    memory: AtomicU64,
}

/// How much one worker has to do.
#[derive(Debug, Default)]
pub struct Pressure {
    level: AtomicU32,
    lag_micros: AtomicU64,
}

impl Overload {
    /// Of so many workers; nothing is looked at yet.
    pub fn new(workers: usize) -> Arc<Self> {
        let pressure = |_| Arc::new(Pressure::default());
        Arc::new(Self {
            rules: Sender::new(None),
            workers: (0..workers.max(1)).map(pressure).collect(),
            machine: AtomicU32::new(0),
            memory: AtomicU64::new(0),
        })
    }

    /// From now on goes by these rules; by none where nothing is configured.
    pub fn follow(&self, rules: Option<Arc<Rules>>) {
        self.rules.send_replace(rules);
    }

    /// What one worker's requests ask; workers are counted from 0.
    pub fn pressure(&self, worker: usize) -> Arc<Pressure> {
        self.workers.get(worker).cloned().unwrap_or_default()
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
    /// What holds for a request that begins now.
    pub fn level(&self) -> Level {
        Level::unpack(self.level.load(Ordering::Relaxed))
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
