//! Looks names of targets up, off the request path. When a look-up fails, the last good addresses stay.
//!
//! A name is looked up again when its answer is over, at the latest after `resolve-every`, and not more than once a second
//! however short an answer holds.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;

use super::Upstream;
use super::names::Names;
use crate::config::model::{TargetConfig, TargetHost};

/// Answers that hold for less are kept for this long all the same.
const LEAST: Duration = Duration::from_secs(1);
/// After a failure nobody waits longer than this.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

impl Upstream {
    /// Whether some target is a name.
    pub fn has_names(&self) -> bool {
        self.config.targets.iter().any(is_name)
    }

    /// Looks every name up once, all at the same time.
    pub async fn resolve(&self, names: &Arc<Names>) {
        let mut lookups = JoinSet::new();
        for target in self.config.targets.iter().filter(|target| is_name(target)) {
            let (names, address, host) =
                (names.clone(), target.address.clone(), target.host.clone());
            lookups.spawn(async move { (address, names.look_up(&host).await) });
        }
        let mut found: HashMap<Arc<str>, Vec<SocketAddr>> = HashMap::new();
        let mut holds = Duration::MAX;
        while let Some(looked_up) = lookups.join_next().await {
            // A panic in there would be a bug; the last good addresses stay, as after every failure.
            let Ok((target, answer)) = looked_up else {
                holds = holds.min(AFTER_FAILURE);
                continue;
            };
            match answer {
                Ok(answer) => {
                    holds = holds.min(answer.holds);
                    found.insert(target, answer.addresses);
                }
                Err(error) => {
                    let upstream = &*self.config.name;
                    tracing::warn!(%error, upstream, target = &*target, "Cannot look up the name of a target");
                    holds = holds.min(AFTER_FAILURE);
                }
            }
        }
        let pause = pause(holds, self.config.resolve_every, rand::random());
        let pause = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.pause.store(pause, Ordering::Relaxed);
        if self.differs(&found) {
            let known = self.ready.load_full();
            self.set_addresses(|target| match (&target.host, found.get(&target.address)) {
                (TargetHost::Address(address), _) => vec![*address],
                (_, Some(addresses)) => addresses.clone(),
                (_, None) => known.addresses_of(&target.address),
            });
        }
    }

    fn differs(&self, found: &HashMap<Arc<str>, Vec<SocketAddr>>) -> bool {
        let ready = self.ready.load();
        let changed = |target: &TargetConfig| {
            found
                .get(&target.address)
                .is_some_and(|addresses| *addresses != ready.addresses_of(&target.address))
        };
        self.config.targets.iter().any(changed)
    }
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
