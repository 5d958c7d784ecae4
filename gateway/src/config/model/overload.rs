//! `[overload]` as meant.

use std::time::Duration;

use plugins::contract::mode::Mode;

/// `[overload]`: at least one of the three limits is there.
#[derive(Debug, Clone, PartialEq)]
pub struct OverloadConfig {
    /// How late a worker may come to what is due.
    pub lag: Option<Duration>,
    /// Bytes of resident memory.
    pub memory: Option<u64>,
    /// Open client connections of all listeners together.
    pub connections: Option<usize>,
    /// Plans from the one that is turned away first to the last; none, or two at least.
    pub plans: Vec<String>,
    /// The status of those who are turned away, 503 or 429.
    pub shed_status: u16,
    /// When they are told to come again.
    pub retry_after: Duration,
    /// Enforce or shadow.
    pub mode: Mode,
}
