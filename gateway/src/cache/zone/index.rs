//! Answers by URL and by tag, for purges.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use crate::cache::entry::Entry;

type ById = BTreeMap<(Arc<str>, u64), Arc<Entry>>;

/// Both ways to find answers without their key.
#[derive(Default)]
pub(super) struct Index {
    urls: ById,
    tags: ById,
}

impl Index {
    pub(super) fn add(&mut self, entry: &Arc<Entry>) {
        self.urls
            .insert((entry.place.url.clone(), entry.id), entry.clone());
        for tag in &entry.tags {
            self.tags.insert((tag.clone(), entry.id), entry.clone());
        }
    }

    pub(super) fn remove(&mut self, entry: &Arc<Entry>) {
        self.urls.remove(&(entry.place.url.clone(), entry.id));
        for tag in &entry.tags {
            self.tags.remove(&(tag.clone(), entry.id));
        }
    }

    pub(super) fn at_url(&self, url: &str) -> Vec<Arc<Entry>> {
        exactly(&self.urls, url)
    }

    pub(super) fn tagged(&self, tag: &str) -> Vec<Arc<Entry>> {
        exactly(&self.tags, tag)
    }

    pub(super) fn below(&self, prefix: &str) -> Vec<Arc<Entry>> {
        let from = (Arc::from(prefix), 0);
        let found = self.urls.range((Bound::Included(from), Bound::Unbounded));
        found
            .take_while(|((url, _), _)| url.starts_with(prefix))
            .map(|(_, entry)| entry.clone())
            .collect()
    }
}

fn exactly(map: &ById, name: &str) -> Vec<Arc<Entry>> {
    let name: Arc<str> = Arc::from(name);
    let found = map.range((name.clone(), 0)..=(name, u64::MAX));
    found.map(|(_, entry)| entry.clone()).collect()
}
