//! What a route says about caching, compiled.

use std::time::Duration;

use http::StatusCode;
use http::header::HeaderName;
use plugins::contract::value::Value;

use super::query::QueryRule;
use super::zone::Zone;
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
    /// Requests that meet any of these are neither answered from the cache nor stored.
    pub bypass: Vec<Condition>,
    /// Fields of answers that name their tags.
    pub tags_from: Vec<HeaderName>,
    /// What begins every key: what must not be mistaken for another's.
    pub space: Vec<u8>,
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
    /// Whether credentials in `Authorization` are the gateway's own business: it has checked them, and keys hold the identity.
    pub authenticated: bool,
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
