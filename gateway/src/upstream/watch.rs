//! What an upstream learns from the ends of its own attempts: outlier ejection and the breaker. Where neither is
//! configured there is no watch, and an attempt pays nothing.
//!
//! An attempt failed when no connection came about, when it broke, when it took too long, or when the answer was 502, 503
//! or 504: the target, or what stands behind it, could not serve. Any other answer is one, 500 too: a single bad request
//! must not be able to take targets away from everybody. An attempt that its client ended says nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::Notify;

use super::breaker::{Breaker, Permit};
use super::outlier::Outlier;
use super::{Outcome, Target, TargetState, Upstream};
use crate::config::model::UpstreamConfig;
use crate::observe::metrics::Metrics;

/// Hears how attempts end.
pub(super) struct Watch {
    outlier: Option<Outlier>,
    breaker: Option<Arc<Breaker>>,
}

/// An attempt that is watched.
pub(super) struct Watched {
    watch: Arc<Watch>,
    permit: Option<Permit>,
    began: Instant,
}

impl Watch {
    /// Of an upstream, of whose targets it hears later. A breaker whose definition did not change is the same breaker.
    pub(super) fn compile(
        config: &UpstreamConfig,
        metrics: &Metrics,
        previous: Option<&Upstream>,
    ) -> Option<Arc<Self>> {
        let outlier = config
            .outlier
            .clone()
            .map(|outlier| Outlier::new(config.name.clone(), outlier, Vec::new()));
        let breaker = config.breaker.as_ref().map(|breaker| {
            let known = previous.and_then(Upstream::breaker);
            match known.filter(|known| known.is(breaker)) {
                Some(known) => known.clone(),
                None => Arc::new(Breaker::new(
                    config.name.clone(),
                    breaker.clone(),
                    metrics.breaker(&config.name),
                    Instant::now(),
                )),
            }
        });
        let some = outlier.is_some() || breaker.is_some();
        some.then(|| Arc::new(Self { outlier, breaker }))
    }

    /// From now on these are the upstream's targets.
    pub(super) fn follow(&self, targets: Vec<Arc<Target>>) {
        if let Some(outlier) = &self.outlier {
            outlier.follow(targets);
        }
    }

    /// Lets an attempt begin, or says how long the breaker refuses.
    pub(super) fn admit(self: &Arc<Self>, now: Instant) -> Result<Watched, Duration> {
        let permit = self.breaker.as_ref().map(|breaker| breaker.admit(now));
        Ok(Watched {
            permit: permit.transpose()?,
            watch: self.clone(),
            began: now,
        })
    }
}

impl Watched {
    /// The attempt ended.
    pub(super) fn hear(mut self, target: &Target, outcome: Outcome, elapsed: Duration) {
        let (failed, now) = (is_failure(outcome), self.began + elapsed);
        if let Some(permit) = &mut self.permit {
            permit.spend(failed, now);
        }
        if let Some(outlier) = &self.watch.outlier {
            outlier.heard(target, failed, now);
        }
    }
}

fn is_failure(outcome: Outcome) -> bool {
    match outcome {
        Outcome::ConnectFailed | Outcome::Broken | Outcome::TimedOut => true,
        Outcome::Answered(status) => matches!(
            status,
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
        ),
    }
}

impl TargetState {
    /// Whether it may get requests: an address is known, and nothing speaks against it.
    pub fn is_healthy(&self) -> bool {
        self.good && !self.addresses.is_empty()
    }
}

impl Upstream {
    /// Its breaker.
    pub fn breaker(&self) -> Option<&Arc<Breaker>> {
        self.watch.as_ref()?.breaker.as_ref()
    }

    /// Says who lets ejected targets back, and who has to know when its targets are others.
    pub(super) fn wakes(&self, wake: &Arc<Notify>, moved: &Arc<Notify>) {
        self.moved.get_or_init(|| moved.clone());
        if let Some(outlier) = self.watch.as_ref().and_then(|watch| watch.outlier.as_ref()) {
            outlier.wakes(wake);
        }
    }
}
