//! A Redis, or a cluster of them, behind a breaker.
//!
//! ```text
//!  call ─▶ link? ─none─▶ Down, at once
//!            │ some
//!            ▼
//!          ask, at most `timeout` ─▶ answer
//!            │ the connection broke, the server cannot serve, three answers in a row did not come
//!            ▼
//!          no link; the watch connects again, writes a probe, and only then puts the link back
//! ```
//!
//! One multiplexed connection serves all workers. An error that is about one key (a wrong type, a script that fails) is
//! the call's alone; an error that every call would get (LOADING, READONLY, MOVED without a cluster, no permission) takes
//! the link away.

mod link;
pub mod log;
mod swap;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use parking_lot::Mutex;
use plugins::contract::secret::Secret;
use plugins::contract::services::{Boxed, Count, Family, Meter, Script, Store, StoreError, Tasks};
use redis::{RedisError, RedisResult};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::config::model::StoreConfig;
use link::Link;

/// Answers in a row that may be late before the link is given up.
const LATE_MAX: u32 = 3;
/// For connecting, greeting and probing.
const CONNECT: Duration = Duration::from_secs(1);
/// Pauses between attempts to connect.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How often the watch looks whether anybody still has the store.
const LOOK: Duration = Duration::from_secs(5);

static CALLS: Family = Family {
    name: "gateway_store_calls_total",
    help: "Calls of a store by their result.",
    labels: &["store", "result"],
};

/// What a store is made of; the same settings, the same store.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The table.
    pub config: StoreConfig,
    /// The password that it names.
    pub password: Option<Secret>,
}

/// A store.
pub struct Redis {
    settings: Settings,
    link: ArcSwapOption<Link>,
    /// The link is gone.
    broken: Arc<Notify>,
    late: AtomicU32,
    is_watched: AtomicBool,
    /// Scripts with their digests, each made once.
    scripts: Mutex<Vec<(&'static Script, Arc<redis::Script>)>>,
    calls: Calls,
}

struct Calls {
    answered: Count,
    late: Count,
    failed: Count,
    down: Count,
}

impl Redis {
    /// A store without a link.
    pub fn new(settings: Settings, meter: &dyn Meter) -> Self {
        let call = |result: &str| meter.counter(&CALLS, &[&settings.config.name, result]);
        Self {
            calls: Calls {
                answered: call("answered"),
                late: call("timeout"),
                failed: call("failed"),
                down: call("down"),
            },
            settings,
            link: ArcSwapOption::empty(),
            broken: Arc::new(Notify::new()),
            late: AtomicU32::new(0),
            is_watched: AtomicBool::new(false),
            scripts: Mutex::default(),
        }
    }

    /// What it is made of.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Connects and writes a probe; logs what came of it.
    pub async fn connect(&self) -> bool {
        let name = &self.settings.config.name;
        let opened = timeout(CONNECT, Link::open(&self.settings)).await;
        match opened {
            Ok(Ok(link)) => {
                self.late.store(0, Ordering::Relaxed);
                self.link.store(Some(Arc::new(link)));
                tracing::info!(store = %name, "The store answers");
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(store = %name, %error, "The store cannot be used");
                false
            }
            Err(_) => {
                tracing::warn!(store = %name, "The store does not answer");
                false
            }
        }
    }

    /// Starts the watch, once.
    pub fn watch(self: &Arc<Self>, tasks: &dyn Tasks) {
        if !self.is_watched.swap(true, Ordering::Relaxed) {
            let (store, broken) = (Arc::downgrade(self), self.broken.clone());
            tasks.spawn(Box::pin(keep(store, broken)));
        }
    }

    async fn call<T, F>(&self, ask: impl FnOnce(Link) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let Some(link) = self.link.load_full() else {
            self.calls.down.add_one();
            return Err(StoreError::Down);
        };
        match timeout(self.settings.config.timeout, ask((*link).clone())).await {
            Ok(Ok(answer)) => {
                self.late.store(0, Ordering::Relaxed);
                self.calls.answered.add_one();
                Ok(answer)
            }
            Ok(Err(error)) => {
                self.calls.failed.add_one();
                if self.is_fatal(&error) {
                    self.give_up(&link, &error.to_string());
                } else {
                    let name = &self.settings.config.name;
                    tracing::debug!(store = %name, %error, "The store refused a call");
                }
                Err(StoreError::Failed)
            }
            Err(_) => {
                self.calls.late.add_one();
                if self.late.fetch_add(1, Ordering::Relaxed) + 1 >= LATE_MAX {
                    self.give_up(&link, "it does not answer in time");
                }
                Err(StoreError::Timeout)
            }
        }
    }

    /// Whether every call would end like this one.
    fn is_fatal(&self, error: &RedisError) -> bool {
        use redis::{ErrorKind, ServerErrorKind as Server};
        match error.kind() {
            ErrorKind::Server(kind) => match kind {
                Server::BusyLoading
                | Server::ClusterDown
                | Server::MasterDown
                | Server::ReadOnly
                | Server::NoPerm => true,
                // A cluster's link follows these by itself, and comes here only after it has tried.
                Server::Moved | Server::Ask => !self.settings.config.cluster,
                // About this call, or of a kind that is not known yet.
                Server::ResponseError
                | Server::ExecAbort
                | Server::NoScript
                | Server::TryAgain
                | Server::CrossSlot
                | Server::NotBusy
                | Server::NoSub
                | _ => false,
            },
            ErrorKind::UnexpectedReturnType | ErrorKind::Extension | ErrorKind::Client => false,
            // Whatever else there is has to do with the connection.
            ErrorKind::Parse
            | ErrorKind::AuthenticationFailed
            | ErrorKind::InvalidClientConfig
            | ErrorKind::Io
            | ErrorKind::MasterNameNotFoundBySentinel
            | ErrorKind::NoValidReplicasFoundBySentinel
            | ErrorKind::EmptySentinelList
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::RESP3NotSupported
            | _ => true,
        }
    }

    /// Takes the link away, unless there is a newer one.
    fn give_up(&self, link: &Arc<Link>, why: &str) {
        let current = self.link.load();
        if current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, link))
        {
            self.link.store(None);
            self.broken.notify_one();
            let name = &self.settings.config.name;
            tracing::warn!(store = %name, error = why, "The store is down");
        }
    }

    fn prepared(&self, script: &'static Script) -> Arc<redis::Script> {
        let mut scripts = self.scripts.lock();
        let known = scripts
            .iter()
            .find(|(known, _)| std::ptr::eq(*known, script));
        if let Some((_, prepared)) = known {
            return prepared.clone();
        }
        let prepared = Arc::new(redis::Script::new(script.text));
        scripts.push((script, prepared.clone()));
        prepared
    }
}

/// Puts a link back whenever there is none; ends with the store.
async fn keep(store: Weak<Redis>, broken: Arc<Notify>) {
    let mut pause = PAUSE_MIN;
    while let Some(store) = store.upgrade() {
        if store.is_up() || store.connect().await {
            pause = PAUSE_MIN;
            drop(store);
            // Either something broke, or it is time to see whether anybody still has the store.
            drop(timeout(LOOK, broken.notified()).await);
        } else {
            drop(store);
            sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }
}

/// Read here and not by the library, whose error would look like that of a broken connection.
fn integers(answer: &redis::Value) -> RedisResult<Vec<i64>> {
    let redis::Value::Array(items) = answer else {
        return Err(unexpected());
    };
    let integer = |item: &redis::Value| {
        let redis::Value::Int(number) = *item else {
            return Err(unexpected());
        };
        Ok(number)
    };
    items.iter().map(integer).collect()
}

/// How long a key lives, as Redis wants it.
fn millis(keep: Duration) -> u64 {
    u64::try_from(keep.as_millis()).unwrap_or(u64::MAX).max(1)
}

fn unexpected() -> RedisError {
    (
        redis::ErrorKind::UnexpectedReturnType,
        "not what was asked for",
    )
        .into()
}

impl Store for Redis {
    fn get<'a>(&'a self, key: &'a [u8]) -> Boxed<'a, Result<Option<Bytes>, StoreError>> {
        Box::pin(self.call(async move |mut link| {
            let value: Option<Vec<u8>> = redis::cmd("GET").arg(key).query_async(&mut link).await?;
            Ok(value.map(Bytes::from))
        }))
    }

    fn set<'a>(
        &'a self,
        key: &'a [u8],
        value: &'a [u8],
        keep: Duration,
        only_new: bool,
    ) -> Boxed<'a, Result<bool, StoreError>> {
        Box::pin(self.call(async move |mut link| {
            let mut command = redis::cmd("SET");
            command.arg(key).arg(value).arg("PX").arg(millis(keep));
            if only_new {
                command.arg("NX");
            }
            let answer: redis::Value = command.query_async(&mut link).await?;
            Ok(answer != redis::Value::Nil)
        }))
    }

    fn claim<'a>(
        &'a self,
        key: &'a [u8],
        value: &'a [u8],
        keep: Duration,
    ) -> Boxed<'a, Result<Option<Bytes>, StoreError>> {
        let script = self.prepared(&swap::CLAIM);
        Box::pin(self.call(async move |mut link| {
            let mut call = script.key(key);
            call.arg(value).arg(millis(keep));
            swap::value(call.invoke_async(&mut link).await?)
        }))
    }

    fn exchange<'a>(
        &'a self,
        key: &'a [u8],
        old: &'a [u8],
        new: Option<(&'a [u8], Duration)>,
    ) -> Boxed<'a, Result<bool, StoreError>> {
        let script = self.prepared(&swap::EXCHANGE);
        Box::pin(self.call(async move |mut link| {
            let mut call = script.key(key);
            call.arg(old);
            if let Some((value, keep)) = new {
                call.arg(value).arg(millis(keep));
            }
            swap::done(&call.invoke_async(&mut link).await?)
        }))
    }

    fn delete<'a>(&'a self, key: &'a [u8]) -> Boxed<'a, Result<(), StoreError>> {
        Box::pin(self.call(async move |mut link| {
            let _gone: u64 = redis::cmd("DEL").arg(key).query_async(&mut link).await?;
            Ok(())
        }))
    }

    fn script<'a>(
        &'a self,
        script: &'static Script,
        key: &'a [u8],
        arguments: &'a [i64],
    ) -> Boxed<'a, Result<Vec<i64>, StoreError>> {
        let script = self.prepared(script);
        Box::pin(self.call(async move |mut link| {
            let mut call = script.prepare_invoke();
            call.key(key);
            for argument in arguments {
                call.arg(*argument);
            }
            integers(&call.invoke_async(&mut link).await?)
        }))
    }

    fn is_up(&self) -> bool {
        self.link.load().is_some()
    }
}
