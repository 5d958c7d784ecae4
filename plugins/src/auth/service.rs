//! What the tables of services that are asked have in common.

use std::time::Duration;

use crate::contract::prelude::*;

const TIMEOUT: Duration = Duration::from_secs(2);
const TIMEOUT_MAX: Duration = Duration::from_secs(30);
const CACHE_MAX: Duration = Duration::from_hours(1);

/// The longest wait for an answer.
pub(super) fn timeout(written: Option<&At<Time>>, report: &mut Report) -> Duration {
    let timeout = written.map_or(TIMEOUT, |timeout| timeout.duration());
    let fits = !timeout.is_zero() && timeout <= TIMEOUT_MAX;
    if let Some(written) = written.filter(|_| !fits) {
        report
            .error(
                written.span(),
                "auth.timeout",
                "`timeout` lies above 0 and is at most 30s",
            )
            .help("a request waits for as long: write for example \"2s\"");
    }
    timeout
}

/// How long a verdict is remembered.
pub(super) fn cache(
    written: Option<&At<Time>>,
    default: Duration,
    report: &mut Report,
) -> Duration {
    let cache = written.map_or(default, |cache| cache.duration());
    if let Some(written) = written.filter(|_| cache > CACHE_MAX) {
        report
            .error(written.span(), "auth.cache", "`cache` is at most 1h")
            .help("whoever is locked out meanwhile passes for as long");
    }
    cache
}
