//! Which addresses of one name refused a connection lately: others come first, whatever checks say.
//!
//! A name is an entry of the configuration: a host with several addresses, or a service with several hosts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// So often an address that refused a connection is given another chance: once in so many turns.
const FORGIVE_EVERY: usize = 64;

/// The addresses of a name.
pub(super) struct Refusals {
    addresses: Vec<SocketAddr>,
    refused: Box<[AtomicBool]>,
    turn: AtomicUsize,
}

/// One of several addresses, for who connects there.
pub(super) struct Chosen {
    refusals: Arc<Refusals>,
    number: usize,
    /// It was known to refuse: there was nobody better.
    knowing: bool,
}

impl Refusals {
    /// Of a name with these addresses, where they are several.
    pub(super) fn of(addresses: impl Iterator<Item = SocketAddr>) -> Option<Arc<Self>> {
        let mut addresses: Vec<SocketAddr> = addresses.collect();
        addresses.sort_unstable();
        addresses.dedup();
        let refused = addresses.iter().map(|_| AtomicBool::new(false)).collect();
        (addresses.len() > 1).then(|| {
            Arc::new(Self {
                addresses,
                refused,
                turn: AtomicUsize::new(0),
            })
        })
    }

    /// How an address is told from the others.
    pub(super) fn number(&self, address: &SocketAddr) -> usize {
        let found = self.addresses.binary_search(address);
        found.unwrap_or_else(|next| next)
    }

    pub(super) fn has(&self, number: usize) -> bool {
        let refused = self.refused.get(number);
        refused.is_some_and(|refused| refused.load(Ordering::Relaxed))
    }

    /// Counts a turn; now and then all get another chance.
    pub(super) fn forgive_in_turn(&self) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        if turn.is_multiple_of(FORGIVE_EVERY) {
            self.forgive();
        }
    }

    fn forgive(&self) {
        for refused in &self.refused {
            refused.store(false, Ordering::Relaxed);
        }
    }

    pub(super) fn chosen(self: &Arc<Self>, number: usize) -> Chosen {
        Chosen {
            refusals: self.clone(),
            number,
            knowing: self.has(number),
        }
    }
}

impl Chosen {
    /// Nobody could connect there: others are tried first. Whether there are others.
    pub(super) fn refused(&self) -> bool {
        let all = &self.refusals.refused;
        if let Some(refused) = all.get(self.number) {
            refused.store(true, Ordering::Relaxed);
        }
        let others = all.iter().any(|refused| !refused.load(Ordering::Relaxed));
        if !others {
            // The next request tries each anew: one may be back.
            self.refusals.forgive();
        }
        others && !self.knowing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusals(count: u16) -> Option<Arc<Refusals>> {
        Refusals::of((1..=count).map(|port| ([127, 0, 0, 1], port).into()))
    }

    #[test]
    fn a_name_with_one_address_has_none() {
        assert!(refusals(1).is_none());
        let twice = [SocketAddr::from(([127, 0, 0, 1], 1)); 2];
        assert!(Refusals::of(twice.into_iter()).is_none());
    }

    #[test]
    fn who_refused_is_left_alone_until_all_have() {
        let refusals = refusals(100).unwrap();
        for number in 0..99 {
            assert!(refusals.chosen(number).refused(), "{number}");
            assert!(refusals.has(number));
        }
        assert!(!refusals.chosen(0).refused(), "it was known to refuse");
        assert!(!refusals.chosen(99).refused(), "nobody is left");
        assert!((0..100).all(|number| !refusals.has(number)));
    }

    #[test]
    fn everybody_gets_another_chance() {
        let refusals = refusals(2).unwrap();
        refusals.forgive_in_turn();
        refusals.chosen(1).refused();
        for _ in 1..FORGIVE_EVERY {
            refusals.forgive_in_turn();
            assert!(refusals.has(1));
        }
        refusals.forgive_in_turn();
        assert!(!refusals.has(1));
    }
}
