//! A named pool of targets: which one the next attempt goes to.

pub mod attempt;
pub mod balance;
pub mod breaker;
mod clock;
mod endpoint;
pub mod health;
mod members;
pub mod names;
mod outlier;
pub mod peer;
mod ready;
mod refusals;
pub mod resolve;
pub mod retry;
pub mod standing;
mod state;
pub mod target;
mod watch;
mod window;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use pingora::upstreams::peer::HttpPeer;
use plugins::contract::place::Span;
use tokio::sync::Notify;

use crate::config::env::ProcessEnv;
use crate::config::model::{Balance, StickyCookie, TargetHost, UpstreamConfig};
use crate::config::secret::{Secret, SecretError};
use crate::observe::metrics::{Metrics, RetryMetrics};

use self::attempt::InFlight;
use self::balance::Search;
use self::balance::cookie::Tagger;
use self::endpoint::Endpoint;
use self::health::Door;
use self::members::Member;
use self::names::Host;
use self::ready::Ready;
use self::retry::budget::Budget;
use self::watch::Watch;

pub use self::attempt::{Attempt, Outcome, Pick};
pub use self::balance::{Unavailable, Wish};
pub use self::standing::{LastCheck, Story};
pub use self::state::TargetState;
pub use self::target::Target;

/// A compiled upstream. Lives as long as a snapshot or a request holds it.
pub struct Upstream {
    /// What it was compiled from.
    pub config: UpstreamConfig,
    mould: peer::Mould,
    /// Milliseconds until its names are looked up again.
    pause: AtomicU64,
    /// Its targets; names may stand for others at any time.
    ready: ArcSwap<Ready>,
    /// Hears when its targets are others.
    moved: OnceLock<Arc<Notify>>,
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

impl Upstream {
    /// Compiles an upstream. A target that the previous one had, too, is the same target: its standing and what is
    /// in flight stay known. Names stand for what they stood for until they are looked up again.
    pub fn compile(
        config: &UpstreamConfig,
        metrics: &Metrics,
        previous: Option<&Self>,
    ) -> Result<Self, UpstreamError> {
        let in_flight = previous
            .map(|previous| previous.in_flight.clone())
            .unwrap_or_default();
        let counted =
            config.connections_max.is_some() || matches!(config.balance, Balance::Hash(_));
        let turn = previous.map_or(0, |previous| previous.turn.load(Ordering::Relaxed));
        let upstream = Self {
            config: config.clone(),
            watch: Watch::compile(config, metrics, previous),
            mould: peer::Mould::of(config),
            pause: AtomicU64::new(0),
            ready: ArcSwap::default(),
            moved: OnceLock::new(),
            turn: AtomicUsize::new(turn),
            in_flight,
            counted,
            tagger: config.sticky_cookie.as_ref().map(tagger).transpose()?,
            budget: Budget::default(),
            retries: metrics.retries(&config.name),
        };
        let known = previous.map(|previous| previous.ready.load_full());
        let hosts = upstream.hosts_known(previous.zip(known.as_deref()));
        let members = known.as_ref().map_or(&[][..], |known| &known.members);
        let added = previous.map(|_| Instant::now());
        upstream.settle(hosts, members, metrics, added);
        Ok(upstream)
    }

    /// The hosts of each entry before anybody looks them up.
    fn hosts_known(&self, before: Option<(&Self, &Ready)>) -> Vec<Vec<Host>> {
        let known: HashMap<&str, &Vec<Host>> = before
            .iter()
            .flat_map(|(before, ready)| before.config.targets.iter().zip(&ready.hosts))
            .map(|(entry, hosts)| (&*entry.address, hosts))
            .collect();
        let entries = self.config.targets.iter();
        let hosts = entries.map(|entry| match &entry.host {
            TargetHost::Address(address) => vec![Host::itself(vec![*address])],
            TargetHost::Name { .. } | TargetHost::Service { .. } => {
                let hosts = known.get(&*entry.address);
                hosts.map(|hosts| (*hosts).clone()).unwrap_or_default()
            }
        });
        hosts.collect()
    }

    /// From now on its entries stand for these hosts. Who is among the known stays the same target.
    fn settle(
        &self,
        hosts: Vec<Vec<Host>>,
        known: &[Member],
        metrics: &Metrics,
        added: Option<Instant>,
    ) {
        let known: HashMap<&str, &Arc<Target>> = known
            .iter()
            .map(|member| (&*member.target.address, &member.target))
            .collect();
        let target = |address: &Arc<str>| {
            if let Some(target) = known.get(&**address) {
                return (*target).clone();
            }
            let metrics = metrics.target(&self.config.name, address);
            let in_flight = self.in_flight.clone();
            Arc::new(Target::new(address.clone(), metrics, in_flight, added))
        };
        let members = members::of(&self.config.targets, &hosts, target);
        let ready = Ready::new(self, hosts, members);
        if let Some(watch) = &self.watch {
            watch.follow(ready.targets().cloned().collect());
        }
        self.ready.store(Arc::new(ready));
        if let Some(moved) = self.moved.get() {
            moved.notify_one();
        }
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
            wary: ready.has_several(),
            good: true,
        };
        if let Some(known) = ready.by_cookie(&search) {
            return Some(known);
        }
        let wary = search
            .wary
            .then(|| ready.choose(&search, threshold))
            .flatten();
        if let Some(sound) = wary {
            return Some(sound);
        }
        let search = Search {
            wary: false,
            ..search
        };
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

    /// Its targets at this moment.
    pub fn targets(&self) -> Vec<Arc<Target>> {
        self.ready.load().targets().cloned().collect()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.ready.load().members.len()
    }

    /// Where a target is now, for checks.
    fn doors(&self, target: &Arc<Target>) -> Vec<Door> {
        let ready = self.ready.load();
        let mut members = ready.members.iter();
        let Some(member) = members.find(|member| Arc::ptr_eq(&member.target, target)) else {
            return Vec::new();
        };
        let door = |(address, peer)| Door { address, peer };
        self.peers(member).map(door).collect()
    }

    /// The addresses of a member, with the peers that go there.
    fn peers(&self, member: &Member) -> impl Iterator<Item = (SocketAddr, HttpPeer)> {
        let entry = self.config.targets.get(member.entry);
        let addresses = member.addresses.iter().zip(std::iter::repeat(entry));
        addresses.filter_map(|(address, entry)| {
            Some((*address, self.mould.peer(*address, &entry?.host)))
        })
    }
}

fn tagger(cookie: &StickyCookie) -> Result<Tagger, UpstreamError> {
    let secret = cookie.key.as_ref().map(|key| key.resolve(&ProcessEnv));
    let secret = secret.transpose().map_err(UpstreamError::CookieKey)?;
    Ok(Tagger::new(secret.as_ref().map(Secret::expose)))
}

#[cfg(test)]
mod tests;
