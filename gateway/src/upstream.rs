//! A named pool of targets: which one the next attempt goes to.

pub mod attempt;
pub mod balance;
pub mod breaker;
mod clock;
mod endpoint;
pub mod health;
pub mod names;
mod outlier;
pub mod peer;
pub mod resolve;
pub mod retry;
pub mod standing;
pub mod target;
mod watch;
mod window;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use plugins::contract::place::Span;

use crate::config::env::ProcessEnv;
use crate::config::model::{Balance, StickyCookie, TargetConfig, TargetHost, UpstreamConfig};
use crate::config::secret::{Secret, SecretError};
use crate::observe::metrics::{Metrics, RetryMetrics};

use self::attempt::InFlight;
use self::balance::cookie::Tagger;
use self::balance::{Group, Search};
use self::endpoint::Endpoint;
use self::health::Door;
use self::retry::budget::Budget;
use self::watch::Watch;

pub use self::attempt::{Attempt, Outcome, Pick};
pub use self::balance::{Unavailable, Wish};
pub use self::standing::{LastCheck, Story};
pub use self::target::Target;

/// A compiled upstream. Lives as long as a snapshot or a request holds it.
pub struct Upstream {
    /// What it was compiled from.
    pub config: UpstreamConfig,
    targets: Vec<Arc<Target>>,
    mould: peer::Mould,
    /// Milliseconds until its names are looked up again.
    pause: AtomicU64,
    ready: ArcSwap<Ready>,
    turn: AtomicUsize,
    /// What hears how attempts end, where something does.
    watch: Option<Arc<Watch>>,
    /// All its requests, where they have to be counted together.
    in_flight: Arc<InFlight>,
    counted: bool,
    /// How sticky cookies name targets.
    tagger: Option<Tagger>,
    /// How many failed attempts may be repeated.
    pub budget: Budget,
    /// Repetitions by result.
    pub retries: Arc<RetryMetrics>,
}

/// Why an upstream cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The key of its sticky cookie cannot be read.
    #[error("the key of the sticky cookie: {0}")]
    CookieKey(SecretError),
}

impl UpstreamError {
    /// Where the configuration says what cannot be built.
    pub fn span<'a>(&self, config: &'a UpstreamConfig) -> &'a Span {
        let cookie = config.sticky_cookie.as_ref();
        match self {
            Self::CookieKey(_) => cookie.map_or(&config.span, |cookie| &cookie.span),
        }
    }
}

/// The targets whose addresses are known.
struct Ready {
    /// By rank: backups take over when nobody before them can.
    ranks: [Group; 2],
    /// Rank and index of a target by its tag.
    tags: HashMap<u64, (usize, usize)>,
}

/// A target with its state, for the admin listener.
pub struct TargetState {
    /// `host:port` as written.
    pub address: Arc<str>,
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
    /// Compiles an upstream. A target that the previous one had, too, is the same target: its standing and what is
    /// in flight stay known. Names keep the addresses they had until they are looked up again.
    pub fn compile(
        config: &UpstreamConfig,
        metrics: &Metrics,
        previous: Option<&Self>,
    ) -> Result<Self, UpstreamError> {
        let in_flight = previous
            .map(|previous| previous.in_flight.clone())
            .unwrap_or_default();
        let added = previous.map(|_| Instant::now());
        let target = |target: &TargetConfig| {
            previous
                .and_then(|previous| previous.target(&target.address))
                .unwrap_or_else(|| {
                    let metrics = metrics.target(&config.name, &target.address);
                    let address = target.address.clone();
                    Arc::new(Target::new(address, metrics, in_flight.clone(), added))
                })
        };
        let targets: Vec<_> = config.targets.iter().map(target).collect();
        let counted =
            config.connections_max.is_some() || matches!(config.balance, Balance::Hash(_));
        let turn = previous.map_or(0, |previous| previous.turn.load(Ordering::Relaxed));
        let upstream = Self {
            config: config.clone(),
            watch: Watch::compile(config, &targets, metrics, previous),
            targets,
            mould: peer::Mould::of(config),
            pause: AtomicU64::new(0),
            ready: ArcSwap::from_pointee(Ready::new([Vec::new(), Vec::new()], &config.balance)),
            turn: AtomicUsize::new(turn),
            in_flight: in_flight.clone(),
            counted,
            tagger: config.sticky_cookie.as_ref().map(tagger).transpose()?,
            budget: Budget::default(),
            retries: metrics.retries(&config.name),
        };
        let known = previous.map(|previous| previous.ready.load_full());
        upstream.set_addresses(|target| match &target.host {
            TargetHost::Address(address) => vec![*address],
            TargetHost::Name { .. } | TargetHost::Service { .. } => known
                .as_ref()
                .map(|known| known.addresses_of(&target.address))
                .unwrap_or_default(),
        });
        Ok(upstream)
    }

    fn target(&self, address: &str) -> Option<Arc<Target>> {
        let found = |target: &&Arc<Target>| *target.address == *address;
        self.targets.iter().find(found).cloned()
    }

    /// The target for the next attempt.
    pub fn pick(&self, wish: &Wish<'_>) -> Result<Pick, Unavailable> {
        let ready = self.ready.load();
        let (endpoint, mut attempt) = self.begin(&ready, wish)?;
        let (peer, chosen) = endpoint.peer().ok_or(Unavailable::NoTarget)?;
        attempt.goes_to(chosen);
        Ok(Pick {
            peer: Box::new(peer.clone()),
            attempt,
        })
    }

    /// The same without Pingora's peer, for who connects in another way, or only measures.
    pub fn attempt(&self, wish: &Wish<'_>) -> Result<Attempt, Unavailable> {
        let ready = self.ready.load();
        self.begin(&ready, wish).map(|(_, attempt)| attempt)
    }

    fn begin<'a>(
        &self,
        ready: &'a Ready,
        wish: &Wish<'_>,
    ) -> Result<(&'a Endpoint, Attempt), Unavailable> {
        let watched = self.watch.as_ref().map(|watch| watch.admit(wish.now));
        let watched = watched.transpose().map_err(Unavailable::BreakerOpen)?;
        let most = self.config.connections_max.unwrap_or(u32::MAX);
        if self.counted && !self.in_flight.enter_below(most) {
            return Err(Unavailable::Full);
        }
        let Some(endpoint) = self.choose(ready, wish) else {
            if self.counted {
                self.in_flight.leave();
            }
            return Err(Unavailable::NoTarget);
        };
        let measured = matches!(self.config.balance, Balance::Ewma).then_some(wish.now);
        let new_tag = endpoint.tag.filter(|tag| wish.sticky != Some(*tag));
        let target = endpoint.target.clone();
        let attempt = Attempt::begin(target, self.counted, measured, new_tag, watched);
        Ok((endpoint, attempt))
    }

    fn choose<'a>(&self, ready: &'a Ready, wish: &Wish<'_>) -> Option<&'a Endpoint> {
        let threshold = self.config.panic_threshold;
        let aside = AtomicUsize::new(self.turn.load(Ordering::Relaxed));
        let search = Search {
            wish,
            turn: if wish.aside { &aside } else { &self.turn },
            slow_start: self.config.slow_start,
            in_flight: self.in_flight.count(),
            fresh: !wish.tried.is_empty(),
            good: true,
        };
        if let Some(known) = ready.by_cookie(&search) {
            return Some(known);
        }
        let first = ready.choose(&search, threshold);
        let again = Search {
            fresh: false,
            ..search
        };
        // Nobody else is left: whoever was tried may do better now.
        let second = || {
            search
                .fresh
                .then(|| ready.choose(&again, threshold))
                .flatten()
        };
        // Nobody is in good standing: that is fewer than any threshold.
        let anybody = |search| {
            let any = Search {
                good: false,
                ..search
            };
            (threshold > 0.0).then(|| ready.choose(&any, 0.0)).flatten()
        };
        first
            .or_else(second)
            .or_else(|| anybody(search))
            .or_else(|| anybody(again))
    }

    /// How many attempts are under way at each target.
    pub fn in_flight(&self) -> impl Iterator<Item = (&Target, u32)> {
        let count = |target: &Target| target.in_flight.count();
        self.targets
            .iter()
            .map(move |target| (&**target, count(target)))
    }

    /// Every target with its state.
    pub fn states(&self) -> Vec<TargetState> {
        let ready = self.ready.load();
        let now = Instant::now();
        let grown = |target: &Target| {
            let slow_start = self.config.slow_start;
            slow_start.map_or(1.0, |slow_start| target.grown(slow_start, now))
        };
        let state = |(config, target): (&TargetConfig, &Arc<Target>)| TargetState {
            address: config.address.clone(),
            weight: config.weight,
            addresses: ready.addresses_of(&config.address),
            good: target.standing.is_good(),
            in_flight: target.in_flight.count(),
            weight_now: f64::from(config.weight) * grown(target),
            latency: target.latency.time(clock::millis(now)),
            backup: config.backup,
            story: target.standing.story(),
            avoided: target
                .standing
                .avoided()
                .map(|avoided| avoided.to_vec())
                .unwrap_or_default(),
        };
        let configs = self.config.targets.iter();
        configs.zip(&self.targets).map(state).collect()
    }

    /// Its targets.
    pub fn targets(&self) -> &[Arc<Target>] {
        &self.targets
    }

    /// Where a target is now, for checks.
    fn doors(&self, target: &Arc<Target>) -> Vec<Door> {
        let mut targets = self.config.targets.iter().zip(&self.targets);
        let Some((config, _)) = targets.find(|(_, known)| Arc::ptr_eq(known, target)) else {
            return Vec::new();
        };
        let door = |address| Door {
            address,
            peer: self.mould.peer(address, &config.host),
        };
        let addresses = self.ready.load().addresses_of(&target.address);
        addresses.into_iter().map(door).collect()
    }

    /// Sets what every target's address is now.
    fn set_addresses(&self, addresses: impl Fn(&TargetConfig) -> Vec<SocketAddr>) {
        let mut ranks = [Vec::new(), Vec::new()];
        for (config, target) in self.config.targets.iter().zip(&self.targets) {
            let addresses = addresses(config);
            if addresses.is_empty() {
                continue;
            }
            let peers = addresses
                .iter()
                .map(|address| self.mould.peer(*address, &config.host))
                .collect();
            let tag = |tagger: &Tagger| tagger.tag(&self.config.name, &config.address);
            let [primaries, backups] = &mut ranks;
            let rank = if config.backup { backups } else { primaries };
            rank.push(Endpoint::new(
                target.clone(),
                config.weight,
                self.tagger.as_ref().map(tag),
                addresses,
                peers,
            ));
        }
        let ready = Ready::new(ranks, &self.config.balance);
        self.ready.store(Arc::new(ready));
    }
}

fn tagger(cookie: &StickyCookie) -> Result<Tagger, UpstreamError> {
    let secret = cookie.key.as_ref().map(|key| key.resolve(&ProcessEnv));
    let secret = secret.transpose().map_err(UpstreamError::CookieKey)?;
    Ok(Tagger::new(secret.as_ref().map(Secret::expose)))
}

impl Ready {
    fn new(ranks: [Vec<Endpoint>; 2], balance: &Balance) -> Self {
        let mut tags = HashMap::new();
        for (rank, endpoints) in ranks.iter().enumerate() {
            let tagged = endpoints.iter().enumerate();
            tags.extend(tagged.filter_map(|(index, one)| Some((one.tag?, (rank, index)))));
        }
        Self {
            ranks: ranks.map(|endpoints| Group::new(endpoints, balance)),
            tags,
        }
    }

    /// The target that the client's cookie names, if it may be picked.
    fn by_cookie(&self, search: &Search<'_>) -> Option<&Endpoint> {
        let (rank, index) = self.tags.get(&search.wish.sticky?)?;
        let known = self.ranks.get(*rank)?.endpoints.get(*index)?;
        search.accepts(known).then_some(known)
    }

    fn choose(&self, search: &Search<'_>, panic_threshold: f64) -> Option<&Endpoint> {
        self.ranks.iter().find_map(|rank| {
            let good = search.good && !rank.panics(panic_threshold, search.wish.now);
            rank.choose(&Search { good, ..*search })
        })
    }

    fn addresses_of(&self, address: &str) -> Vec<SocketAddr> {
        let mut endpoints = self.ranks.iter().flat_map(|rank| &rank.endpoints);
        let endpoint = endpoints.find(|endpoint| &*endpoint.target.address == address);
        endpoint
            .map(|endpoint| endpoint.addresses.clone())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
