//! Milliseconds since the process began: a moment that fits into an atomic number.

use std::sync::LazyLock;
use std::time::Instant;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The moment as a number, at least 1: 0 is free to say "never".
pub(super) fn millis(now: Instant) -> u64 {
    let since = now.saturating_duration_since(*BEGAN);
    u64::try_from(since.as_millis())
        .unwrap_or(u64::MAX)
        .saturating_add(1)
}
