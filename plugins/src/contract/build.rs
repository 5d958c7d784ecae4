//! What a policy is built with: its place, what it shares with others, and what went before.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::plugin::Plugin;
use super::services::Services;

/// The circumstances in which one policy is compiled.
pub struct Build<'a, P: Plugin> {
    /// The name of the policy; `None` for an inline table.
    pub name: Option<&'a str>,
    /// The route that it is compiled for.
    pub route: &'a str,
    /// The most time that the route gives a request.
    pub timeout: Duration,
    /// Which of the route's policies of this plugin it is, from 0.
    pub index: usize,
    /// What was at this place before the reload.
    pub previous: Option<&'a P>,
    /// What all policies of the plugin share.
    pub shared: &'a mut P::Shared,
    /// What they shared before the reload.
    pub before: Option<&'a P::Shared>,
    /// What there is from outside.
    pub services: &'a Services,
}

impl<P: Plugin> Build<'_, P> {
    /// What tells this policy from all others of the plugin: its name, or for an inline table its place. Names hold no `/`.
    pub fn key(&self) -> String {
        match self.name {
            Some(name) => name.to_owned(),
            None => format!("{}/{}", self.route, self.index),
        }
    }
}

/// Things that policies share by name: made once for all routes that name it, and handed over across reloads as long as
/// the configuration of the thing stays the same.
pub struct Pool<C, T> {
    entries: HashMap<String, Entry<C, T>>,
}

struct Entry<C, T> {
    config: C,
    thing: Arc<T>,
    is_new: bool,
}

impl<C, T> Default for Pool<C, T> {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
        }
    }
}

impl<C: Clone + PartialEq, T> Pool<C, T> {
    /// The thing of this name and configuration: the one that another route has already, the one from before the reload, or a
    /// new one.
    pub fn obtain<E>(
        &mut self,
        before: Option<&Self>,
        key: &str,
        config: &C,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        if let Some(entry) = self.same(key, config) {
            return Ok(entry.thing.clone());
        }
        let old = before.and_then(|before| before.same(key, config));
        let (thing, is_new) = match old {
            Some(old) => (old.thing.clone(), false),
            None => (Arc::new(make()?), true),
        };
        let config = config.clone();
        let entry = Entry {
            config,
            thing: thing.clone(),
            is_new,
        };
        self.entries.insert(key.to_owned(), entry);
        Ok(thing)
    }

    fn same(&self, key: &str, config: &C) -> Option<&Entry<C, T>> {
        let entry = self.entries.get(key)?;
        (entry.config == *config).then_some(entry)
    }
}

impl<C, T> Pool<C, T> {
    /// All things with their keys.
    pub fn all(&self) -> impl Iterator<Item = (&str, &Arc<T>)> {
        let entries = self.entries.iter();
        entries.map(|(key, entry)| (&**key, &entry.thing))
    }

    /// Those that the snapshot before did not have: whoever starts tasks starts theirs.
    pub fn new_ones(&self) -> impl Iterator<Item = &Arc<T>> {
        let new = self.entries.values().filter(|entry| entry.is_new);
        new.map(|entry| &entry.thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn obtain(pool: &mut Pool<u8, u8>, before: Option<&Pool<u8, u8>>, config: u8) -> Arc<u8> {
        let made: Result<_, ()> = pool.obtain(before, "plans", &config, || Ok(config));
        made.unwrap()
    }

    #[test]
    fn all_who_name_a_thing_get_the_same() {
        let mut pool = Pool::default();
        let one = obtain(&mut pool, None, 1);
        assert!(Arc::ptr_eq(&one, &obtain(&mut pool, None, 1)));
        assert_eq!(pool.new_ones().count(), 1);
    }

    #[test]
    fn a_thing_outlives_a_reload_that_does_not_change_it() {
        let (mut old, mut new) = (Pool::default(), Pool::default());
        let before = obtain(&mut old, None, 1);
        let after = obtain(&mut new, Some(&old), 1);
        assert!(Arc::ptr_eq(&before, &after));
        assert_eq!(new.new_ones().count(), 0);
        let changed = obtain(&mut Pool::default(), Some(&old), 2);
        assert!(!Arc::ptr_eq(&before, &changed));
    }
}
