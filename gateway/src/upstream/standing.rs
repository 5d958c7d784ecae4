//! Whether a target may be picked: what health checks and outlier ejection say of it. One load a pick, no lock.

use std::sync::atomic::{AtomicBool, Ordering};

/// A target's standing. A new target is in good standing until a check says otherwise.
#[derive(Debug, Default)]
pub struct Standing {
    out: AtomicBool,
}

impl Standing {
    /// Whether it may be picked.
    pub fn is_good(&self) -> bool {
        !self.out.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(super) fn set_down(&self, down: Option<String>, _now: std::time::Instant) -> bool {
        let out = down.is_some();
        drop(down);
        self.out.swap(out, Ordering::Relaxed) != out
    }
}
