//! Looks names of targets up, off the request path. When a look-up fails, the last good addresses stay.
//!
//! A name is looked up again when its answer is over, at the latest after `resolve-every`, and not more than once a second
//! however short an answer holds.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Upstream;
use super::names::{AFTER_FAILURE, Host, Names};
use crate::config::model::{TargetConfig, TargetHost};

/// Answers that hold for less are kept for this long all the same.
const LEAST: Duration = Duration::from_secs(1);

impl Upstream {
    /// Whether some target is a name.
    pub fn has_names(&self) -> bool {
        self.config.targets.iter().any(is_name)
    }

    /// Looks every name up once, all at the same time.
    pub async fn resolve(&self, names: &Arc<Names>) {
        let mut lookups = JoinSet::new();
        for (entry, target) in self.config.targets.iter().enumerate() {
            if is_name(target) {
                let (names, target) = (names.clone(), target.clone());
                lookups.spawn(async move { (entry, names.look_up(&target.host).await, target) });
            }
        }
        let known = self.ready.load_full();
        let mut hosts = known.hosts.clone();
        let mut holds = Duration::MAX;
        while let Some(looked_up) = lookups.join_next().await {
            // A panic in there would be a bug; the last good addresses stay, as after every failure.
            let Ok((entry, answer, target)) = looked_up else {
                holds = holds.min(AFTER_FAILURE);
                continue;
            };
            match answer {
                Ok(answer) => {
                    holds = holds.min(answer.holds);
                    if let Some(hosts) = hosts.get_mut(entry) {
                        *hosts = with_last_good(answer.hosts, hosts);
                    }
                }
                Err(error) => {
                    let (upstream, target) = (&*self.config.name, &*target.address);
                    tracing::warn!(%error, upstream, target, "Cannot look up the name of a target");
                    holds = holds.min(AFTER_FAILURE);
                }
            }
        }
        let pause = pause(holds, self.config.resolve_every, rand::random());
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.pause.store(pause, Ordering::Relaxed);
        if hosts != known.hosts {
            // Whoever comes to hosts that serve starts slowly; the first ones have nobody to leave the requests to.
            let added = known.has_names(&self.config.targets);
            let metrics = names.metrics();
            self.settle(hosts, &known.members, metrics, added.then(Instant::now));
        }
        if self.config.targets.iter().any(is_service) {
            // Who is gone must not stay among the series. He goes from here a round after he has lost his last holder.
            names.metrics().forget_unused();
        }
    }
}

/// A host of a service that cannot be looked up keeps the addresses that it had.
fn with_last_good(mut found: Vec<Host>, before: &[Host]) -> Vec<Host> {
    for host in found.iter_mut().filter(|host| host.addresses.is_empty()) {
        let known = before.iter().find(|known| known.named == host.named);
        host.addresses = known
            .map(|known| known.addresses.clone())
            .unwrap_or_default();
    }
    found
}

fn is_service(target: &TargetConfig) -> bool {
    matches!(target.host, TargetHost::Service { .. })
}

fn is_name(target: &TargetConfig) -> bool {
    !matches!(target.host, TargetHost::Address(_))
}

/// How long an answer that holds for so long is used; up to a tenth less, so that many do not ask at the same moment.
fn pause(holds: Duration, every: Duration, chance: f64) -> Duration {
    let whole = holds.max(LEAST).min(every);
    whole.mul_f64(1.0 - chance.clamp(0.0, 1.0) / 10.0)
}

/// Looks the names up again and again until nobody holds the upstream any more.
pub async fn keep_resolving(upstream: Weak<Upstream>, names: Arc<Names>) {
    loop {
        let pause = |upstream: Arc<Upstream>| upstream.pause.load(Ordering::Relaxed);
        let Some(pause) = upstream.upgrade().map(pause) else {
            return;
        };
        // Nought: it was not looked up yet, its addresses are those of the configuration before.
        sleep(Duration::from_millis(pause)).await;
        let Some(upstream) = upstream.upgrade() else {
            return;
        };
        upstream.resolve(&names).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_again_when_the_answer_is_over_and_not_too_often() {
        let second = Duration::from_secs;
        assert_eq!(pause(second(20), second(30), 0.0), second(20));
        assert_eq!(pause(second(300), second(30), 0.0), second(30));
        assert_eq!(pause(second(0), second(30), 0.0), LEAST);
        assert_eq!(pause(second(0), LEAST / 10, 0.0), LEAST / 10);
        assert_eq!(pause(second(20), second(30), 1.0), second(18));
    }
}
