//! What would become of a failed attempt: the route's own rules are asked, with a budget that is full.

use std::time::Duration;

use http::header;
use plugins::contract::view::RequestBody;

use super::story::Repeat;
use super::tell::Scene;
use crate::admin::describe;
use crate::config::model::{RetryOn, UpstreamConfig};
use crate::upstream::retry::budget::Budget;
use crate::upstream::retry::hedge::{Reading, Unhedged};
use crate::upstream::retry::marked::is_marked;
use crate::upstream::retry::{Cause, Failed, Hindrance};

/// What Pingora keeps of a request's body.
const KEPT: u64 = 64 << 10;

/// Every reason that the route's policy names; none without a policy.
pub(super) fn of(scene: &Scene<'_>) -> Vec<Repeat> {
    let (Some(config), Some(retry)) = (&scene.config.retry, &scene.route.retry) else {
        return Vec::new();
    };
    let repeat = |on: &RetryOn| {
        let cause = match on {
            RetryOn::ConnectFailure => Cause::ConnectFailure,
            RetryOn::Reset => Cause::Reset,
            RetryOn::Timeout => Cause::Timeout,
            RetryOn::Status(_) => Cause::Status,
        };
        let long = matches!(scene.view.body, RequestBody::Length(length) if length > KEPT);
        let failed = Failed {
            cause,
            method: Some(scene.view.method).filter(|_| !scene.view.facts.is_repeatable()),
            attempts: 1,
            body_kept: cause == Cause::ConnectFailure || !long,
            told_when: false,
            marked: scene.trusted && is_marked(scene.view.headers),
            left: Some(Duration::MAX),
        };
        let why = retry.again(&failed, &Budget::default()).err();
        Repeat {
            on: on.to_string(),
            again: why.is_none(),
            why: why.map(reason),
        }
    };
    config.on.iter().map(repeat).collect()
}

/// Whether a second target would be asked while the first has not answered.
pub(super) fn hedge(scene: &Scene<'_>, upstream: &UpstreamConfig) -> Option<String> {
    let retry = scene.route.retry.as_ref()?;
    let reading = Reading {
        method: scene.view.method,
        body: scene.view.body != RequestBody::None,
        stream: scene.view.headers.contains_key(header::UPGRADE),
        marked: scene.trusted && is_marked(scene.view.headers),
    };
    let verdict = retry.hedge(&reading, upstream)?;
    Some(match verdict {
        Ok(after) => format!("is asked as well after {}", describe::duration(after)),
        Err(why) => format!("is never asked as well: {}", alone(why)),
    })
}

fn alone(why: Unhedged) -> &'static str {
    match why {
        Unhedged::Method => "its method is not safe, or not among `methods`",
        Unhedged::Body => "it has a body",
        Unhedged::Stream => "it may become a tunnel",
        Unhedged::Marked => "a trusted proxy marked it as a repetition",
        Unhedged::Protocol => "the upstream may speak HTTP/2",
        Unhedged::Sticky => "the upstream has a sticky cookie",
        Unhedged::Host => "each target gets its own name in Host",
        Unhedged::Alone => "the upstream has one target",
    }
}

fn reason(hindrance: Hindrance) -> &'static str {
    match hindrance {
        Hindrance::Attempts => "the policy allows one try",
        Hindrance::Method => "its method is not among `methods`, so no target may get it twice",
        Hindrance::Body => "no more than 64KiB of its body are kept",
        Hindrance::Budget => "the budget is used up",
        Hindrance::Deadline => "no time is left",
        Hindrance::RetryAfter => "the answer says when to come back",
        Hindrance::Marked => "a trusted proxy marked it as a repetition",
    }
}
