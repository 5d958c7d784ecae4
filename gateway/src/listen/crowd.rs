//! How many connections one address has on a listener, and how many it opened in this second.
//!
//! The first count is exact: as large as the number of open connections, and a `Place` gives itself back. The second is an
//! estimate of fixed size that may count a stranger's connections in but never counts too few: good enough to tell a flood.
//! An address is an IPv4 address or an IPv6 /64, which is what one customer of a network has; IPv4-mapped is IPv4.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pingora_limits::estimator::Estimator;

use super::refusal::TurnedAway;

/// Whom an address belongs to, as far as that can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Household {
    V4(u32),
    V6(u64),
}

impl Household {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6(first_half(address.to_bits())),
        }
    }
}

fn first_half(bits: u128) -> u64 {
    u64::try_from(bits >> 64).unwrap_or(u64::MAX)
}

/// However few connections an address may have at once, it may open so many in a second, one after the other.
const ARRIVALS_MIN: usize = 1000;
/// How often an address may fill its places anew in a second: a test of load without keep-alive opens some thousands.
const TURNS: usize = 10;

/// The addresses that are connected to one listener.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    open: Mutex<HashMap<Household, u32, ahash::RandomState>>,
    arrivals: Arrivals,
}

impl Crowd {
    /// A place for one more connection of this address, unless it has `max` or opens too many too fast.
    pub(crate) fn admit(
        self: &Arc<Self>,
        address: IpAddr,
        max: usize,
    ) -> Result<Place, TurnedAway> {
        let household = Household::of(address);
        if self.arrivals.note(household) > max.saturating_mul(TURNS).max(ARRIVALS_MIN) {
            return Err(TurnedAway::Flood);
        }
        let mut open = self.open();
        let count = open.entry(household).or_default();
        if usize::try_from(*count).is_ok_and(|count| count >= max) {
            return Err(TurnedAway::AddressFull);
        }
        *count += 1;
        Ok(Place {
            crowd: Arc::clone(self),
            household,
        })
    }

    // The map stays whole whatever panicked while it was locked.
    fn open(&self) -> MutexGuard<'_, HashMap<Household, u32, ahash::RandomState>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open connection of an address.
#[derive(Debug)]
pub(crate) struct Place {
    crowd: Arc<Crowd>,
    household: Household,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.crowd.open();
        if let Entry::Occupied(mut entry) = open.entry(self.household) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

/// New connections by address in the current second.
struct Arrivals {
    base: Instant,
    second: AtomicU64,
    counts: Estimator,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            base: Instant::now(),
            second: AtomicU64::new(0),
            counts: Estimator::new(4, 4096),
        }
    }
}

impl Arrivals {
    /// One more; how many there were in this second.
    fn note(&self, household: Household) -> usize {
        let second = self.base.elapsed().as_secs();
        // Two that meet here at the turn of a second may lose a few counts. It is an estimate.
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.counts.reset();
        }
        usize::try_from(self.counts.incr(household, 1)).unwrap_or_default()
    }
}

impl fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arrivals").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(crowd: &Arc<Crowd>, address: &str, max: usize) -> Result<Place, TurnedAway> {
        crowd.admit(address.parse().unwrap(), max)
    }

    #[test]
    fn counts_each_address_and_gives_places_back() {
        let crowd = Arc::new(Crowd::default());
        let first = admit(&crowd, "192.0.2.1", 2).unwrap();
        let _second = admit(&crowd, "192.0.2.1", 2).unwrap();
        assert_eq!(
            admit(&crowd, "192.0.2.1", 2).unwrap_err(),
            TurnedAway::AddressFull
        );
        assert!(admit(&crowd, "192.0.2.2", 2).is_ok());
        drop(first);
        assert!(admit(&crowd, "192.0.2.1", 2).is_ok());
        assert_eq!(crowd.open().len(), 1, "nobody else is remembered");
    }

    #[test]
    fn takes_one_customer_of_a_network_for_one() {
        let crowd = Arc::new(Crowd::default());
        let _first = admit(&crowd, "2001:db8:0:1::1", 1).unwrap();
        assert!(admit(&crowd, "2001:db8:0:1:ffff::2", 1).is_err());
        assert!(admit(&crowd, "2001:db8:0:2::1", 1).is_ok());
        let _mapped = admit(&crowd, "::ffff:192.0.2.1", 1).unwrap();
        assert!(admit(&crowd, "192.0.2.1", 1).is_err());
        assert!(admit(&crowd, "192.0.2.2", 1).is_ok());
    }

    #[test]
    fn tells_a_flood_of_short_connections() {
        let crowd = Arc::new(Crowd::default());
        // Two seconds can share them at worst.
        let turned = (0..3 * ARRIVALS_MIN)
            .filter(|_| matches!(admit(&crowd, "192.0.2.1", 1), Err(TurnedAway::Flood)))
            .count();
        assert!(turned > 0);
        assert!(admit(&crowd, "192.0.2.2", 1).is_ok());
    }
}
