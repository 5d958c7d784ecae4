//! Calls to services that judge credentials: so many at once and no more, and one for all who ask the same at the same
//! time.

use std::collections::hash_map::Entry;
use std::hash::Hash;

use ahash::AHashMap;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

/// Calls of one provider under way at once.
const CALLS_MAX: usize = 1_024;

/// Too many calls are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Busy;

/// The calls of one provider.
pub(super) struct Calls<K, T> {
    room: Semaphore,
    under_way: Mutex<AHashMap<K, watch::Receiver<Option<T>>>>,
}

impl<K, T> Default for Calls<K, T> {
    fn default() -> Self {
        Self {
            room: Semaphore::new(CALLS_MAX),
            under_way: Mutex::default(),
        }
    }
}

/// Whether somebody asks already.
enum Role<T> {
    Leads(watch::Sender<Option<T>>),
    Follows(watch::Receiver<Option<T>>),
}

impl<K: Clone + Eq + Hash, T: Clone> Calls<K, T> {
    /// Makes a call, alone.
    pub(super) async fn one(&self, call: impl AsyncFnOnce() -> T) -> Result<T, Busy> {
        let _room = self.room.try_acquire().map_err(|_| Busy)?;
        Ok(call().await)
    }

    /// Makes a call, or waits for the one of the same key that is under way.
    pub(super) async fn shared(&self, key: K, call: impl AsyncFnOnce() -> T) -> Result<T, Busy> {
        loop {
            match self.role(&key) {
                Role::Leads(told) => {
                    // However this ends, also by a client that goes away, the next one leads.
                    let _turn = Turn(self, key);
                    let answer = self.one(call).await?;
                    told.send_replace(Some(answer.clone()));
                    return Ok(answer);
                }
                Role::Follows(mut heard) => {
                    if let Ok(answer) = heard.wait_for(Option::is_some).await
                        && let Some(answer) = &*answer
                    {
                        return Ok(answer.clone());
                    }
                }
            }
        }
    }

    fn role(&self, key: &K) -> Role<T> {
        match self.under_way.lock().entry(key.clone()) {
            Entry::Occupied(other) => Role::Follows(other.get().clone()),
            Entry::Vacant(free) => {
                let (told, heard) = watch::channel(None);
                free.insert(heard);
                Role::Leads(told)
            }
        }
    }
}

/// The turn of whoever makes the call.
struct Turn<'a, K: Eq + Hash, T>(&'a Calls<K, T>, K);

impl<K: Eq + Hash, T> Drop for Turn<'_, K, T> {
    fn drop(&mut self) {
        self.0.under_way.lock().remove(&self.1);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;
    use tokio::task::yield_now;

    use super::*;

    type Answers = Calls<u8, usize>;

    async fn count(calls: &AtomicUsize, gate: &Notify) -> usize {
        let number = calls.fetch_add(1, Ordering::Relaxed);
        gate.notified().await;
        number
    }

    #[tokio::test]
    async fn the_same_question_is_asked_once() {
        let (answers, made, gate) = (Arc::new(Answers::default()), Arc::default(), Arc::default());
        let ask = |key: u8| {
            let (answers, made, gate): (Arc<Answers>, Arc<AtomicUsize>, Arc<Notify>) =
                (Arc::clone(&answers), Arc::clone(&made), Arc::clone(&gate));
            tokio::spawn(async move {
                answers
                    .shared(key, async || count(&made, &gate).await)
                    .await
            })
        };
        let same: Vec<_> = (0..50).map(|_| ask(1)).collect();
        let other = ask(2);
        while made.load(Ordering::Relaxed) < 2 {
            yield_now().await;
        }
        gate.notify_waiters();
        let mut heard = Vec::new();
        for asker in same {
            heard.push(asker.await.unwrap().unwrap());
        }
        heard.dedup();
        assert_eq!(heard.len(), 1);
        assert_ne!(other.await.unwrap().unwrap(), heard[0]);
        assert!(answers.under_way.lock().is_empty());
    }

    #[tokio::test]
    async fn whoever_goes_away_leaves_the_question_to_the_next() {
        let answers = Arc::new(Answers::default());
        let first = {
            let answers = Arc::clone(&answers);
            tokio::spawn(async move {
                answers
                    .shared(1, async || std::future::pending().await)
                    .await
            })
        };
        while answers.under_way.lock().is_empty() {
            yield_now().await;
        }
        let second = {
            let answers = Arc::clone(&answers);
            tokio::spawn(async move { answers.shared(1, async || 7).await })
        };
        yield_now().await;
        first.abort();
        assert_eq!(second.await.unwrap(), Ok(7));
    }

    #[tokio::test]
    async fn there_is_room_for_so_many() {
        let answers = Answers::default();
        let all = answers.room.try_acquire_many(1_024).unwrap();
        assert_eq!(answers.one(async || 1).await, Err(Busy));
        assert_eq!(answers.shared(1, async || 1).await, Err(Busy));
        drop(all);
        assert_eq!(answers.shared(1, async || 1).await, Ok(1));
    }
}
