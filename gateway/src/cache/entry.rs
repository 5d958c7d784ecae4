//! A stored answer. Nothing of it changes but marks; a validated answer is a new one with the same content.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use http::header::{self, HeaderName};
use http::{HeaderMap, StatusCode};
use pingora::http::ResponseHeader;

use super::body::Body;
use super::freshness::Times;
use super::key::Key;
use super::query::QueryRule;

/// What an answer costs beside its head and its content.
const OVERHEAD: usize = 512;
/// What a head that is ready to leave costs, and each of its fields, where the content is in memory.
const READY: (usize, usize) = (768, 112);

/// A stored answer.
pub struct Entry {
    /// Its number, for ever its own, wherever its content is.
    pub id: u64,
    /// What was asked for.
    pub place: Arc<Place>,
    /// Which fields of requests choose it.
    pub vary: Arc<[HeaderName]>,
    /// The values of these fields.
    pub values: Key,
    /// Its status.
    pub status: StatusCode,
    /// Its fields, without those that are not kept.
    pub fields: HeaderMap,
    /// How fresh it is.
    pub times: Times,
    /// Its content.
    pub body: Arc<Body>,
    /// What it is about, as its origin says.
    pub tags: Box<[Arc<str>]>,
    pub(super) marks: Marks,
    pub(super) uses: Arc<Uses>,
}

/// What one key and one URL stand for.
#[derive(Clone)]
pub struct Place {
    /// What it is found by.
    pub key: Key,
    /// `scheme://host/path`, without query.
    pub url: Arc<str>,
    /// The query as far as it counts.
    pub query: Option<Box<str>>,
    /// What counts of queries here.
    pub rule: Arc<QueryRule>,
}

impl Place {
    /// Whether a request with this query would find what is here.
    pub fn answers(&self, query: Option<&str>) -> bool {
        self.rule.part(query).as_deref() == self.query.as_deref()
    }
}

/// What changes about an answer as long as it stays where it is.
#[derive(Default)]
pub(super) struct Marks {
    /// Whether nobody finds it any more.
    pub(super) gone: AtomicBool,
    /// What it was counted with.
    pub(super) weight: AtomicUsize,
    /// Whether it waits to be written to disk.
    pub(super) queued: AtomicBool,
    /// Its head as it leaves, once somebody has asked for it.
    pub(super) ready: OnceLock<ResponseHeader>,
}

/// What changes about an answer wherever it is: in memory, on disk, or both.
#[derive(Default)]
pub(super) struct Uses {
    /// How often it was used since memory looked at it last, up to three.
    pub(super) in_memory: AtomicU8,
    /// The same for the disk.
    pub(super) on_disk: AtomicU8,
    /// Whether it counts as stale from now on.
    pub(super) expired: AtomicBool,
    /// Whether somebody is fetching a new one.
    pub(super) refreshing: AtomicBool,
}

impl Entry {
    /// What it costs without its content.
    pub(super) fn head_weight(&self) -> usize {
        let fields = self
            .fields
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 32);
        let tags = self.tags.iter().map(|tag| tag.len() + 64);
        let names =
            self.place.key.bytes().len() * 2 + self.values.bytes().len() + self.place.url.len();
        let ready = if self.body.is_elsewhere() {
            0
        } else {
            READY.0 + READY.1 * self.fields.len()
        };
        OVERHEAD + names + ready + fields.sum::<usize>() + tags.sum::<usize>()
    }

    /// The same answer with its content somewhere else.
    pub(super) fn with(&self, body: Body) -> Self {
        Self {
            id: self.id,
            place: self.place.clone(),
            vary: self.vary.clone(),
            values: self.values.clone(),
            status: self.status,
            fields: self.fields.clone(),
            times: self.times,
            body: Arc::new(body),
            tags: self.tags.clone(),
            marks: Marks::default(),
            uses: self.uses.clone(),
        }
    }

    /// Marks it as used.
    pub fn touch(&self) {
        for used in [&self.uses.in_memory, &self.uses.on_disk] {
            let before = used.load(Ordering::Relaxed);
            if before < 3 {
                used.store(before + 1, Ordering::Relaxed);
            }
        }
    }

    /// Marks it stale.
    pub fn expire(&self) {
        self.uses.expired.store(true, Ordering::Release);
    }

    /// Whether it was marked stale.
    pub fn is_expired(&self) -> bool {
        self.uses.expired.load(Ordering::Acquire)
    }

    /// Whether it was taken out.
    pub fn is_gone(&self) -> bool {
        self.marks.gone.load(Ordering::Acquire)
    }

    /// Takes the task to fetch a new one; `false` when somebody else has it.
    pub fn begin_refresh(&self) -> bool {
        !self.uses.refreshing.swap(true, Ordering::AcqRel)
    }

    /// Gives the task back.
    pub fn end_refresh(&self) {
        self.uses.refreshing.store(false, Ordering::Release);
    }
}

/// The fields of an answer that are kept: not those that concern one connection or one exchange (RFC 9111 section 3.1).
pub fn kept_fields(fields: &HeaderMap, without: &[HeaderName]) -> HeaderMap {
    let nominated: Vec<HeaderName> = fields
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let mut kept = fields.clone();
    for name in CONNECTION_FIELDS.iter().chain(&nominated).chain(without) {
        kept.remove(name);
    }
    for name in [
        "keep-alive",
        "proxy-connection",
        "proxy-authentication-info",
    ] {
        kept.remove(name);
    }
    kept
}

static CONNECTION_FIELDS: [HeaderName; 7] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
];

/// The fields of a stored answer after its origin has confirmed it (RFC 9111 section 3.2).
pub fn merged_fields(stored: &HeaderMap, confirmed: &HeaderMap) -> HeaderMap {
    let mut merged = stored.clone();
    let mut confirmed = kept_fields(confirmed, &CONTENT_FIELDS);
    for name in ["content-md5", "content-digest", "repr-digest"] {
        confirmed.remove(name);
    }
    if stored.contains_key(header::ETAG) {
        // Another one would be the tag of another content than ours.
        confirmed.remove(header::ETAG);
    }
    for name in confirmed.keys() {
        merged.remove(name);
    }
    if !confirmed.contains_key(header::AGE) {
        merged.remove(header::AGE);
    }
    for (name, value) in &confirmed {
        merged.append(name, value.clone());
    }
    merged
}

/// What describes the content that is stored, which a 304 has none of.
static CONTENT_FIELDS: [HeaderName; 3] = [
    header::CONTENT_LENGTH,
    header::CONTENT_ENCODING,
    header::CONTENT_RANGE,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut fields = HeaderMap::new();
        for (name, value) in pairs {
            fields.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        fields
    }

    #[test]
    fn what_concerns_a_connection_is_not_kept() {
        let found = kept_fields(
            &fields(&[
                ("connection", "a, close"),
                ("a", "1"),
                ("b", "2"),
                ("keep-alive", "x"),
                ("set-cookie", "c"),
            ]),
            &[header::SET_COOKIE],
        );
        assert_eq!(found, fields(&[("b", "2")]));
    }

    #[test]
    fn a_confirmation_replaces_fields_but_those_of_the_content() {
        let stored = fields(&[
            ("a", "1"),
            ("a", "2"),
            ("b", "3"),
            ("content-length", "9"),
            ("age", "5"),
        ]);
        let merged = merged_fields(
            &stored,
            &fields(&[("a", "4"), ("c", "5"), ("content-length", "0")]),
        );
        let wanted = fields(&[("a", "4"), ("b", "3"), ("c", "5"), ("content-length", "9")]);
        assert_eq!(merged.len(), wanted.len());
        for name in wanted.keys() {
            assert_eq!(merged.get(name), wanted.get(name), "{name}");
        }
    }
}
