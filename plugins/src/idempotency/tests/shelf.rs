//! A store in memory that several policies share, and that may be away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Scene, with};
use crate::contract::services::{Boxed, Script, Services, Store, StoreError, Tasks};
use crate::contract::testing::wait;
use crate::limit::tests::clock::TestClock;

#[derive(Default)]
pub(super) struct Shelf {
    kept: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    away: Mutex<bool>,
}

/// Runs tasks where they are started.
struct AtOnce;

impl Tasks for AtOnce {
    fn spawn(&self, task: Boxed<'static, ()>) {
        wait(task);
    }
}

impl Shelf {
    /// A policy of a gateway that has it.
    pub(super) fn scene(self: &Arc<Self>, table: &str) -> Scene {
        let (clock, services) = TestClock::services();
        let shared: Arc<dyn Store> = self.clone();
        let services = Services {
            stores: Arc::new(BTreeMap::from([("shared".to_owned(), shared)])),
            tasks: Arc::new(AtOnce),
            ..services
        };
        with(table, clock, &services)
    }

    pub(super) fn leave(&self) {
        *self.away.lock() = true;
    }

    pub(super) fn come_back(&self) {
        *self.away.lock() = false;
    }

    pub(super) fn keys(&self) -> usize {
        self.kept.lock().len()
    }

    /// Whatever it has is something else now.
    pub(super) fn spoil(&self) {
        for value in self.kept.lock().values_mut() {
            *value = b"something else".to_vec();
        }
    }

    fn answer<T: Send + 'static>(
        &self,
        does: impl FnOnce() -> T,
    ) -> Boxed<'_, Result<T, StoreError>> {
        let answer = if *self.away.lock() {
            Err(StoreError::Down)
        } else {
            Ok(does())
        };
        Box::pin(std::future::ready(answer))
    }
}

impl Store for Shelf {
    fn get<'a>(&'a self, _: &'a [u8]) -> Boxed<'a, Result<Option<Bytes>, StoreError>> {
        self.answer(|| None)
    }

    fn set<'a>(
        &'a self,
        _: &'a [u8],
        _: &'a [u8],
        _: Duration,
        _: bool,
    ) -> Boxed<'a, Result<bool, StoreError>> {
        self.answer(|| false)
    }

    fn claim<'a>(
        &'a self,
        key: &'a [u8],
        value: &'a [u8],
        _: Duration,
    ) -> Boxed<'a, Result<Option<Bytes>, StoreError>> {
        self.answer(|| {
            let mut kept = self.kept.lock();
            let there = kept.get(key).map(|there| Bytes::from(there.clone()));
            if there.is_none() {
                kept.insert(key.to_vec(), value.to_vec());
            }
            there
        })
    }

    fn exchange<'a>(
        &'a self,
        key: &'a [u8],
        old: &'a [u8],
        new: Option<(&'a [u8], Duration)>,
    ) -> Boxed<'a, Result<bool, StoreError>> {
        self.answer(|| {
            let mut kept = self.kept.lock();
            let is_there = kept.get(key).is_some_and(|there| there == old);
            match new.filter(|_| is_there) {
                Some((value, _)) => drop(kept.insert(key.to_vec(), value.to_vec())),
                None if is_there => drop(kept.remove(key)),
                None => {}
            }
            is_there
        })
    }

    fn delete<'a>(&'a self, _: &'a [u8]) -> Boxed<'a, Result<(), StoreError>> {
        self.answer(|| ())
    }

    fn script<'a>(
        &'a self,
        _: &'static Script,
        _: &'a [u8],
        _: &'a [i64],
    ) -> Boxed<'a, Result<Vec<i64>, StoreError>> {
        self.answer(Vec::new)
    }

    fn is_up(&self) -> bool {
        !*self.away.lock()
    }
}
