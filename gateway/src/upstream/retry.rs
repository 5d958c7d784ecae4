//! Whether a failed attempt is worth another one. Pure rules: the proxy says what happened, here is said what follows.
//!
//! Nothing is repeated after the first byte of an answer; that is the caller's to know.

pub mod budget;
pub mod hedge;
pub mod marked;

use std::time::Duration;

use http::{Method, StatusCode};

use crate::config::model::{RetryConfig, RetryOn};
use budget::Budget;

/// The retry policy of a route.
#[derive(Debug)]
pub struct Retry {
    /// Tries in all.
    pub attempts: u32,
    /// From the request's last byte to the head of one try's answer.
    pub per_try_timeout: Option<Duration>,
    /// When a read goes to a second target, too.
    pub hedge_after: Option<Duration>,
    on: Box<[RetryOn]>,
    methods: Box<[Method]>,
    backoff: Duration,
    budget_percent: u32,
}

/// What went wrong with an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No connection came about: the target has read nothing.
    ConnectFailure,
    /// The connection ended before the answer's head.
    Reset,
    /// The answer's head did not come in time.
    Timeout,
    /// The answer has a status that the policy names.
    Status,
}

/// Why a failed attempt was the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hindrance {
    /// All tries are used up.
    Attempts,
    /// The method may not reach a target twice.
    Method,
    /// More of the body was passed on than is kept.
    Body,
    /// The upstream's budget is used up.
    Budget,
    /// The request has no time left.
    Deadline,
    /// The answer says when to come back, and that is for the client to decide.
    RetryAfter,
    /// A trusted proxy marked the request as a repetition: it will come again anyway.
    Marked,
}

/// A failed attempt, as far as it decides about the next one.
#[derive(Debug)]
pub struct Failed<'a> {
    /// What went wrong.
    pub cause: Cause,
    /// The request's method; `None` where it does not matter, because the request is known again by a key.
    pub method: Option<&'a Method>,
    /// Tries so far, with this one.
    pub attempts: u32,
    /// Whether the part of the body that was read can be sent again.
    pub body_kept: bool,
    /// Whether the answer has a `Retry-After`.
    pub told_when: bool,
    /// Whether a trusted proxy marked the request as a repetition.
    pub marked: bool,
    /// What is left of the request's time.
    pub left: Option<Duration>,
}

impl Cause {
    /// Its name in the access log.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConnectFailure => "connect-failure",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Status => "status",
        }
    }
}

impl Hindrance {
    /// All, in the order of their declaration.
    pub const ALL: [Self; 7] = [
        Self::Attempts,
        Self::Method,
        Self::Body,
        Self::Budget,
        Self::Deadline,
        Self::RetryAfter,
        Self::Marked,
    ];

    /// Its name in the access log and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::Method => "method",
            Self::Body => "body",
            Self::Budget => "budget",
            Self::Deadline => "deadline",
            Self::RetryAfter => "retry-after",
            Self::Marked => "marked",
        }
    }
}

impl Retry {
    /// From its configuration.
    pub fn compile(config: &RetryConfig) -> Self {
        Self {
            attempts: config.attempts,
            per_try_timeout: config.per_try_timeout,
            hedge_after: config.hedge_after,
            on: config.on.as_slice().into(),
            methods: config.methods.as_slice().into(),
            backoff: config.backoff,
            budget_percent: config.budget,
        }
    }

    /// Whether the policy has anything to say about a failure of this kind.
    pub fn covers(&self, cause: Cause) -> bool {
        self.on.iter().any(|on| match on {
            RetryOn::ConnectFailure => cause == Cause::ConnectFailure,
            RetryOn::Reset => cause == Cause::Reset,
            RetryOn::Timeout => cause == Cause::Timeout,
            RetryOn::Status(_) => cause == Cause::Status,
        })
    }

    /// Whether an answer with this status is a failed attempt.
    pub fn covers_status(&self, status: StatusCode) -> bool {
        self.on.contains(&RetryOn::Status(status))
    }

    /// Whether requests of this method may reach a target twice.
    pub fn may_twice(&self, method: &Method) -> bool {
        self.methods.contains(method)
    }

    /// Counts a request towards the budget of its upstream.
    pub fn begun(&self, budget: &Budget) {
        budget.deposit(self.budget_percent);
    }

    /// How long to wait before the next attempt, or why there is none. Takes from the budget.
    pub fn again(&self, failed: &Failed<'_>, budget: &Budget) -> Result<Duration, Hindrance> {
        let unread = failed.cause == Cause::ConnectFailure;
        if failed.attempts >= self.attempts {
            return Err(Hindrance::Attempts);
        }
        if failed.marked {
            return Err(Hindrance::Marked);
        }
        if !unread && failed.method.is_some_and(|method| !self.may_twice(method)) {
            return Err(Hindrance::Method);
        }
        if !failed.body_kept {
            return Err(Hindrance::Body);
        }
        if failed.told_when {
            return Err(Hindrance::RetryAfter);
        }
        let pause = self.pause(failed.attempts);
        if failed.left.is_none_or(|left| left <= pause) {
            return Err(Hindrance::Deadline);
        }
        // What reached no target puts no load on the upstream, so the budget has nothing to protect it from.
        if !unread && !budget.withdraw() {
            return Err(Hindrance::Budget);
        }
        Ok(pause)
    }

    /// Full jitter: anything up to a limit that doubles with every try.
    fn pause(&self, attempts: u32) -> Duration {
        let factor = 1_u32
            .checked_shl(attempts.saturating_sub(1))
            .unwrap_or(LONGEST)
            .min(LONGEST);
        self.backoff
            .saturating_mul(factor)
            .mul_f64(rand::random::<f64>())
    }
}

/// A pause grows to this many times the first one.
const LONGEST: u32 = 10;

#[cfg(test)]
mod tests;
