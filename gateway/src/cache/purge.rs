//! Forgetting answers by URL, by prefix or by tag, in all variants and at once.

use std::sync::Arc;

use super::entry::Place;
use super::zone::{Recalled, Zone};
use crate::routing::path::{PathPolicy, normalise};

/// Which answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Those to one URL.
    Url(String),
    /// Those to all URLs that begin so.
    Prefix(String),
    /// Those with a tag.
    Tag(String),
}

/// Takes them out, or marks them stale; how many there were.
pub fn purge(zones: &[&'static Zone], target: &Target, soft: bool) -> usize {
    zones.iter().map(|zone| purge_in(zone, target, soft)).sum()
}

/// The same in one zone.
pub fn purge_in(zone: &Zone, target: &Target, soft: bool) -> usize {
    let count = forget(zone, target, soft, true);
    zone.count_purged(count);
    count
}

/// Marks everything stale: nobody knows what should have been forgotten. How many there were in memory. Unless it is `noted`,
/// files that are not known yet are left out.
pub fn expire_all(zone: &Zone, noted: bool) -> usize {
    forget(zone, &Target::Prefix(String::new()), true, noted)
}

fn forget(zone: &Zone, target: &Target, soft: bool, noted: bool) -> usize {
    // First, so that what is on its way now is not kept after all.
    match &Meant::by(target) {
        Meant::Url(url, _) => zone.recall(Recalled::Url(url)),
        Meant::Prefix(prefix) => zone.recall(Recalled::Below(prefix)),
        Meant::Tag(tag) => zone.recall(Recalled::Tag(tag)),
    }
    let _forgetting = noted.then(|| zone.note(target, soft, true));
    let found = found(zone, target);
    for entry in &found {
        if soft {
            zone.expire(entry);
        } else {
            zone.remove(entry);
        }
    }
    found.len()
}

/// Whether what was purged so far stays so over a crash.
pub async fn recorded(zones: &[&'static Zone]) -> bool {
    let mut all = true;
    for zone in zones {
        all &= zone.recorded().await;
    }
    all
}

/// A request has changed what is at a URL: takes its answers out.
pub fn changed(zones: &[&'static Zone], url: &str, query: Option<&str>) {
    for zone in zones {
        let partly_known = zone.disk().is_some_and(|disk| !disk.is_loaded());
        let _forgetting = partly_known.then(|| zone.note(&whole_url(url, query), false, false));
        // First, so that what is on its way now is not kept after all.
        zone.recall(Recalled::Url(url));
        let mut found = zone.at_url(url);
        found.retain(|entry| entry.place.answers(query) && zone.remove(entry));
        zone.count_changed(found.len());
    }
}

fn whole_url(url: &str, query: Option<&str>) -> Target {
    Target::Url(joined(url, query))
}

/// A URL and its query in one.
pub fn joined(url: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{url}?{query}"),
        None => url.to_owned(),
    }
}

/// Which answers, in the form in which they are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// Those to this URL with this query.
    Url(String, Option<String>),
    /// Those to all URLs that begin so.
    Prefix(String),
    /// Those with this tag.
    Tag(String),
}

impl Meant {
    /// What is meant by somebody's words.
    pub fn by(target: &Target) -> Self {
        match target {
            Target::Url(url) => {
                let (url, query) = as_stored(url);
                Self::Url(url, query.map(ToOwned::to_owned))
            }
            // Everything, which only we ask for.
            Target::Prefix(prefix) if prefix.is_empty() => Self::Prefix(String::new()),
            Target::Prefix(prefix) => Self::Prefix(as_stored(prefix).0),
            Target::Tag(tag) => Self::Tag(tag.clone()),
        }
    }

    /// Whether an answer is among them.
    pub fn is(&self, place: &Place, tags: &[Arc<str>]) -> bool {
        match self {
            Self::Url(url, query) => *place.url == **url && place.answers(query.as_deref()),
            Self::Prefix(prefix) => place.url.starts_with(&**prefix),
            Self::Tag(tag) => tags.iter().any(|other| **other == **tag),
        }
    }
}

fn found(zone: &Zone, target: &Target) -> Vec<std::sync::Arc<super::entry::Entry>> {
    match target {
        Target::Tag(tag) => zone.tagged(tag),
        Target::Prefix(prefix) if prefix.is_empty() => zone.below(""),
        Target::Prefix(prefix) => zone.below(&as_stored(prefix).0),
        Target::Url(url) => {
            let (url, query) = as_stored(url);
            let mut found = zone.at_url(&url);
            found.retain(|entry| entry.place.answers(query));
            found
        }
    }
}

/// A URL as answers are listed: scheme and host in lower case, the path in normal form; and its query.
fn as_stored(url: &str) -> (String, Option<&str>) {
    let url = url.split('#').next().unwrap_or_default();
    let (url, query) = match url.split_once('?') {
        Some((url, query)) => (url, Some(query)),
        None => (url, None),
    };
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(after_scheme..).unwrap_or_default();
    let at = rest.find('/').map_or(url.len(), |at| after_scheme + at);
    let (origin, path) = url.split_at(at);
    let path = if path.is_empty() { "/" } else { path };
    let normal = normalise(path, PathPolicy::LENIENT);
    let path = normal.as_deref().unwrap_or(path);
    (format!("{}{path}", origin.to_ascii_lowercase()), query)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_looked_up_as_they_are_stored() {
        for (url, stored, query) in [
            (
                "HTTPS://API.example.com/A/../b",
                "https://api.example.com/b",
                None,
            ),
            ("http://a:8080", "http://a:8080/", None),
            ("http://a/%7Eb?c=d#e", "http://a/~b", Some("c=d")),
            ("http://a/b/", "http://a/b/", None),
        ] {
            assert_eq!(as_stored(url), (stored.to_owned(), query), "{url}");
        }
    }
}
