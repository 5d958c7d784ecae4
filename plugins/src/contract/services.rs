//! What plugins need from outside and are handed: the clock, calls to others, tasks, stores, counters, files.
//!
//! Every service is a trait that the gateway implements for the daemon, and with nothing behind it for `check` and
//! `explain`, which must not speak to anybody.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response};

use super::consumers::Directory;
use super::file::FileRef;
use super::place::At;
use super::secret::{Secret, SecretRef};

/// A future behind a pointer.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Everything from outside. Cloning it clones pointers.
#[derive(Clone)]
pub struct Services {
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// HTTP calls to others.
    pub outbound: Arc<dyn Outbound>,
    /// Work beside the requests.
    pub tasks: Arc<dyn Tasks>,
    /// Counters.
    pub meter: Arc<dyn Meter>,
    /// Files and secrets that the configuration names.
    pub files: Arc<dyn Files>,
    /// `[consumer.NAME]`
    pub consumers: Arc<Directory>,
    /// `[store.NAME]`
    pub stores: Arc<BTreeMap<String, Arc<dyn Store>>>,
}

/// What time it is.
pub trait Clock: Send + Sync {
    /// The wall clock: may jump.
    fn now(&self) -> SystemTime;
    /// Time since some moment in the past: never falls.
    fn elapsed(&self) -> Duration;
}

/// HTTP calls to others: identity providers, authorisation services.
pub trait Outbound: Send + Sync {
    /// Sends a request to an absolute `http` or `https` URL and reads the whole answer. Follows no redirect, repeats
    /// nothing, keeps no cookie.
    fn send(
        &self,
        request: Request<Bytes>,
        limits: CallLimits,
    ) -> Boxed<'_, Result<Response<Bytes>, CallError>>;
}

/// What a call may cost.
#[derive(Debug, Clone, Copy)]
pub struct CallLimits {
    /// From the look-up of the name to the last byte.
    pub time: Duration,
    /// Bytes of the answer's content; a longer one is an error.
    pub bytes: usize,
}

/// Why a call brought no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The URL is not one of `http` or `https` with a host.
    #[error("its URL cannot be called")]
    Url,
    /// The name stands for no address.
    #[error("its name cannot be looked up")]
    Name,
    /// No connection, TLS included.
    #[error("it cannot be connected to")]
    Connect,
    /// The time is over.
    #[error("it took too long")]
    Timeout,
    /// The answer is larger than allowed.
    #[error("its answer is too large")]
    TooLarge,
    /// The connection broke, or what came is no answer.
    #[error("it broke off or did not speak HTTP")]
    Broken,
    /// Nobody is called from here: `check`, `explain`.
    #[error("nobody is called from here")]
    Nobody,
}

/// Work beside the requests.
pub trait Tasks: Send + Sync {
    /// Starts a task. It ends by itself when nobody holds what it works for (hold that weakly), at the latest with the
    /// process.
    fn spawn(&self, task: Boxed<'static, ()>);
}

/// Counters, resolved at reload and kept: a request only adds.
pub trait Meter: Send + Sync {
    /// The counter of these label values, the same one whenever it is asked for. As many values as the family has labels;
    /// none of them may come from a request.
    fn counter(&self, family: &'static Family, values: &[&str]) -> Count;
}

/// Counters of one name.
#[derive(Debug)]
pub struct Family {
    /// Name with prefix: `gateway_auth_total`.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Names of the labels.
    pub labels: &'static [&'static str],
}

/// A number that only grows.
#[derive(Debug, Clone, Default)]
pub struct Count(Arc<AtomicU64>);

impl Count {
    /// Adds one.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Its value.
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether somebody else holds it, too.
    pub fn is_used(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }
}

/// Files and secrets that the configuration names; relative paths are relative to the file that names them.
pub trait Files: Send + Sync {
    /// Reads a file of at most `max` bytes. Text for people where it cannot be had.
    fn read(&self, file: &At<FileRef>, max: u64) -> Result<Vec<u8>, String>;
    /// Reads a secret. The text for people never holds it.
    fn secret(&self, secret: &At<SecretRef>) -> Result<Secret, String>;
}

/// A store that several gateways share, `[store.NAME]`. Every call ends within the store's own timeout.
pub trait Store: Send + Sync {
    /// The value of a key.
    fn get<'a>(&'a self, key: &'a [u8]) -> Boxed<'a, Result<Option<Bytes>, StoreError>>;
    /// Sets a key for a time. With `only_new` an existing key stays as it is; says whether the value was set.
    fn set<'a>(
        &'a self,
        key: &'a [u8],
        value: &'a [u8],
        keep: Duration,
        only_new: bool,
    ) -> Boxed<'a, Result<bool, StoreError>>;
    /// Sets a key for a time if there is none, else says what is there: one step that no other interrupts.
    fn claim<'a>(
        &'a self,
        key: &'a [u8],
        value: &'a [u8],
        keep: Duration,
    ) -> Boxed<'a, Result<Option<Bytes>, StoreError>>;
    /// Puts another value in the place of this one, or deletes it; says whether this one was still there.
    fn exchange<'a>(
        &'a self,
        key: &'a [u8],
        old: &'a [u8],
        new: Option<(&'a [u8], Duration)>,
    ) -> Boxed<'a, Result<bool, StoreError>>;
    /// Deletes a key.
    fn delete<'a>(&'a self, key: &'a [u8]) -> Boxed<'a, Result<(), StoreError>>;
    /// Runs a script on one key in one round trip, as one step that no other interrupts.
    fn script<'a>(
        &'a self,
        script: &'static Script,
        key: &'a [u8],
        arguments: &'a [i64],
    ) -> Boxed<'a, Result<Vec<i64>, StoreError>>;
    /// Whether it is worth asking: false while it is known not to answer.
    fn is_up(&self) -> bool;
}

/// A script in Lua: the key is `KEYS[1]`, integers are `ARGV`, and it returns integers.
#[derive(Debug)]
pub struct Script {
    /// For messages.
    pub name: &'static str,
    /// Its text.
    pub text: &'static str,
}

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It is known not to answer, and was not asked.
    #[error("the store is down")]
    Down,
    /// It did not answer in time.
    #[error("the store took too long")]
    Timeout,
    /// It answered with an error, or with something else than asked for.
    #[error("the store answered with an error")]
    Failed,
}

/// Services with nothing behind them: a still clock, nobody to call, no task, no store.
#[derive(Debug, Clone, Copy)]
pub struct Nothing;

impl Clock for Nothing {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

impl Outbound for Nothing {
    fn send(
        &self,
        _: Request<Bytes>,
        _: CallLimits,
    ) -> Boxed<'_, Result<Response<Bytes>, CallError>> {
        Box::pin(std::future::ready(Err(CallError::Nobody)))
    }
}

impl Tasks for Nothing {
    fn spawn(&self, task: Boxed<'static, ()>) {
        drop(task);
    }
}

impl Meter for Nothing {
    fn counter(&self, _: &'static Family, _: &[&str]) -> Count {
        Count::default()
    }
}

impl Files for Nothing {
    fn read(&self, file: &At<FileRef>, _: u64) -> Result<Vec<u8>, String> {
        Err(format!("{} is not read here", **file))
    }

    fn secret(&self, secret: &At<SecretRef>) -> Result<Secret, String> {
        Err(format!("{} is not read here", **secret))
    }
}

impl Services {
    /// Nothing behind anything.
    pub fn nothing() -> Self {
        Self {
            clock: Arc::new(Nothing),
            outbound: Arc::new(Nothing),
            tasks: Arc::new(Nothing),
            meter: Arc::new(Nothing),
            files: Arc::new(Nothing),
            consumers: Arc::default(),
            stores: Arc::default(),
        }
    }
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}
