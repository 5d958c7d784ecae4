//! The targets of an upstream as the admin listener shows them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::members::Member;
use super::{Story, Target, Upstream, clock};
use crate::config::model::{TargetConfig, TargetHost};

/// A target with its state.
pub struct TargetState {
    /// `host:port` as written, or as a record of its service says it.
    pub address: Arc<str>,
    /// The service that it belongs to.
    pub service: Option<Arc<str>>,
    /// Share of requests.
    pub weight: u32,
    /// What the name resolved to; empty while it does not.
    pub addresses: Vec<SocketAddr>,
    /// Whether it may be picked.
    pub good: bool,
    /// Attempts that are under way.
    pub in_flight: u32,
    /// Share of requests at this moment: less than the weight while it starts slowly.
    pub weight_now: f64,
    /// How long its answers take, where balancing asks for it.
    pub latency: Option<Duration>,
    /// Whether it serves only when no other can.
    pub backup: bool,
    /// What is told of its standing.
    pub story: Story,
    /// Addresses that fail their checks while others pass.
    pub avoided: Vec<SocketAddr>,
}

impl Upstream {
    /// Every target with its state.
    pub fn states(&self) -> Vec<TargetState> {
        let ready = self.ready.load();
        let now = Instant::now();
        let state = |member: &Member| self.state(member, now);
        ready.members.iter().map(state).collect()
    }

    fn state(&self, member: &Member, now: Instant) -> TargetState {
        let target = &member.target;
        let avoided = target.standing.avoided();
        TargetState {
            address: target.address.clone(),
            service: self.config.targets.get(member.entry).and_then(service),
            weight: member.weight,
            addresses: member.addresses.clone(),
            good: target.standing.is_good(),
            in_flight: target.in_flight.count(),
            weight_now: f64::from(member.weight) * self.grown(target, now),
            latency: target.latency.time(clock::millis(now)),
            backup: member.rank.backup,
            story: target.standing.story(),
            avoided: avoided.map(|avoided| avoided.to_vec()).unwrap_or_default(),
        }
    }

    fn grown(&self, target: &Target, now: Instant) -> f64 {
        let slow_start = self.config.slow_start;
        slow_start.map_or(1.0, |slow_start| target.grown(slow_start, now))
    }
}

fn service(entry: &TargetConfig) -> Option<Arc<str>> {
    matches!(entry.host, TargetHost::Service { .. }).then(|| entry.address.clone())
}
