//! A retry policy as data and as one line.

use serde_json::{Value, json};

use super::duration;
use crate::config::model::RetryConfig;

pub(super) fn value(retry: &RetryConfig) -> Value {
    json!({
        "attempts": retry.attempts,
        "on": retry.on.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "methods": retry.methods.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "per-try-timeout": retry.per_try_timeout.map(duration),
        "hedge-after": retry.hedge_after.map(duration),
        "backoff": duration(retry.backoff),
        "budget": format!("{}%", retry.budget),
    })
}

pub(super) fn line(retry: &RetryConfig) -> String {
    let causes: Vec<String> = retry.on.iter().map(ToString::to_string).collect();
    let each = retry
        .per_try_timeout
        .map(|time| format!(", {} each", duration(time)));
    let hedge = retry
        .hedge_after
        .map(|time| format!(", reads hedged after {}", duration(time)));
    format!(
        "{} tries on {}{}{}, budget {}%",
        retry.attempts,
        causes.join(", "),
        each.unwrap_or_default(),
        hedge.unwrap_or_default(),
        retry.budget
    )
}
