//! Connections that were closed before anything of HTTP was read: counted each, told of once a second.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::listen::{Endpoint, TurnedAway};

/// How often one reason of one listener may be told.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// The counters by listener and reason.
#[derive(Default)]
pub struct Departures(Mutex<BTreeMap<(Arc<str>, TurnedAway), Departure>>);

#[derive(Default)]
struct Departure {
    count: u64,
    untold: u64,
    told: Option<Instant>,
}

impl Departures {
    /// Counts one.
    pub(super) fn count(&self, listener: &Arc<str>, client: Endpoint, why: TurnedAway) {
        let mut all = self.lock();
        let departure = all.entry((listener.clone(), why)).or_default();
        departure.count += 1;
        departure.untold += 1;
        let now = Instant::now();
        if departure
            .told
            .is_none_or(|told| now.duration_since(told) >= TOLD_EVERY)
        {
            departure.told = Some(now);
            let connections = std::mem::take(&mut departure.untold);
            drop(all);
            let last = address(client);
            tracing::warn!(
                listener = &**listener,
                reason = why.reason(),
                connections,
                ?last,
                "Connections were turned away"
            );
        }
    }

    /// Listener, reason and count of everything that occurred.
    pub fn read(&self) -> Vec<(Arc<str>, &'static str, u64)> {
        self.lock()
            .iter()
            .map(|((listener, why), departure)| (listener.clone(), why.reason(), departure.count))
            .collect()
    }

    // Counters stay good whatever panicked while they were locked.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Arc<str>, TurnedAway), Departure>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address(client: Endpoint) -> Option<IpAddr> {
    match client {
        Endpoint::Ip(address) => Some(address.ip().to_canonical()),
        Endpoint::Unix => None,
    }
}
