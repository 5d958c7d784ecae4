//! Counting requests against limits: what `throttle`, `rate-limit` and `quota` share.
//!
//! ```text
//!  request ─▶ policy: which plan, which key, what cost ─▶ table: the key's count, under its shard's lock
//!                                                          ├─ bucket    GCRA: a burst that refills at a rate
//!                                                          ├─ sliding   a log of what was admitted
//!                                                          └─ calendar  one number for each hour, day or month
//! ```
//!
//! Arithmetic is in whole numbers: nobody is refused whom the rule admits, nobody admitted whom it refuses, at a
//! resolution of one microsecond. Memory has a limit ([`table`]).

mod answer;
pub mod bucket;
pub mod calendar;
pub mod config;
pub mod counts;
pub mod key;
mod log;
pub mod policy;
pub mod rate;
pub mod refusals;
mod refused;
pub mod script;
pub mod sliding;
pub mod table;
pub mod written;

#[cfg(test)]
pub(crate) mod tests;

/// What came of counting one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may pass; what may not was not counted.
    pub admitted: bool,
    /// What is left, in units of cost.
    pub remaining: u64,
    /// Until the same request would be admitted, in microseconds; 0 where it was, `None` where it never will be.
    pub retry_after: Option<u64>,
    /// Until everything is left again, in microseconds.
    pub reset: u64,
}

/// Microseconds as whole seconds, rounded up: who waits that long has waited long enough.
pub fn seconds(micros: u64) -> u64 {
    micros.div_ceil(1_000_000)
}
