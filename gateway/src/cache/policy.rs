//! What a route says about caching, compiled.

use std::time::Duration;

use http::header::{self, HeaderName};
use http::{HeaderMap, Method, StatusCode};
use plugins::contract::value::Value;
use plugins::contract::view::RequestBody;

use super::directives::RequestDirectives;
use super::query::QueryRule;
use super::storable::{Asker, cookies_count};
use super::zone::Zone;
use crate::routing::RouteRequest;
use crate::routing::pattern::Condition;

/// `cache` of a route.
pub struct CachePolicy {
    /// Where answers are kept.
    pub zone: &'static Zone,
    /// What decides about storing and lifetimes.
    pub rules: Rules,
    /// Largest body that is kept.
    pub object_max: usize,
    /// Which parameters make another request.
    pub query: QueryRule,
    /// Values of the request that make another one.
    pub vary_on: Vec<Value>,
    /// Whether answers may serve every identity.
    pub shared: bool,
    /// Whether the route knows who asks: then answers are for whoever asked, unless they are shared.
    pub authenticated: bool,
    /// Requests that meet any of these are neither answered from the cache nor stored.
    pub bypass: Vec<Condition>,
    /// Fields of answers that name their tags.
    pub tags_from: Vec<HeaderName>,
    /// What begins every key: what must not be mistaken for another's.
    pub space: Vec<u8>,
}

impl CachePolicy {
    /// Why a request has nothing to do with the cache; `streams` says that it opens a tunnel or makes a call.
    pub fn passes_by(
        &self,
        request: &RouteRequest<'_>,
        body: RequestBody,
        streams: bool,
        asks: &RequestDirectives,
    ) -> Option<&'static str> {
        if !matches!(*request.method, Method::GET | Method::HEAD) {
            return Some("method");
        }
        if body != RequestBody::None {
            return Some("body");
        }
        if streams {
            return Some("stream");
        }
        if ends_here(request.headers) {
            return Some("connection");
        }
        if asks.no_store {
            return Some("no-store");
        }
        // What cannot be told passes by too.
        let met = |condition: &Condition| condition.meets(request) != Some(false);
        self.bypass.iter().any(met).then_some("bypass")
    }

    /// Whose credentials count against storing: those that the gateway has not checked itself.
    pub fn asker(&self, fields: &HeaderMap, identified: bool) -> Asker {
        let known = self.authenticated && identified;
        Asker {
            authorization: !known && fields.contains_key(header::AUTHORIZATION),
            cookie: !known && cookies_count(&self.rules, fields),
        }
    }
}

/// The type of streams of events.
const EVENTS: &[u8] = b"text/event-stream";

/// Whether the answer is to be a stream of events, whose times are not those of answers that are kept.
pub fn wants_events(fields: &HeaderMap) -> bool {
    fields.get_all(header::ACCEPT).iter().any(|kinds| {
        let mut parts = kinds.as_bytes().windows(EVENTS.len());
        parts.any(|part| part.eq_ignore_ascii_case(EVENTS))
    })
}

/// What `Connection` may name without changing what an upstream sees.
const OPTIONS: [&str; 7] = [
    "keep-alive",
    "close",
    "te",
    "trailer",
    "upgrade",
    "http2-settings",
    "proxy-connection",
];

/// Whether `Connection` names a field that no upstream gets then: it would choose among answers that it had no part in.
fn ends_here(fields: &HeaderMap) -> bool {
    fields.get_all(header::CONNECTION).iter().any(|line| {
        let mut options = line.as_bytes().split(|byte| *byte == b',');
        options.any(|option| {
            let option = option.trim_ascii();
            let is = |known: &str| option.eq_ignore_ascii_case(known.as_bytes());
            !option.is_empty() && !OPTIONS.iter().any(|known| is(known))
        })
    })
}

/// How long answers are kept.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Rules {
    /// When the origin says nothing.
    pub ttl: Option<Duration>,
    /// Whatever the origin says.
    pub ttl_override: Option<Duration>,
    /// When the origin says nothing, by status.
    pub ttl_by_status: Vec<(Statuses, Duration)>,
    /// When the origin says nothing of it.
    pub stale_while_revalidate: Duration,
    /// When the origin says nothing of it.
    pub stale_if_error: Duration,
    /// Whether a lifetime may be guessed from `Last-Modified`.
    pub heuristic: bool,
    /// Cookies that make no difference.
    pub ignored_cookies: Vec<super::query::Glob>,
}

/// A status, or a hundred of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl std::fmt::Display for Statuses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last {
            return write!(f, "{}", self.first);
        }
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl Statuses {
    /// Whether it is one of these.
    pub fn hold(self, status: StatusCode) -> bool {
        (self.first..=self.last).contains(&status.as_u16())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_asked_for_in_any_spelling() {
        for (kinds, wants) in [
            ("text/event-stream", true),
            ("a/b, Text/Event-Stream;q=1", true),
            ("text/event", false),
            ("", false),
        ] {
            let mut fields = HeaderMap::new();
            fields.append(header::ACCEPT, kinds.parse().unwrap());
            assert_eq!(wants_events(&fields), wants, "{kinds}");
        }
    }

    #[test]
    fn only_options_of_a_connection_may_end_here() {
        for (line, ends) in [
            ("keep-alive", false),
            ("Close, TE", false),
            (" , upgrade ,HTTP2-Settings,", false),
            ("", false),
            ("close, cookie", true),
            ("x-tenant", true),
            ("keep-alive;x", true),
        ] {
            let mut fields = HeaderMap::new();
            fields.append(header::CONNECTION, line.parse().unwrap());
            assert_eq!(ends_here(&fields), ends, "{line}");
        }
        assert!(!ends_here(&HeaderMap::new()));
    }
}
