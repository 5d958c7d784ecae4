//! Which target an attempt goes to. Nothing here allocates or locks.
//!
//! Every algorithm proposes candidates; one rule for all says who is acceptable: in good standing, not tried before by
//! this request, and grown up after a slow start. Whoever is passed over loses the turn, so the others keep their shares.

pub(super) mod census;
mod chance;
pub mod cookie;
pub mod ewma;
pub mod hash;
mod ring;
pub(super) mod schedule;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use self::census::Census;
use self::ring::Ring;
use super::endpoint::Endpoint;
use super::{Target, clock};
use crate::config::model::Balance;

/// So many candidates are proposed before somebody is looked for in the list.
const CANDIDATES: usize = 64;

/// A target under a hash may have so much more than its share of the requests in flight.
const BOUND: f64 = 1.25;

/// What a request wishes of a pick.
#[derive(Clone, Copy)]
pub struct Wish<'a> {
    /// The moment of the pick: the caller has read the clock already.
    pub now: Instant,
    /// Hash of the value that `hash-on` names.
    pub hash: Option<u64>,
    /// What the sticky cookie says.
    pub sticky: Option<u64>,
    /// Where this request was sent before. Somebody else is picked, as long as there is somebody else.
    pub tried: &'a [Arc<Target>],
    /// It takes nobody's turn: the one whose turn it is will be picked for the next request all the same.
    pub aside: bool,
}

impl Wish<'static> {
    /// Any target.
    pub fn at(now: Instant) -> Self {
        Self {
            now,
            hash: None,
            sticky: None,
            tried: &[],
            aside: false,
        }
    }
}

/// Why no target was picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// None has a known address and is in good standing.
    NoTarget,
    /// The upstream has as many requests as it may have.
    Full,
    /// The breaker refuses for so long.
    BreakerOpen(Duration),
}

/// What one search for a target regards.
#[derive(Clone, Copy)]
pub(super) struct Search<'a> {
    pub(super) wish: &'a Wish<'a>,
    pub(super) turn: &'a AtomicUsize,
    pub(super) slow_start: Option<Duration>,
    /// Requests at the whole upstream with this one, where they are counted.
    pub(super) in_flight: u32,
    /// Whether those that were tried are left out.
    pub(super) fresh: bool,
    /// Whether those that took no connection lately are left out.
    pub(super) wary: bool,
    /// Whether those in bad standing are left out.
    pub(super) good: bool,
}

/// Targets of one rank, with what their algorithm needs to choose among them.
pub(super) struct Group {
    pub(super) endpoints: Box<[Endpoint]>,
    order: Order,
    census: Census,
}

/// A schedule holds indices of the endpoints, each as often as its weight says.
enum Order {
    InTurn(Box<[u32]>),
    Random(Box<[u32]>),
    LeastRequest(Box<[u32]>),
    Ewma(Box<[u32]>),
    Ring(Ring),
}

impl Group {
    pub(super) fn new(endpoints: Vec<Endpoint>, balance: &Balance) -> Self {
        let weights: Vec<u32> = endpoints.iter().map(|endpoint| endpoint.weight).collect();
        let order = match balance {
            Balance::RoundRobin => Order::InTurn(schedule::smooth(&weights)),
            Balance::Random => Order::Random(schedule::smooth(&weights)),
            Balance::LeastRequest => Order::LeastRequest(schedule::smooth(&weights)),
            Balance::Ewma => Order::Ewma(schedule::smooth(&weights)),
            Balance::Hash(_) => Order::Ring(Ring::new(
                endpoints
                    .iter()
                    .map(|endpoint| (&*endpoint.target.address, endpoint.weight)),
            )),
        };
        Self {
            endpoints: endpoints.into(),
            order,
            census: Census::default(),
        }
    }

    /// Whether some, but fewer than this share of the targets are in good standing: then they would be overrun.
    pub(super) fn panics(&self, share: f64, now: Instant) -> bool {
        if share <= 0.0 {
            return false;
        }
        let good = self.census.take(&self.endpoints, clock::millis(now)).good;
        let all = u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX);
        good > 0 && f64::from(good) < f64::from(all) * share
    }

    /// The next target that is acceptable; `None` when nobody is.
    pub(super) fn choose(&self, search: &Search<'_>) -> Option<&Endpoint> {
        let found = match &self.order {
            Order::InTurn(schedule) => {
                let next = || search.turn.fetch_add(1, Ordering::Relaxed);
                self.propose(schedule, search, || next().checked_rem(schedule.len()))
            }
            Order::Random(schedule) => self.propose(schedule, search, || by_chance(schedule)),
            Order::LeastRequest(schedule) => self.better(schedule, search, Endpoint::is_busier),
            Order::Ewma(schedule) => {
                let now = clock::millis(search.wish.now);
                self.better(schedule, search, |one, two| one.is_costlier(two, now))
            }
            Order::Ring(ring) => return self.on_ring(ring, search),
        };
        if let Some(index) = found {
            return self.endpoints.get(index);
        }
        let start = chance::below(self.endpoints.len())?;
        self.look(start, |endpoint| search.accepts(endpoint))
    }

    /// The first acceptable of a row of turns.
    fn propose(
        &self,
        schedule: &[u32],
        search: &Search<'_>,
        turn: impl Fn() -> Option<usize>,
    ) -> Option<usize> {
        for _ in 0..schedule.len().min(CANDIDATES) {
            let index = usize::try_from(*schedule.get(turn()?)?).ok()?;
            if search.takes(self.endpoints.get(index)?, chance::number) {
                return Some(index);
            }
        }
        None
    }

    /// The better of two: one drawn by weight, one by chance among the others. At rest the weights decide, under load
    /// the comparison.
    fn better(
        &self,
        schedule: &[u32],
        search: &Search<'_>,
        is_worse: impl Fn(&Endpoint, &Endpoint) -> bool,
    ) -> Option<usize> {
        let one = self.propose(schedule, search, || by_chance(schedule))?;
        let Some(two) = self.other(one, search) else {
            return Some(one);
        };
        let worse = is_worse(self.endpoints.get(one)?, self.endpoints.get(two)?);
        Some(if worse { two } else { one })
    }

    /// Somebody else; `None` where hardly anybody is acceptable, and a comparison has little to decide.
    fn other(&self, one: usize, search: &Search<'_>) -> Option<usize> {
        let all = self.endpoints.len();
        for _ in 0..4 {
            // Any but the first: those before it keep their place, those after it move up by one.
            let two = chance::below(all.checked_sub(1)?)?;
            let two = two + usize::from(two >= one);
            if search.takes(self.endpoints.get(two)?, chance::number) {
                return Some(two);
            }
        }
        None
    }

    /// The first on the ring that is acceptable and has not more than its share; if all have, the first acceptable.
    fn on_ring(&self, ring: &Ring, search: &Search<'_>) -> Option<&Endpoint> {
        let key = search.wish.hash.unwrap_or_else(chance::number);
        let weight = self
            .census
            .take(&self.endpoints, clock::millis(search.wish.now))
            .weight;
        let share = BOUND * f64::from(search.in_flight.max(1)) / f64::from(weight.max(1));
        let mut first = None;
        for owner in ring.owners(key).take(CANDIDATES) {
            let endpoint = self.endpoints.get(owner)?;
            // The key decides who grows: it comes once and stays.
            let ticket = || hash::mix(key ^ hash::stable(endpoint.target.address.as_bytes()));
            if !search.takes(endpoint, ticket) {
                continue;
            }
            if endpoint.has_room(share) {
                return Some(endpoint);
            }
            first = first.or(Some(endpoint));
        }
        let fits = |endpoint: &Endpoint| search.accepts(endpoint) && endpoint.has_room(share);
        let start = usize::try_from(key >> 32).unwrap_or_default();
        self.look(start, fits)
            .or(first)
            .or_else(|| self.look(start, |endpoint| search.accepts(endpoint)))
    }

    /// Hardly anybody is acceptable: looks at all, not always from the same place, so that no one gets all.
    fn look(&self, start: usize, fits: impl Fn(&Endpoint) -> bool) -> Option<&Endpoint> {
        let start = start.checked_rem(self.endpoints.len())?;
        let (before, from) = self.endpoints.split_at_checked(start)?;
        from.iter().chain(before).find(|endpoint| fits(endpoint))
    }
}

fn by_chance(schedule: &[u32]) -> Option<usize> {
    chance::below(schedule.len())
}

impl Search<'_> {
    /// Whether a target may be picked.
    pub(super) fn accepts(&self, endpoint: &Endpoint) -> bool {
        let tried = |tried: &Arc<Target>| Arc::ptr_eq(tried, &endpoint.target);
        if self.good && !endpoint.target.standing.is_good() {
            return false;
        }
        let refused = self.wary && endpoint.is_refused();
        !(refused || self.fresh && self.wish.tried.iter().any(tried))
    }

    /// Whether a target may be picked for this very request: while it starts slowly, it takes some only.
    fn takes(&self, endpoint: &Endpoint, ticket: impl FnOnce() -> u64) -> bool {
        self.accepts(endpoint) && self.is_grown(endpoint, ticket)
    }

    fn is_grown(&self, endpoint: &Endpoint, ticket: impl FnOnce() -> u64) -> bool {
        let Some(slow_start) = self.slow_start else {
            return true;
        };
        let grown = endpoint.target.grown(slow_start, self.wish.now);
        grown >= 1.0 || {
            // 53 bits, as a share from 0 to 1.
            #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
            let share = (ticket() >> 11) as f64 / (1u64 << 53) as f64;
            share < grown
        }
    }
}

#[cfg(test)]
mod tests;
