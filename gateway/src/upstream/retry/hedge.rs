//! Which requests may be with two targets at once. Pure rules.

use std::time::Duration;

use http::Method;

use super::Retry;
use crate::config::model::{HostPolicy, Protocol, TargetConfig, TargetHost, UpstreamConfig};

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
            (is_alone(&upstream.targets), Unhedged::Alone),
        ];
        let why = reasons.iter().find(|(holds, _)| *holds);
        Some(why.map_or(Ok(after), |(_, why)| Err(*why)))
    }
}

/// Whether there can be no second target: a service may stand for several.
fn is_alone(targets: &[TargetConfig]) -> bool {
    match targets {
        [only] => !matches!(only.host, TargetHost::Service { .. }),
        several => several.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::target;

    #[test]
    fn hosts_of_a_service_are_targets() {
        let (one, other) = (target("127.0.0.1:1", 1), target("orders:80", 1));
        assert!(is_alone(std::slice::from_ref(&other)));
        assert!(!is_alone(&[one, other.clone()]));
        let name = "_http._tcp.orders".to_owned();
        let service = TargetConfig {
            host: TargetHost::Service { name },
            ..other
        };
        assert!(!is_alone(&[service]));
    }
}
