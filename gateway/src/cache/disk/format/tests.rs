//! What was written is read, and nothing else is.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::cache::body::Body;
use crate::cache::entry::{Entry, Marks, Place, Uses};
use crate::cache::freshness::Times;
use crate::cache::key::Key;
use crate::cache::query::{Glob, QueryRule};

fn entry(fields: &[(String, Vec<u8>)], query: Option<String>, tags: &[String]) -> Entry {
    let mut map = HeaderMap::new();
    for (name, value) in fields {
        map.append(
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_bytes(value).unwrap(),
        );
    }
    let mut key = Key::default();
    key.part(b"route");
    key.optional(query.as_deref().map(str::as_bytes));
    Entry {
        id: 7,
        place: Arc::new(Place {
            key: key.clone(),
            url: "https://shop.example/a".into(),
            query: query.map(Into::into),
            rule: Arc::new(QueryRule::Drop(vec![Glob::new("utm_*")])),
        }),
        vary: vec![HeaderName::from_static("accept")].into(),
        values: key,
        status: StatusCode::NOT_FOUND,
        fields: map,
        times: Times {
            arrived: UNIX_EPOCH + Duration::from_micros(1_234_567),
            initial_age: Duration::from_secs(1),
            lifetime: Duration::from_mins(1),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::from_secs(9),
            strict: true,
        },
        body: Arc::new(Body::default()),
        tags: tags.iter().map(|tag| Arc::from(tag.as_str())).collect(),
        marks: Marks::default(),
        uses: Arc::new(Uses::default()),
    }
}

fn assert_same(head: &Head, entry: &Entry) {
    assert_eq!(head.place.key, entry.place.key);
    assert_eq!(
        (&head.place.url, &head.place.query, &head.place.rule),
        (&entry.place.url, &entry.place.query, &entry.place.rule)
    );
    assert_eq!(head.vary, &*entry.vary);
    assert_eq!((&head.values, head.status), (&entry.values, entry.status));
    assert_eq!((&head.fields, head.times), (&entry.fields, entry.times));
    assert_eq!(head.tags, &*entry.tags);
    assert_eq!(head.expired, entry.is_expired());
}

#[test]
fn an_answer_that_was_marked_stale_stays_so() {
    let entry = entry(&[], None, &[]);
    assert!(!decode(&encode(&entry)).unwrap().expired);
    entry.expire();
    assert!(decode(&encode(&entry)).unwrap().expired);
}

#[test]
fn a_file_of_another_version_or_kind_is_none() {
    let good = whole(1, &encode(&entry(&[], None, &[])), b"content");
    assert!(parse(&good).is_ok());
    let mut other = good.clone();
    let at = other.len() - END + 8;
    other[at] = 2;
    let end = other.len();
    let own = sum(&other[end - END..end - 4]).to_le_bytes();
    other[end - 4..].copy_from_slice(&own);
    assert_eq!(parse(&other).err(), Some(Torn("of another version")));
    for foreign in [
        &b""[..],
        b"gwcache\n",
        &[0; 200],
        &good[1..],
        &good[..good.len() - 1],
    ] {
        assert!(parse(foreign).is_err());
    }
    let longer = [&good[..], b"\n"].concat();
    assert!(parse(&longer).is_err());
}

#[test]
fn content_is_checked_block_by_block() {
    let body = vec![7; 3 * BLOCK + 1];
    let mut table = Table::default();
    for piece in body.chunks(1000) {
        table.add(piece);
    }
    let table = table.finish();
    assert_eq!(table.len() as u64, table_length(body.len() as u64));
    assert_eq!(verify(&body[BLOCK..], 1, &table), Ok(()));
    let mut flipped = body[2 * BLOCK..].to_vec();
    flipped[5] ^= 1;
    assert!(verify(&flipped, 2, &table).is_err());
    assert!(verify(&[0; 2], 4, &table).is_err());
}

fn a_field() -> impl Strategy<Value = (String, Vec<u8>)> {
    (
        "[a-z-]{1,9}",
        proptest::collection::vec(0x20u8..0x7f, 0..20),
    )
}

proptest! {
    #[test]
    fn what_was_written_is_read(
        fields in proptest::collection::vec(a_field(), 0..8),
        query in proptest::option::of("[a-z=&]{0,9}"),
        tags in proptest::collection::vec("[a-z]{1,5}", 0..4),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let entry = entry(&fields, query, &tags);
        let file = whole(3, &encode(&entry), &body);
        let (end, head, content) = parse(&file).unwrap();
        prop_assert_eq!((end.stamp, content), (3, &body[..]));
        assert_same(&head, &entry);
    }

    /// A changed file is refused; cut and stretched ones are as well.
    #[test]
    fn what_was_changed_is_never_taken(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let good = whole(9, &encode(&entry(&[], None, &[])), &body);
        let mut file = good.clone();
        for (at, by) in changes {
            let at = at.index(file.len());
            file[at] ^= by;
        }
        if let Some(cut) = cut {
            file.truncate(cut.index(file.len()));
        }
        // Two changes of one byte may undo each other.
        prop_assert!(file == good || parse(&file).is_err());
    }

    #[test]
    fn no_bytes_harm_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        drop(decode(&bytes));
        prop_assert!(parse(&bytes).is_err());
        // With honest checksums around it, a head is whole or none.
        let file = whole(1, &bytes, b"");
        prop_assert_eq!(parse(&file).is_ok(), decode(&bytes).is_ok());
    }
}
