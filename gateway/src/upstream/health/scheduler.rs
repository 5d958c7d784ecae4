//! When checks are due, and what becomes of their results. One task for all targets.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora::connectors::TransportConnector;
use tokio::sync::{Notify, watch};
use tokio::task::{Id, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::Plan;
use super::check::{self, CheckError};
use super::tally::Tally;
use crate::config::model::HealthConfig;
use crate::upstream::{Target, Upstream, outlier};

/// Targets that are checked at the same time.
const RUNNING_MAX: usize = 128;

/// Within this time after a reload new targets are checked first.
const SPREAD_MAX: Duration = Duration::from_millis(500);

/// A target that is checked again and again.
struct Job {
    upstream: Arc<Upstream>,
    target: Arc<Target>,
    addresses: HashMap<SocketAddr, Tally>,
}

/// What the addresses of a target said.
type Results = Vec<(SocketAddr, Result<(), CheckError>)>;

struct Scheduler {
    connector: Arc<TransportConnector>,
    plan: Plan,
    jobs: HashMap<u64, Job>,
    /// Jobs that do not run, each once; and some that are gone.
    queue: BinaryHeap<Reverse<(Instant, u64)>>,
    running: JoinSet<Results>,
    /// Which jobs run, and since when.
    begun: HashMap<Id, (u64, Instant)>,
    serial: u64,
    /// When the next ejected target may come back.
    returns: Option<Instant>,
}

/// Runs until nobody can send a plan any more. `wake`: a target was ejected; `moved`: an upstream has other targets.
pub(super) async fn run(mut plans: watch::Receiver<Plan>, wake: Arc<Notify>, moved: Arc<Notify>) {
    let mut scheduler = Scheduler {
        connector: Arc::new(TransportConnector::new(None)),
        plan: Plan::default(),
        jobs: HashMap::new(),
        queue: BinaryHeap::new(),
        running: JoinSet::new(),
        begun: HashMap::new(),
        serial: 0,
        returns: None,
    };
    loop {
        let now = Instant::now();
        scheduler.start_due(now);
        if scheduler.returns.is_some_and(|returns| returns <= now) {
            scheduler.let_back(now);
        }
        let next = scheduler.next();
        tokio::select! {
            changed = plans.changed() => match changed {
                Ok(()) => scheduler.follow(plans.borrow_and_update().clone()),
                Err(_) => return,
            },
            () = moved.notified() => scheduler.follow(scheduler.plan.clone()),
            () = wake.notified() => scheduler.let_back(Instant::now()),
            Some(round) = scheduler.running.join_next_with_id() => match round {
                Ok((id, results)) => scheduler.finish(id, results),
                Err(error) => {
                    tracing::error!(%error, "A health check crashed");
                    scheduler.finish(error.id(), Results::new());
                }
            },
            () = sleep_until(next.unwrap_or(now)), if next.is_some() => {}
        }
    }
}

impl Scheduler {
    /// Takes a new plan: jobs of the same target with the same definition go on.
    fn follow(&mut self, plan: Plan) {
        let now = Instant::now();
        let mut old: HashMap<*const Target, u64> = self
            .jobs
            .iter()
            .map(|(serial, job)| (Arc::as_ptr(&job.target), *serial))
            .collect();
        self.pardon(&plan, now);
        for upstream in plan.iter() {
            let Some(health) = &upstream.config.health else {
                continue;
            };
            for target in upstream.targets() {
                let known = old.get(&Arc::as_ptr(&target)).copied();
                let job = known.and_then(|serial| self.jobs.get_mut(&serial));
                match job.filter(|job| job.upstream.config.health.as_ref() == Some(health)) {
                    Some(job) => {
                        job.upstream = upstream.clone();
                        old.remove(&Arc::as_ptr(&target));
                    }
                    None => self.add(upstream, &target, health, now),
                }
            }
        }
        for serial in old.into_values() {
            // Its target may serve on, unchecked or checked otherwise: what its checks said is void.
            if let Some(job) = self.jobs.remove(&serial) {
                job.target.standing.forget_checks(now.into_std());
            }
        }
        self.plan = plan;
        self.let_back(now);
    }

    fn add(
        &mut self,
        upstream: &Arc<Upstream>,
        target: &Arc<Target>,
        health: &HealthConfig,
        now: Instant,
    ) {
        self.serial += 1;
        let job = Job {
            upstream: upstream.clone(),
            target: target.clone(),
            addresses: HashMap::new(),
        };
        self.jobs.insert(self.serial, job);
        let spread = (health.every / 10).min(SPREAD_MAX).mul_f64(rand::random());
        self.queue.push(Reverse((now + spread, self.serial)));
    }

    /// Targets whose rules of ejection changed start anew.
    fn pardon(&self, plan: &Plan, now: Instant) {
        let before: HashMap<&str, &Arc<Upstream>> = self
            .plan
            .iter()
            .map(|upstream| (&*upstream.config.name, upstream))
            .collect();
        for upstream in plan.iter() {
            let old = before.get(&*upstream.config.name);
            if old.is_some_and(|old| old.config.outlier != upstream.config.outlier) {
                for target in upstream.targets() {
                    outlier::forget(&target, now.into_std());
                }
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        let room = self.running.len() < RUNNING_MAX;
        let due = self
            .queue
            .peek()
            .filter(|_| room)
            .map(|Reverse((due, _))| *due);
        [due, self.returns].into_iter().flatten().min()
    }

    fn start_due(&mut self, now: Instant) {
        while self.running.len() < RUNNING_MAX {
            match self.queue.peek() {
                Some(Reverse((due, _))) if *due <= now => {}
                _ => return,
            }
            if let Some(Reverse((_, serial))) = self.queue.pop() {
                self.start(serial, now);
            }
        }
    }

    /// Checks every address of a target, all at once.
    fn start(&mut self, serial: u64, began: Instant) {
        let Some(Job {
            upstream, target, ..
        }) = self.jobs.get(&serial)
        else {
            return;
        };
        let (upstream, target) = (upstream.clone(), target.clone());
        let connector = self.connector.clone();
        let round = self.running.spawn(async move {
            let mut checks = JoinSet::new();
            for door in upstream.doors(&target) {
                let (connector, upstream, target) =
                    (connector.clone(), upstream.clone(), target.clone());
                checks.spawn(async move {
                    let address = door.address;
                    let result = match &upstream.config.health {
                        Some(health) => {
                            check::check(&connector, door, health, &target.address).await
                        }
                        None => Ok(()),
                    };
                    (address, result)
                });
            }
            checks.join_all().await
        });
        self.begun.insert(round.id(), (serial, began));
    }

    fn finish(&mut self, id: Id, results: Results) {
        let Some((serial, began)) = self.begun.remove(&id) else {
            return;
        };
        let Some(job) = self.jobs.get_mut(&serial) else {
            return;
        };
        let Some(health) = job.upstream.config.health.clone() else {
            return;
        };
        let doubt = job.hear(results, &health);
        let pause = if doubt {
            health.every / 4
        } else {
            health.every
        };
        // Only ever earlier, so that "within two intervals" stays true.
        let pause = pause.mul_f64(1.0 - rand::random::<f64>() / 10.0);
        let due = (began + pause).max(Instant::now());
        self.queue.push(Reverse((due, serial)));
    }

    fn let_back(&mut self, now: Instant) {
        let now = now.into_std();
        let targets = self.plan.iter().flat_map(|upstream| {
            let targets = upstream.targets().into_iter();
            targets.map(move |target| (upstream, target))
        });
        let returns = targets.filter_map(|(upstream, target)| {
            outlier::let_back(&upstream.config.name, &target, now)
        });
        self.returns = returns.min().map(Instant::from_std);
    }
}

impl Job {
    /// Takes results in; `true` while one contradicts what is believed of its address.
    fn hear(&mut self, results: Results, health: &HealthConfig) -> bool {
        if results.is_empty() {
            // Its name has no address yet.
            return false;
        }
        self.addresses
            .retain(|address, _| results.iter().any(|(known, _)| known == address));
        let (mut doubt, mut last) = (false, None);
        let several = results.len() > 1;
        for (address, result) in results {
            let error = result.err().map(|error| error.to_string());
            self.target.metrics.checked(error.is_none());
            let tally = self.addresses.entry(address).or_default();
            let news = tally.count(
                error.is_none(),
                health.healthy_after,
                health.unhealthy_after,
            );
            doubt |= tally.is_in_doubt();
            if news && several {
                self.tell_of(address, error.as_deref());
            }
            last = error.or(last);
        }
        self.settle(last);
        doubt
    }

    /// Passes on what is believed of the addresses.
    fn settle(&self, error: Option<String>) {
        let now = Instant::now().into_std();
        let (upstream, target) = (&*self.upstream.config.name, &*self.target.address);
        let standing = &self.target.standing;
        let bad: Vec<SocketAddr> = self
            .addresses
            .iter()
            .filter(|(_, tally)| tally.is_bad())
            .map(|(address, _)| *address)
            .collect();
        let down = !bad.is_empty() && bad.len() == self.addresses.len();
        let some = !bad.is_empty() && !down;
        standing.avoid(some.then_some(bad));
        standing.checked(error.clone());
        let why = down.then(|| {
            error
                .clone()
                .or_else(|| standing.story().down)
                .unwrap_or_default()
        });
        if !standing.set_down(why, now) {
            return;
        }
        if down {
            let error = error.unwrap_or_default();
            tracing::warn!(
                upstream,
                target,
                error,
                "A target fails its checks and gets no requests"
            );
        } else {
            tracing::info!(upstream, target, "A target passes its checks again");
        }
    }

    fn tell_of(&self, address: SocketAddr, error: Option<&str>) {
        let (upstream, target) = (&*self.upstream.config.name, &*self.target.address);
        match error {
            Some(error) => {
                tracing::warn!(upstream, target, %address, error, "An address of a target fails its checks");
            }
            None => {
                tracing::info!(upstream, target, %address, "An address of a target passes its checks again");
            }
        }
    }
}
