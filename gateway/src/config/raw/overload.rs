//! `[overload]` as written.

use plugins::contract::mode::RawMode;
use plugins::contract::place::At;
use plugins::contract::units::{Size, Time};
use schemars::JsonSchema;
use serde::Deserialize;

/// When the gateway itself has too much to do, and who is turned away then.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawOverload {
    /// How late a worker may come to what is due, over some hundred milliseconds. Left out: not looked at.
    pub(in crate::config) lag: Option<At<Time>>,
    /// Resident memory of the process. Left out: not looked at.
    pub(in crate::config) memory: Option<At<Size>>,
    /// Open client connections of all listeners together; those beyond are answered and closed. Left out: not looked at.
    pub(in crate::config) connections: Option<At<u32>>,
    /// Plans from the one that is turned away first to the one that is turned away last. Left out: all are alike.
    pub(in crate::config) plans: Option<At<Vec<At<String>>>>,
    /// The status of those who are turned away, `503` or `429`. Default: `503`.
    pub(in crate::config) shed_status: Option<At<u32>>,
    /// When they are told to come again. Default: `"1s"`.
    pub(in crate::config) retry_after: Option<At<Time>>,
    /// `"shadow"` counts and logs who would be turned away. Default: `"enforce"`.
    pub(in crate::config) mode: Option<At<RawMode>>,
}
