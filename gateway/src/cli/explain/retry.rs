//! What would become of a failed attempt: the route's own rules are asked, with a budget that is full.

use std::time::Duration;

use plugins::contract::view::RequestBody;

use super::story::Repeat;
use super::tell::Scene;
use crate::config::model::RetryOn;
use crate::upstream::retry::budget::Budget;
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
            method: scene.view.method,
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
