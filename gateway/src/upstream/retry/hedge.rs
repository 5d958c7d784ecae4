//! Which requests may be with two targets at once. Pure rules.

use std::time::Duration;

use http::Method;

use super::Retry;
use crate::config::model::{HostPolicy, Protocol, UpstreamConfig};

/// A request, as far as it decides.
#[derive(Debug)]
pub struct Reading<'a> {
    /// Its method.
    pub method: &'a Method,
    /// Whether it has a body.
    pub body: bool,
    /// Whether it may become a tunnel.
    pub stream: bool,
    /// Whether a trusted proxy marked it as a repetition.
    pub marked: bool,
}

/// Why a request stays with one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unhedged {
    /// The method is not safe, or the policy does not name it.
    Method,
    /// It has a body.
    Body,
    /// It may become a tunnel.
    Stream,
    /// It will be repeated by whoever repeated it already.
    Marked,
    /// The upstream speaks, or may speak, HTTP/2.
    Protocol,
    /// Clients of the upstream belong to one target.
    Sticky,
    /// Each target wants its own name in `Host`.
    Host,
    /// There is no second target.
    Alone,
}

impl Retry {
    /// When this request goes to a second target of this upstream as well, or why not; `None` where the policy has no say.
    pub fn hedge(
        &self,
        request: &Reading<'_>,
        upstream: &UpstreamConfig,
    ) -> Option<Result<Duration, Unhedged>> {
        let after = self.hedge_after?;
        let reasons = [
            (
                !request.method.is_safe() || !self.may_twice(request.method),
                Unhedged::Method,
            ),
            (request.body, Unhedged::Body),
            (request.stream, Unhedged::Stream),
            (request.marked, Unhedged::Marked),
            (upstream.protocol != Protocol::Http1, Unhedged::Protocol),
            (upstream.sticky_cookie.is_some(), Unhedged::Sticky),
            (upstream.host == HostPolicy::Target, Unhedged::Host),
            (upstream.targets.len() < 2, Unhedged::Alone),
        ];
        let why = reasons.iter().find(|(holds, _)| *holds);
        Some(why.map_or(Ok(after), |(_, why)| Err(*why)))
    }
}
