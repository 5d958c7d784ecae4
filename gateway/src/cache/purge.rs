//! Forgetting answers by URL, by prefix or by tag, in all variants and at once.

use super::zone::Zone;
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
    let mut count = 0;
    for zone in zones {
        // First, so that what is on its way now is not kept after all.
        zone.purged();
        for entry in found(zone, target) {
            if soft {
                entry.expire();
            } else {
                zone.remove(&entry);
            }
            count += 1;
        }
    }
    count
}

fn found(zone: &Zone, target: &Target) -> Vec<std::sync::Arc<super::entry::Entry>> {
    match target {
        Target::Tag(tag) => zone.tagged(tag),
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
