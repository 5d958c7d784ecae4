//! A compiled route.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use plugins::chain::Chain;
use plugins::contract::template::Template;

use super::action::Action;
use crate::cache::policy::CachePolicy;
use crate::config::model::{PathChange, StreamLimits, TrailingSlash};
use crate::observe::cache::CacheMetrics;
use crate::observe::metrics::RouteMetrics;
use crate::upstream::retry::Retry;

/// What happens to the requests of one route.
pub struct Route {
    /// Its name.
    pub name: Arc<str>,
    /// Its policies.
    pub chain: Chain,
    /// What it does.
    pub action: Action,
    /// Until the last byte of the answer.
    pub timeout: Duration,
    /// The header in which clients say how long they want to wait.
    pub deadline_from: Option<HeaderName>,
    /// How failed attempts are repeated.
    pub retry: Option<Retry>,
    /// How its answers are kept.
    pub cache: Option<CachePolicy>,
    /// What holds for a stream once its head is there.
    pub stream: StreamLimits,
    /// What happens to a request that differs only in the trailing slash.
    pub trailing_slash: TrailingSlash,
    /// How the path is changed for the upstream.
    pub path: PathChange,
    /// The `Host` for the upstream, over the upstream's own policy.
    pub host: Option<Template>,
    /// Its counters.
    pub metrics: Arc<RouteMetrics>,
    /// What the cache did for it, where it keeps answers.
    pub cached: Option<Arc<CacheMetrics>>,
}

impl Route {
    /// Whether nothing of a request decides what becomes of it: no policy, no value in its path or host.
    pub fn is_plain(&self) -> bool {
        let keeps = matches!(self.path, PathChange::Keep | PathChange::StripPrefix(_));
        keeps && self.host.is_none() && self.chain.is_empty()
    }
}
