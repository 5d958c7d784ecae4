//! The tasks that look: one on each worker, and one for what all workers share.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::lag::Lag;
use super::level::Level;
use super::rules::Rules;
use super::{Overload, memory};

/// How often a worker is looked at where its lag counts.
const LAG_TICK: Duration = Duration::from_millis(10);
/// How often the machine is looked at, and a worker where its lag does not count.
const TICK: Duration = Duration::from_millis(50);
/// How often a change may be told.
const TOLD_EVERY: Duration = Duration::from_secs(1);

impl Overload {
    /// Looks after one worker; to be run on its own runtime.
    pub async fn feel(self: Arc<Self>, worker: usize) {
        let mut rules = self.rules.subscribe();
        let (pressure, mut lag) = (self.pressure(worker), Lag::default());
        let mut before = Instant::now();
        loop {
            let current = rules.borrow_and_update().clone();
            let Some(current) = current else {
                (lag, before) = (Lag::default(), Instant::now());
                pressure.set(Level::CALM, Duration::ZERO);
                if rules.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let due = Instant::now()
                + if current.lag.is_some() {
                    LAG_TICK
                } else {
                    TICK
                };
            sleep_until(due).await;
            let now = Instant::now();
            let mine = current.lag.map_or(Level::CALM, |limit| {
                let (late, since) = (now - due, now - before);
                Level::of_share(lag.see(late, since, limit), current.is_by_plan())
            });
            before = now;
            let machine = Level::unpack(self.machine.load(Ordering::Relaxed));
            pressure.set(mine.worse(machine), lag.smoothed());
        }
    }

    /// Looks after what all workers share, and tells when the state changes.
    pub async fn watch(self: Arc<Self>) {
        let mut rules = self.rules.subscribe();
        let mut told = Told::default();
        loop {
            let current = rules.borrow_and_update().clone();
            let Some(current) = current else {
                self.machine.store(Level::CALM.pack(), Ordering::Relaxed);
                if rules.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let machine = self.look(&current);
            self.machine.store(machine.pack(), Ordering::Relaxed);
            told.tell(&self);
            sleep_until(Instant::now() + TICK).await;
        }
    }

    fn look(&self, rules: &Rules) -> Level {
        let Some((limit, used)) = rules.memory.zip(memory::resident()) else {
            return Level::CALM;
        };
        self.memory.store(used, Ordering::Relaxed);
        Level::of_memory(used, limit, rules.is_by_plan())
    }
}

/// What the log has heard.
#[derive(Default)]
struct Told {
    shedding: bool,
    at: Option<Instant>,
}

impl Told {
    fn tell(&mut self, overload: &Overload) {
        let now = Instant::now();
        if self.at.is_some_and(|at| now - at < TOLD_EVERY) {
            return;
        }
        let levels = || overload.workers.iter().map(|worker| worker.level());
        let calm = levels().all(Level::is_calm);
        // Those who are turned away for that are gone at once.
        let crowd = &overload.connections.were_too_many;
        let crowded = crowd.swap(false, Ordering::Relaxed);
        let shedding = crowded || !calm;
        if shedding == self.shedding {
            return;
        }
        (self.shedding, self.at) = (shedding, Some(now));
        let lag = overload.workers.iter().map(|worker| worker.lag()).max();
        let lag_millis = lag.unwrap_or_default().as_millis();
        let memory = overload.memory.load(Ordering::Relaxed);
        let connections = overload.connections.count();
        if shedding {
            let worst = levels().fold(Level::CALM, Level::worse);
            let reason = if crowded && worst.early == 0 && worst.late == 0 {
                "connections"
            } else {
                worst.reason.name()
            };
            tracing::warn!(
                reason,
                lag_millis,
                memory,
                connections,
                "Too much to do: requests are turned away"
            );
        } else {
            tracing::info!(
                lag_millis,
                memory,
                connections,
                "No longer too much to do: everybody is served"
            );
        }
    }
}
