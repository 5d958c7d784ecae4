//! The head of a kept answer: all of it but its content.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use super::Torn;
use super::words::{Words, Written};
use crate::cache::entry::{Entry, Place};
use crate::cache::freshness::Times;
use crate::cache::key::Key;
use crate::cache::query::{Glob, QueryRule};

/// What is known of a kept answer beside its content.
pub struct Head {
    /// What was asked for.
    pub place: Place,
    /// Which fields of requests choose it.
    pub vary: Vec<HeaderName>,
    /// The values of these fields.
    pub values: Key,
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub fields: HeaderMap,
    /// How fresh it is.
    pub times: Times,
    /// What it is about.
    pub tags: Vec<Arc<str>>,
    /// Whether it was marked stale.
    pub expired: bool,
}

/// Writes the head of an answer.
pub fn encode(entry: &Entry) -> Vec<u8> {
    let mut out = Written::default();
    let place = &entry.place;
    out.bytes(place.key.bytes());
    out.bytes(place.url.as_bytes());
    match &place.query {
        None => out.byte(0),
        Some(query) => {
            out.byte(1);
            out.bytes(query.as_bytes());
        }
    }
    let (kind, globs) = match &*place.rule {
        QueryRule::All => (0, &[][..]),
        QueryRule::Keep(globs) => (1, &globs[..]),
        QueryRule::Drop(globs) => (2, &globs[..]),
    };
    out.byte(kind);
    out.count(globs.len());
    for glob in globs {
        out.bytes(glob.pattern().as_bytes());
    }
    out.count(entry.vary.len());
    for name in &*entry.vary {
        out.bytes(name.as_str().as_bytes());
    }
    out.bytes(entry.values.bytes());
    out.number16(entry.status.as_u16());
    out.count(entry.fields.len());
    for (name, value) in &entry.fields {
        out.bytes(name.as_str().as_bytes());
        out.bytes(value.as_bytes());
    }
    times(&entry.times, &mut out);
    out.count(entry.tags.len());
    for tag in &entry.tags {
        out.bytes(tag.as_bytes());
    }
    out.byte(u8::from(entry.is_expired()));
    out.0
}

fn times(times: &Times, out: &mut Written) {
    let arrived = times.arrived.duration_since(UNIX_EPOCH).unwrap_or_default();
    for time in [
        arrived,
        times.initial_age,
        times.lifetime,
        times.stale_while_revalidate,
        times.stale_if_error,
    ] {
        out.number64(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }
    out.byte(u8::from(times.strict));
}

/// Reads a head. It has no place for anything that was not written.
pub fn decode(bytes: &[u8]) -> Result<Head, Torn> {
    let mut words = Words::new(bytes);
    let head = Head {
        place: place(&mut words)?,
        vary: words.list(name)?,
        values: Key::stored(words.bytes()?),
        status: StatusCode::from_u16(words.number16()?).map_err(|_| Torn("not a status"))?,
        fields: fields(&mut words)?,
        times: read_times(&mut words)?,
        tags: words.list(|words| words.text().map(Arc::from))?,
        expired: words.flag()?,
    };
    if !words.is_empty() {
        return Err(Torn("something follows its head"));
    }
    Ok(head)
}

fn place(words: &mut Words<'_>) -> Result<Place, Torn> {
    Ok(Place {
        key: Key::stored(words.bytes()?),
        url: words.text()?.into(),
        query: if words.flag()? {
            Some(words.text()?.into())
        } else {
            None
        },
        rule: Arc::new(rule(words)?),
    })
}

fn rule(words: &mut Words<'_>) -> Result<QueryRule, Torn> {
    let kind = words.byte()?;
    let globs = words.list(|words| words.text().map(Glob::new))?;
    match kind {
        0 if globs.is_empty() => Ok(QueryRule::All),
        1 => Ok(QueryRule::Keep(globs)),
        2 => Ok(QueryRule::Drop(globs)),
        _ => Err(Torn("not a rule for queries")),
    }
}

/// In lower case, as it was written: anything else would be written another way.
fn name(words: &mut Words<'_>) -> Result<HeaderName, Torn> {
    HeaderName::from_lowercase(words.bytes()?).map_err(|_| Torn("not the name of a field"))
}

fn fields(words: &mut Words<'_>) -> Result<HeaderMap, Torn> {
    let pairs = words.list(|words| {
        let name = name(words)?;
        let value = HeaderValue::from_bytes(words.bytes()?);
        Ok((name, value.map_err(|_| Torn("not the value of a field"))?))
    })?;
    let mut fields = HeaderMap::new();
    for (name, value) in pairs {
        let added = fields.try_append(name, value);
        added.map_err(|_| Torn("too many fields"))?;
    }
    Ok(fields)
}

fn read_times(words: &mut Words<'_>) -> Result<Times, Torn> {
    let arrived = Duration::from_micros(words.number64()?);
    let mut time = || words.number64().map(Duration::from_micros);
    let (initial_age, lifetime) = (time()?, time()?);
    let (stale_while_revalidate, stale_if_error) = (time()?, time()?);
    Ok(Times {
        arrived: SystemTime::UNIX_EPOCH
            .checked_add(arrived)
            .ok_or(Torn("not a time"))?,
        initial_age,
        lifetime,
        stale_while_revalidate,
        stale_if_error,
        strict: words.flag()?,
    })
}
