//! `[overload]` as data.

use serde_json::{Value, json};

use super::duration;
use crate::config::model::OverloadConfig;

pub(super) fn overload(config: &OverloadConfig) -> Value {
    json!({
        "lag": config.lag.map(duration),
        "memory": config.memory,
        "connections": config.connections,
        "plans": config.plans,
        "shed-status": config.shed_status,
        "retry-after": duration(config.retry_after),
        "mode": config.mode.name(),
    })
}
