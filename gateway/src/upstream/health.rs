//! Active checks: targets are asked whether they are well, off the request path.
//!
//! ```text
//!   scheduler ── one task, a queue of what is due ──▶ check ── one deadline ──▶ http · grpc · a mere connection
//!       ▲ │                                             │
//!       │ └──▶ tally ── thresholds ──▶ standing         └── over Pingora's connector, with the peer that requests use
//!   each reload says which upstreams there are now
//! ```
//!
//! Every address that a target's name resolved to is checked. Addresses that fail are passed over; a target of which no
//! address is left is out. While a result contradicts the standing the next check comes after a quarter of the time, so
//! that both ways are short. Hosts of a service that come and go are targets that come and go. A target that never passed a check is out at its first failure.

mod check;
mod grpc;
mod http;
mod scheduler;
mod tally;

use std::sync::Arc;

use tokio::sync::{Notify, watch};

pub(super) use check::Door;

use super::Upstream;

/// The one scheduler of all checks and returns. It ends with this value.
pub struct Health {
    plan: watch::Sender<Plan>,
    wake: Arc<Notify>,
    moved: Arc<Notify>,
}

/// The upstreams that serve now.
type Plan = Arc<[Arc<Upstream>]>;

impl Health {
    /// Starts it with nothing to do. Called on the main thread's runtime.
    pub fn start() -> Self {
        let (plan, plans) = watch::channel(Plan::default());
        let (wake, moved) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        tokio::spawn(scheduler::run(plans, wake.clone(), moved.clone()));
        Self { plan, wake, moved }
    }

    /// From now on these upstreams serve: checks of others end, unchanged ones go on.
    pub fn follow(&self, upstreams: &[Arc<Upstream>]) {
        for upstream in upstreams {
            upstream.wakes(&self.wake, &self.moved);
        }
        self.plan.send_replace(upstreams.into());
    }
}
