//! A store in memory that several policies share, and that may be away. It keeps for ever what is set, and runs no script.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::contract::services::{Boxed, Script, Services, Store, StoreError};

/// A store for tests.
#[derive(Default)]
pub struct TestStore {
    kept: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    away: Mutex<bool>,
}

impl TestStore {
    /// These services, and it as `[store.shared]`.
    pub fn among(self: &Arc<Self>, services: Services) -> Services {
        let shared: Arc<dyn Store> = self.clone();
        Services {
            stores: Arc::new(BTreeMap::from([("shared".to_owned(), shared)])),
            ..services
        }
    }

    /// From now on it does not answer.
    pub fn leave(&self) {
        *self.away.lock() = true;
    }

    /// It answers again, and has what it had.
    pub fn come_back(&self) {
        *self.away.lock() = false;
    }

    /// All that is kept, in the order of the keys.
    pub fn kept(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.kept.lock().clone().into_iter().collect()
    }

    /// Whatever it has is something else now.
    pub fn spoil(&self) {
        for value in self.kept.lock().values_mut() {
            *value = b"something else".to_vec();
        }
    }

    fn answer<T: Send + 'static>(
        &self,
        does: impl FnOnce(&mut BTreeMap<Vec<u8>, Vec<u8>>) -> T,
    ) -> Boxed<'_, Result<T, StoreError>> {
        let answer = if *self.away.lock() {
            Err(StoreError::Down)
        } else {
            Ok(does(&mut self.kept.lock()))
        };
        Box::pin(std::future::ready(answer))
    }
}

impl Store for TestStore {
    fn get<'a>(&'a self, key: &'a [u8]) -> Boxed<'a, Result<Option<Bytes>, StoreError>> {
        self.answer(|kept| kept.get(key).cloned().map(Bytes::from))
    }

    fn set<'a>(
        &'a self,
        key: &'a [u8],
        value: &'a [u8],
        _: Duration,
        only_new: bool,
    ) -> Boxed<'a, Result<bool, StoreError>> {
        self.answer(|kept| {
            let sets = !only_new || !kept.contains_key(key);
            if sets {
                kept.insert(key.to_vec(), value.to_vec());
            }
            sets
        })
    }

    fn claim<'a>(
        &'a self,
        key: &'a [u8],
        value: &'a [u8],
        _: Duration,
    ) -> Boxed<'a, Result<Option<Bytes>, StoreError>> {
        self.answer(|kept| {
            let there = kept.get(key).cloned().map(Bytes::from);
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
        self.answer(|kept| {
            let is_there = kept.get(key).is_some_and(|there| there == old);
            match new.filter(|_| is_there) {
                Some((value, _)) => drop(kept.insert(key.to_vec(), value.to_vec())),
                None if is_there => drop(kept.remove(key)),
                None => {}
            }
            is_there
        })
    }

    fn delete<'a>(&'a self, key: &'a [u8]) -> Boxed<'a, Result<(), StoreError>> {
        self.answer(|kept| drop(kept.remove(key)))
    }

    fn script<'a>(
        &'a self,
        _: &'static Script,
        _: &'a [u8],
        _: &'a [i64],
    ) -> Boxed<'a, Result<Vec<i64>, StoreError>> {
        self.answer(|_| Vec::new())
    }

    fn is_up(&self) -> bool {
        !*self.away.lock()
    }
}
