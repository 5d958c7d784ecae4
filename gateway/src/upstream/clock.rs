//! Milliseconds since the process began: a moment that fits into an atomic number.

use std::sync::LazyLock;
use std::time::Instant;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The moment as a number, at least 1: 0 is free to say "never".
pub(super) fn millis(now: Instant) -> u64 {
    let since = now.saturating_duration_since(*BEGAN);
    let millis = since.as_secs().saturating_mul(1_000) + u64::from(since.subsec_millis());
    millis.saturating_add(1)
}
