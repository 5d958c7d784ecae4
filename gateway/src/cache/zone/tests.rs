//! Who is found, what it costs, who goes.

use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderName, StatusCode};

use super::*;
use crate::cache::body::Body;
use crate::cache::entry::{Marks, Place};
use crate::cache::freshness::Times;
use crate::cache::query::QueryRule;

fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in pairs {
        fields.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    fields
}

fn key(path: &str) -> Key {
    let mut key = Key::default();
    key.part(path.as_bytes());
    key
}

struct Made<'a> {
    path: &'a str,
    vary: &'a [&'a str],
    request: &'a [(&'a str, &'a str)],
    tags: &'a [&'a str],
    size: usize,
}

const PLAIN: Made<'static> = Made {
    path: "/",
    vary: &[],
    request: &[],
    tags: &[],
    size: 0,
};

fn put(zone: &Zone, made: &Made<'_>) -> Arc<Entry> {
    let vary: Vec<HeaderName> = made.vary.iter().map(|name| name.parse().unwrap()).collect();
    let body = Body::default();
    body.push(Bytes::from(vec![0; made.size]));
    body.finish();
    let entry = Arc::new(Entry {
        id: zone.new_id(),
        place: Arc::new(Place {
            key: key(made.path),
            url: format!("http://a{}", made.path).into(),
            query: None,
            rule: Arc::new(QueryRule::All),
        }),
        values: vary::values(&fields(made.request), &vary),
        vary: vary.into(),
        status: StatusCode::OK,
        fields: HeaderMap::new(),
        times: Times {
            arrived: UNIX_EPOCH,
            initial_age: Duration::ZERO,
            lifetime: Duration::ZERO,
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            strict: false,
        },
        body: Arc::new(body),
        tags: made.tags.iter().map(|tag| Arc::from(*tag)).collect(),
        marks: Marks::default(),
        uses: Arc::default(),
    });
    zone.insert(&entry);
    zone.charge(&entry, made.size);
    entry
}

#[test]
fn finds_by_key_and_by_what_varies() {
    let zone = Zone::new("test", 1 << 20);
    let made = |language| {
        put(
            &zone,
            &Made {
                vary: &["accept-language"],
                request: &[("accept-language", language)],
                ..PLAIN
            },
        )
    };
    let (german, english) = (made("de"), made("en"));
    let found = |language| zone.find(&key("/"), &fields(&[("accept-language", language)]));
    assert!(Arc::ptr_eq(&found("de").unwrap(), &german));
    assert!(Arc::ptr_eq(&found("en").unwrap(), &english));
    assert!(found("fr").is_none() && zone.find(&key("/a"), &HeaderMap::new()).is_none());
    let newer = made("de");
    assert!(Arc::ptr_eq(&found("de").unwrap(), &newer));
    assert!(german.is_gone());
    assert_eq!(zone.census().entries, 2);
}

#[test]
fn one_url_has_only_so_many_variants() {
    let zone = Zone::new("test", 64 << 20);
    for n in 0..VARIANTS_MAX + 10 {
        let value = n.to_string();
        put(
            &zone,
            &Made {
                vary: &["a"],
                request: &[("a", &value)],
                ..PLAIN
            },
        );
    }
    assert_eq!(zone.census().entries, VARIANTS_MAX);
}

#[test]
fn what_is_out_costs_nothing() {
    let zone = Zone::new("test", 1 << 20);
    let entry = put(
        &zone,
        &Made {
            size: 1000,
            ..PLAIN
        },
    );
    assert!(zone.census().bytes > 1500);
    assert!(zone.remove(&entry) && !zone.remove(&entry));
    zone.charge(&entry, 1000);
    assert_eq!((zone.census().bytes, zone.census().entries), (0, 0));
    assert!(zone.at_url("http://a/").is_empty());
}

#[test]
fn never_holds_more_than_it_may_and_keeps_what_is_used() {
    let limit = 200_000;
    let zone = Zone::new("test", limit);
    let hot = put(
        &zone,
        &Made {
            path: "/hot",
            size: 1000,
            ..PLAIN
        },
    );
    for n in 0..1000 {
        hot.touch();
        put(
            &zone,
            &Made {
                path: &format!("/{n}"),
                size: 1000,
                ..PLAIN
            },
        );
        assert!(zone.census().bytes <= limit);
    }
    assert!(!hot.is_gone());
    assert!(zone.census().evictions > 800);
    zone.resize(0);
    assert_eq!((zone.census().bytes, zone.census().entries), (0, 0));
}

#[test]
fn finds_by_url_prefix_and_tag() {
    let zone = Zone::new("test", 1 << 20);
    for (path, tags) in [("/a", &["x"][..]), ("/a/b", &["x", "y"]), ("/b", &["xy"])] {
        put(
            &zone,
            &Made {
                path,
                tags,
                ..PLAIN
            },
        );
    }
    assert_eq!(zone.at_url("http://a/a").len(), 1);
    assert_eq!(zone.below("http://a/a").len(), 2);
    assert_eq!(zone.tagged("x").len(), 2);
    assert_eq!(zone.tagged("y").len(), 1);
}
