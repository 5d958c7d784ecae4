//! What a route does, compiled: which upstream an arm leads to, prebuilt answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use plugins::contract::flow::{Reply, ReplyBody};
use plugins::contract::template::Template;
use plugins::contract::value::Value;
use plugins::contract::view::RequestView;
use tokio::sync::Semaphore;

use crate::observe::histogram::Histogram;
use crate::observe::metrics::MirrorMetrics;
use crate::routing::RouteRequest;
use crate::routing::pattern::Condition;
use crate::upstream::Upstream;
use crate::upstream::balance::hash;

/// What a route does.
pub enum Action {
    /// Forwards to one of its arms.
    Forward(Forward),
    /// Answers with a redirect.
    Redirect {
        /// Value of `Location`.
        to: Template,
        /// 301, 302, 303, 307 or 308.
        status: StatusCode,
    },
    /// Answers itself.
    Respond(Respond),
}

impl Action {
    /// Where it forwards to; `None` where it answers itself.
    pub fn forward(&self) -> Option<&Forward> {
        match self {
            Self::Forward(forward) => Some(forward),
            Self::Redirect { .. } | Self::Respond(_) => None,
        }
    }
}

/// An answer of the configuration.
pub struct Respond {
    /// Status code.
    pub status: StatusCode,
    /// Header fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Content.
    pub body: Bytes,
}

/// Where copies of a route's requests go.
pub struct Mirror {
    /// The upstream that gets them.
    pub upstream: Arc<Upstream>,
    /// What became of them.
    pub metrics: Arc<MirrorMetrics>,
    /// One for each copy that may be under way.
    pub permits: Arc<Semaphore>,
    /// How long one may take.
    pub time: Duration,
}

/// What happens when the upstream has failed for good.
pub enum Fallback {
    /// Another upstream, an arm that nothing else chooses.
    Arm(usize),
    /// This answer.
    Reply(Respond),
}

impl Respond {
    /// The answer.
    pub fn reply(&self) -> Reply {
        let body = if self.body.is_empty() {
            ReplyBody::Empty
        } else {
            ReplyBody::Bytes(self.body.clone())
        };
        Reply {
            headers: self.headers.clone(),
            ..Reply::plain(self.status, body)
        }
    }
}

/// The upstreams that a route may forward to, and how one is chosen.
pub struct Forward {
    /// At least one.
    pub arms: Vec<Arm>,
    /// How one is chosen.
    pub choice: Choice,
    /// How many of the arms can be chosen; what follows is there for the fallback.
    pub choices: usize,
    /// When the chosen one has failed for good.
    pub fallback: Option<Fallback>,
    /// Where copies of the requests go.
    pub mirror: Option<Mirror>,
}

/// One upstream of a route.
pub struct Arm {
    /// The upstream.
    pub upstream: Arc<Upstream>,
    /// The time this route spends with it.
    pub seconds: Arc<Histogram>,
}

/// How an arm is chosen.
pub enum Choice {
    /// There is only one.
    Only,
    /// By a value of the request.
    By {
        /// What is looked up.
        value: Value,
        /// Text → arm.
        map: HashMap<String, usize>,
        /// When the map has none or the request has no such value.
        otherwise: Option<usize>,
    },
    /// By weight.
    Split {
        /// Of each arm, the sum of the weights up to and with it.
        cumulative: Vec<u32>,
        /// The same value always gets the same arm.
        sticky: Option<Value>,
        /// Requests that meet all conditions get this arm; first match wins.
        pick: Vec<(usize, Vec<Condition>)>,
    },
}

/// What decided for an arm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is only one.
    Only,
    /// The map has the request's value.
    Mapped,
    /// The map has not, or the request has no such value.
    Otherwise,
    /// The conditions at this place of `pick` are met.
    Picked(usize),
    /// The request's sticky value.
    Sticky,
    /// The weights alone: the next request may go elsewhere.
    Chance,
}

/// Why no arm was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoArm {
    /// The map has no such value and there is no `otherwise`.
    NoMatch,
    /// The request says the value more than once, or it is no text.
    Ambiguous,
}

impl Choice {
    /// The arm, where there is only one.
    pub fn only(&self) -> Option<usize> {
        matches!(self, Self::Only).then_some(0)
    }

    /// The arm for a request. The request's own value decides, or chance does.
    pub fn arm(&self, request: &RequestView<'_>) -> Result<usize, NoArm> {
        self.arm_and_reason(request).map(|(arm, _)| arm)
    }

    /// The same, and what decided.
    pub fn arm_and_reason(&self, request: &RequestView<'_>) -> Result<(usize, Reason), NoArm> {
        match self {
            Self::Only => Ok((0, Reason::Only)),
            Self::By {
                value,
                map,
                otherwise,
            } => {
                let found = request
                    .look_in(value, |text| map.get(text))
                    .map_err(|_| NoArm::Ambiguous)?;
                let mapped = found.map(|arm| (*arm, Reason::Mapped));
                let otherwise = otherwise.map(|arm| (arm, Reason::Otherwise));
                mapped.or(otherwise).ok_or(NoArm::NoMatch)
            }
            Self::Split {
                cumulative,
                sticky,
                pick,
            } => {
                for (place, (arm, conditions)) in pick.iter().enumerate() {
                    if meets_all(conditions, request)? {
                        return Ok((*arm, Reason::Picked(place)));
                    }
                }
                let (ticket, reason) = ticket(sticky.as_ref(), request);
                Ok((by_weight(cumulative, ticket), reason))
            }
        }
    }
}

fn meets_all(conditions: &[Condition], request: &RequestView<'_>) -> Result<bool, NoArm> {
    let request = RouteRequest {
        method: request.method,
        host: request.host,
        path: request.path,
        query: request.query,
        headers: request.headers,
    };
    for condition in conditions {
        match condition.meets(&request) {
            Some(true) => {}
            Some(false) => return Ok(false),
            None => return Err(NoArm::Ambiguous),
        }
    }
    Ok(true)
}

/// A number that is the same for the same sticky value, on every instance and after every restart; else chance.
fn ticket(sticky: Option<&Value>, request: &RequestView<'_>) -> (u64, Reason) {
    match sticky.map(|value| request.lookup(value)) {
        Some(Ok(text)) => (hash::stable(text.as_bytes()), Reason::Sticky),
        // Nothing to stick to.
        Some(Err(_)) | None => (rand::random(), Reason::Chance),
    }
}

fn by_weight(cumulative: &[u32], ticket: u64) -> usize {
    let total = u64::from(cumulative.last().copied().unwrap_or(1).max(1));
    cumulative.partition_point(|sum| u64::from(*sum) <= ticket % total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_share_the_tickets() {
        let cumulative = [90, 90, 100];
        let mut got = [0u32; 3];
        for ticket in 0..1_000 {
            got[by_weight(&cumulative, ticket)] += 1;
        }
        assert_eq!(got, [900, 0, 100], "an arm of weight zero gets nothing");
    }

    #[test]
    fn neighbouring_values_spread() {
        let cumulative = [50, 100];
        let first = (0..1_000)
            .filter(|n| by_weight(&cumulative, hash::stable(format!("user-{n}").as_bytes())) == 0);
        let share = first.count();
        assert!((400..600).contains(&share), "{share} of 1000");
    }
}
