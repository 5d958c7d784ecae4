//! The only place that spawns for a snapshot. A task ends when nobody holds what it works for.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Snapshot;
use crate::upstream::names::Names;
use crate::upstream::{Upstream, resolve};

/// Longest wait for the names of a new snapshot before it goes live.
const FIRST_LOOKUP: Duration = Duration::from_secs(2);

/// Looks up the names that have no address yet, so that the snapshot can serve from its first request. A name that
/// cannot be looked up now keeps its upstream out of service and stops nothing else.
pub async fn prepare(snapshot: &Snapshot, names: &Arc<Names>) {
    names.configure(&snapshot.loaded.config.server.resolvers);
    let mut lookups = JoinSet::new();
    for upstream in snapshot
        .upstreams
        .iter()
        .filter(|upstream| is_unresolved(upstream))
    {
        let (upstream, names) = (upstream.clone(), names.clone());
        lookups.spawn(async move { upstream.resolve(&names).await });
    }
    let all = async { while lookups.join_next().await.is_some() {} };
    if tokio::time::timeout(FIRST_LOOKUP, all).await.is_err() {
        tracing::warn!("Names of targets are still being looked up; going on without them");
    }
    snapshot.stores.prepare().await;
    let policies = snapshot.shared.prepare(&snapshot.services);
    if tokio::time::timeout(FIRST_LOOKUP, policies).await.is_err() {
        tracing::warn!("Policies still wait for what others know; going on without it");
    }
}

fn is_unresolved(upstream: &Upstream) -> bool {
    upstream.has_names()
        && upstream
            .states()
            .iter()
            .any(|state| state.addresses.is_empty())
}

/// Starts what a snapshot needs that the previous one has not started already.
pub fn activate(snapshot: &Snapshot, previous: Option<&Snapshot>, names: &Arc<Names>) {
    snapshot.stores.activate(&*snapshot.services.tasks);
    snapshot.followers.activate(&*snapshot.services.tasks);
    snapshot.shared.activate(&snapshot.services);
    for upstream in snapshot
        .upstreams
        .iter()
        .filter(|upstream| upstream.has_names())
    {
        let known = |old: &Snapshot| old.upstreams.iter().any(|old| Arc::ptr_eq(old, upstream));
        if !previous.is_some_and(known) {
            tokio::spawn(resolve::keep_resolving(
                Arc::downgrade(upstream),
                names.clone(),
            ));
        }
    }
}
