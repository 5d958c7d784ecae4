//! How an instance behaves: well, slowly, or not at all.
//!
//! One request: `?slow=2s` waits before it answers; `?fail=503` answers with that status (400 to 599), `?fail=reset` closes
//! the connection without an answer.
//!
//! Every request to one instance, until told otherwise, on its own port and not through the gateway:
//!
//! ```text
//! curl -X POST '127.0.0.1:9101/__demo?fail=503'    from now on, /healthz too
//! curl -X POST '127.0.0.1:9101/__demo?slow=2s'     replaces what was said before
//! curl -X POST '127.0.0.1:9101/__demo'             well again
//! curl '127.0.0.1:9101/__demo'                     how is it?
//! ```

use std::time::Duration;

use http::StatusCode;
use plugins::contract::units::Time;
use serde_json::{Value, json};

/// Where an instance is told.
pub(super) const PATH: &str = "/__demo";
/// Nobody waits longer for a sample.
const SLOW_MAX: Time = Time::from_secs(60);

/// What an instance does before or instead of answering.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mood {
    pub(super) slow: Option<Time>,
    pub(super) fail: Option<Fail>,
}

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fail {
    /// With a status.
    Status(StatusCode),
    /// By closing the connection.
    Reset,
}

impl Mood {
    /// Reads `slow` and `fail` of a query; other parameters are none of its business.
    pub(super) fn read(query: &str) -> Result<Self, &'static str> {
        let mut mood = Self::default();
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("slow", text)) => mood.slow = Some(slow(text)?),
                Some(("fail", text)) => mood.fail = Some(fail(text)?),
                Some(_) | None => {}
            }
        }
        Ok(mood)
    }

    /// This one, and where it says nothing the other.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            slow: self.slow.or(other.slow),
            fail: self.fail.or(other.fail),
        }
    }

    /// How long to wait.
    pub(super) fn pause(&self) -> Option<Duration> {
        self.slow.map(Time::duration)
    }

    /// For people.
    pub(super) fn describe(&self) -> Value {
        let fail = self.fail.map(|fail| match fail {
            Fail::Status(status) => status.as_str().to_owned(),
            Fail::Reset => "reset".to_owned(),
        });
        json!({ "slow": self.slow.map(|slow| slow.to_string()), "fail": fail })
    }
}

fn slow(text: &str) -> Result<Time, &'static str> {
    let time = text.parse().ok().filter(|time| *time <= SLOW_MAX);
    time.ok_or("slow is a time of at most a minute: slow=2s, slow=250ms")
}

fn fail(text: &str) -> Result<Fail, &'static str> {
    if text == "reset" {
        return Ok(Fail::Reset);
    }
    let status = text
        .parse()
        .ok()
        .filter(|status| (400..600).contains(status));
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    status
        .map(Fail::Status)
        .ok_or("fail is a status from 400 to 599, or reset: fail=503, fail=reset")
}
