//! The keys that an identity provider publishes (RFC 7517): fetched beside the requests, kept while the provider is away.
//!
//! ```text
//!              due, or asked for                    a usable set
//!   waiting ───────────────────▶ fetching ─────────────────────────▶ waiting, for as long as it is fresh
//!      ▲                            │
//!      └────────────────────────────┘ anything else: the last good keys stay, patience grows
//! ```
//!
//! A request never fetches. One with an unknown `kid` may ask for a fetch, once in ten seconds for all of them together,
//! and waits for its end, two seconds at most. What the provider answers is trusted as far as the connection is: redirects are not followed,
//! more than 1 MiB is not read, and what is no set of keys changes nothing.

pub mod freshness;
pub mod schedule;
pub mod set;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard};
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::auth::jwt::algorithm::Algorithm;
use crate::auth::jwt::key::{Keys, sha256};
use crate::contract::services::{CallError, CallLimits, Clock, Outbound, Services, Tasks};
use schedule::Schedule;
use set::SetError;

/// The longest fetch.
const FETCH_TIME: Duration = Duration::from_secs(5);
/// The longest time for which a request waits for one.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// The largest set.
const FETCH_BYTES: usize = 1 << 20;

/// The keys of one provider.
pub struct Remote {
    provider: Arc<str>,
    url: Uri,
    algorithms: Box<[Algorithm]>,
    // Not all services: they hold the configuration of their day.
    clock: Arc<dyn Clock>,
    outbound: Arc<dyn Outbound>,
    tasks: Arc<dyn Tasks>,
    known: ArcSwapOption<Known>,
    schedule: Mutex<Schedule>,
    /// Tells the task that something else is due now. Apart, so that the task can wait without holding this.
    wake: Arc<Notify>,
    /// Counts the fetches that ended.
    turns: watch::Sender<u64>,
    /// Whether anybody fetches at all: not in `check` and `explain`.
    is_live: AtomicBool,
}

/// The last good keys.
pub struct Known {
    /// The keys.
    pub keys: Keys,
    /// Differs whenever the keys do.
    pub generation: u64,
    digest: [u8; 32],
}

/// Why a fetch brought no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// An answer, but not 200.
    #[error("its answer has the status {0}")]
    Status(StatusCode),
    /// Not a set of keys.
    #[error(transparent)]
    Set(#[from] SetError),
}

impl Remote {
    /// Knows nothing until it has fetched.
    pub fn new(
        provider: &Arc<str>,
        url: Uri,
        algorithms: &[Algorithm],
        services: &Services,
    ) -> Self {
        Self {
            provider: Arc::clone(provider),
            url,
            algorithms: algorithms.into(),
            known: ArcSwapOption::empty(),
            schedule: Mutex::new(Schedule::new(services.clock.elapsed())),
            wake: Arc::default(),
            turns: watch::Sender::default(),
            is_live: AtomicBool::new(false),
            clock: Arc::clone(&services.clock),
            outbound: Arc::clone(&services.outbound),
            tasks: Arc::clone(&services.tasks),
        }
    }

    /// The last good keys.
    pub fn known(&self) -> Guard<Option<Arc<Known>>> {
        self.known.load()
    }

    /// Why requests had better go elsewhere: no keys were ever had.
    pub fn unready(&self) -> Option<String> {
        let missing = self.known.load().is_none();
        missing.then(|| format!("the keys of `{}` have not been fetched yet", self.provider))
    }

    /// Fetches once, before there is a task that does.
    pub async fn prepare(&self) {
        self.is_live.store(true, Ordering::Release);
        if self.known.load().is_none() {
            self.fetch().await;
        }
    }

    /// Starts the task that fetches from now on, for as long as somebody holds this.
    pub fn activate(self: &Arc<Self>) {
        self.is_live.store(true, Ordering::Release);
        let task = keep_fresh(Arc::downgrade(self), Arc::clone(&self.wake));
        self.tasks.spawn(Box::pin(task));
    }

    /// Asks for newer keys than those that are known, and waits for the fetch that this starts or that is under way.
    /// `false` at once where there was one lately.
    pub async fn refresh(&self) -> bool {
        if !self.is_live.load(Ordering::Acquire) {
            return false;
        }
        // Before the question, so that no end is missed.
        let mut turns = self.turns.subscribe();
        if !self.schedule.lock().ask(self.clock.elapsed()) {
            return false;
        }
        self.wake.notify_one();
        let ended = timeout(WAIT_MAX, turns.changed()).await;
        matches!(ended, Ok(Ok(())))
    }

    async fn fetch(&self) {
        self.schedule.lock().start();
        let fetched = self.ask().await;
        let now = self.clock.elapsed();
        match fetched {
            Ok(fresh) => self.schedule.lock().succeed(now, fresh),
            Err(error) => {
                self.schedule.lock().fail(now);
                self.complain(error);
            }
        }
        self.turns.send_modify(|turns| *turns += 1);
    }

    /// Asks the provider and takes over what it says; answers for how long that is fresh.
    async fn ask(&self) -> Result<Duration, FetchError> {
        let request = Request::get(self.url.clone())
            .header(header::ACCEPT, "application/jwk-set+json, application/json")
            .body(Bytes::new())
            .map_err(|_| CallError::Url)?;
        let limits = CallLimits {
            time: FETCH_TIME,
            bytes: FETCH_BYTES,
        };
        let answer = self.outbound.send(request, limits).await?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        self.take(answer.body())?;
        Ok(freshness::of(answer.headers(), self.clock.now()))
    }

    fn take(&self, document: &[u8]) -> Result<(), SetError> {
        let digest = sha256(document);
        let known = self.known.load();
        if known.as_ref().is_some_and(|known| known.digest == digest) {
            return Ok(());
        }
        let keys = set::read(document, &self.algorithms)?;
        let generation = known.as_ref().map_or(1, |known| known.generation + 1);
        let known = Known {
            keys,
            generation,
            digest,
        };
        self.known.store(Some(Arc::new(known)));
        tracing::info!(provider = %self.provider, generation, "Took over the provider's keys");
        Ok(())
    }

    fn complain(&self, error: FetchError) {
        let provider = &self.provider;
        if self.known.load().is_some() {
            tracing::warn!(%provider, %error, "Cannot fetch the provider's keys; the last good ones stay");
        } else {
            tracing::warn!(%provider, %error, "Cannot fetch the provider's keys, and has none yet");
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        // The task finds nobody and ends, instead of sleeping on.
        self.wake.notify_one();
    }
}

/// Fetches whenever something is due, until nobody holds the keys any more.
async fn keep_fresh(keys: Weak<Remote>, wake: Arc<Notify>) {
    loop {
        let wait = match keys.upgrade() {
            Some(keys) => keys.wait(),
            None => return,
        };
        // Over early where somebody asks; what is due then is looked up anew.
        if timeout(wait, wake.notified()).await.is_err()
            && let Some(keys) = keys.upgrade()
        {
            keys.fetch().await;
        }
    }
}

impl Remote {
    fn wait(&self) -> Duration {
        let now = self.clock.elapsed();
        self.schedule.lock().wait(now)
    }
}

#[cfg(test)]
mod tests;
