//! What clients are told of the cache: `Age` and `Cache-Status` (RFC 9111 section 5.1, RFC 9211).

use std::time::SystemTime;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use pingora::prelude::Session;

use super::State;
use super::outcome::{self, Done};
use crate::cache::ready::{hit_status, set_age};
use crate::observe::cache::CacheResult;

pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Adds both to an answer.
pub(in crate::proxy) fn told(session: &Session, state: &State, fields: &mut HeaderMap) {
    let done = outcome::of(session, state);
    let now = SystemTime::now();
    let left = match (&state.found, done.result) {
        (Some((entry, _)), CacheResult::Hit | CacheResult::Stale) => {
            set_age(fields, entry.times.age(now).as_secs());
            Some(seconds_left(entry, now))
        }
        (_, CacheResult::Revalidated) => {
            fields.remove(header::AGE);
            fields.insert(header::AGE, HeaderValue::from(0));
            None
        }
        _ => None,
    };
    let status = match (done.result, left) {
        (CacheResult::Hit, Some(left)) => hit_status(left),
        _ => HeaderValue::try_from(status(done, state, left)).ok(),
    };
    let Some(status) = status else { return };
    match fields.get_mut(CACHE_STATUS) {
        // Room that was kept for it.
        Some(value) if value.is_empty() => *value = status,
        _ => drop(fields.append(CACHE_STATUS, status)),
    }
}

/// How long it stays fresh, in seconds; less than zero for how long it has been stale.
fn seconds_left(entry: &crate::cache::entry::Entry, now: SystemTime) -> i64 {
    let whole = |time: std::time::Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    whole(entry.times.lifetime) - whole(entry.times.age(now))
}

fn status(done: Done, state: &State, left: Option<i64>) -> String {
    let mut text = String::from("gateway");
    let word = match (done.result, done.reason) {
        (CacheResult::Stale, Some("error")) => "; hit; fwd=stale",
        (CacheResult::Hit | CacheResult::Stale, _) => "; hit",
        (CacheResult::Revalidated, Some("request")) => "; fwd=request; fwd-status=304",
        (CacheResult::Revalidated, _) => "; fwd=stale; fwd-status=304",
        (CacheResult::Miss, Some("request")) => "; fwd=request",
        (CacheResult::Miss, _) if state.found.is_some() => "; fwd=stale",
        (CacheResult::Miss, _) => "; fwd=uri-miss",
        (CacheResult::Bypass, Some("method")) => "; fwd=method",
        (CacheResult::Bypass, _) => "; fwd=bypass",
    };
    text.push_str(word);
    if let Some(left) = left {
        text.push_str("; ttl=");
        text.push_str(&left.to_string());
    }
    if done.stored {
        text.push_str("; stored");
    }
    if let Some(reason) = done
        .reason
        .filter(|reason| !matches!(*reason, "method" | "request" | "expired"))
    {
        text.push_str("; detail=");
        text.push_str(reason);
    }
    text
}
