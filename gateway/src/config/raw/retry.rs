//! `retry` of a route as written.

use plugins::contract::place::At;
use plugins::contract::units::{Share, Time};
use schemars::JsonSchema;
use serde::Deserialize;

use super::Either;
use crate::config::leaf::{Dropped, RetryCause};

/// How failed attempts are repeated, or `"none"`.
pub(in crate::config) type RawRetryOrNone = Either<Dropped, RawRetry>;

/// How failed attempts are repeated.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawRetry {
    /// Tries in all, 1 to 10. Default: `2`.
    pub(in crate::config) attempts: Option<At<u32>>,
    /// What is tried again: `"connect-failure"`, `"reset"`, `"timeout"`, statuses from `"400"` to `"599"`. Default:
    /// `["connect-failure", "reset"]`.
    pub(in crate::config) on: Option<At<Vec<At<RetryCause>>>>,
    /// The methods that may reach a target twice. Default: the safe ones, `["GET", "HEAD", "OPTIONS", "TRACE"]`.
    pub(in crate::config) methods: Option<At<Vec<At<String>>>>,
    /// From the request's last byte to the head of one try's answer. Default: only the upstream's own timeouts.
    pub(in crate::config) per_try_timeout: Option<At<Time>>,
    /// A read that has no answer's head after this time goes to a second target as well, and the first good answer is the
    /// answer. Only requests of safe methods without a body, on upstreams of HTTP/1.1 with several targets. It counts as a
    /// try and comes out of the budget. Default: never.
    pub(in crate::config) hedge_after: Option<At<Time>>,
    /// The longest pause before the first repetition; it doubles up to ten times this, and chance shortens it.
    /// Default: `"25ms"`.
    pub(in crate::config) backoff: Option<At<Time>>,
    /// Repetitions in proportion to the requests that the upstream gets. Default: `"20%"`.
    pub(in crate::config) budget: Option<At<Share>>,
}
