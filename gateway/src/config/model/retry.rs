//! `retry = { … }` as meant.

use std::time::Duration;

use http::{Method, StatusCode};

/// How failed attempts of a route are repeated.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryConfig {
    /// Tries in all, at least one.
    pub attempts: u32,
    /// What is tried again; not empty.
    pub on: Vec<RetryOn>,
    /// The methods that may reach a target twice.
    pub methods: Vec<Method>,
    /// From the request's last byte to the head of one try's answer.
    pub per_try_timeout: Option<Duration>,
    /// When a read goes to a second target, too.
    pub hedge_after: Option<Duration>,
    /// The longest pause before the first repetition.
    pub backoff: Duration,
    /// Repetitions in proportion to requests, in per cent.
    pub budget: u32,
}

/// What is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryOn {
    /// No connection came about.
    ConnectFailure,
    /// The connection ended before the answer's head.
    Reset,
    /// The answer's head did not come in time.
    Timeout,
    /// An answer with this status.
    Status(StatusCode),
}

impl std::fmt::Display for RetryOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ConnectFailure => f.write_str("connect-failure"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => f.write_str(status.as_str()),
        }
    }
}
