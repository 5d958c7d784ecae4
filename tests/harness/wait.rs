//! Waiting for a fact with a deadline: the only sleep in the tree.

use std::thread;
use std::time::{Duration, Instant};

/// Long enough for a loaded two-core machine, short enough that a hang is noticed.
pub const DEADLINE: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(2);

/// Returns once `condition` holds; panics with `what` when `deadline` passes first.
pub fn until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    until_some(deadline, what, || condition().then_some(()));
}

/// Returns the first `Some`; panics with `what` when `deadline` passes first.
pub fn until_some<T>(deadline: Duration, what: &str, found: impl FnMut() -> Option<T>) -> T {
    try_until(deadline, found).unwrap_or_else(|| panic!("waited {deadline:?} in vain for: {what}"))
}

/// The first `Some` that turns up within `deadline`.
pub fn try_until<T>(deadline: Duration, mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + deadline;
    loop {
        // Asked once more after the deadline, so that a stalled machine is not blamed on the gateway.
        let late = Instant::now() >= end;
        if let Some(value) = found() {
            return Some(value);
        }
        if late {
            return None;
        }
        thread::sleep(PAUSE);
    }
}
