//! A clock that a test moves.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::contract::services::{Clock, Services};

/// Both clocks, wall and steady.
pub(crate) struct TestClock(Mutex<(Duration, Duration)>);

impl TestClock {
    /// Services with this clock and nothing else; the wall clock says 2026-11-22T06:30:00Z.
    pub(crate) fn services() -> (Arc<Self>, Services) {
        let wall = Duration::from_mins(29_922_150);
        let clock = Arc::new(Self(Mutex::new((wall, Duration::from_secs(1)))));
        let services = Services {
            clock: clock.clone(),
            ..Services::nothing()
        };
        (clock, services)
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        let mut times = self.0.lock().unwrap();
        times.0 += time;
        times.1 += time;
    }

    /// Puts the wall clock back.
    pub(crate) fn jump_back(&self, time: Duration) {
        self.0.lock().unwrap().0 -= time;
    }
}

impl Clock for TestClock {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + self.0.lock().unwrap().0
    }

    fn elapsed(&self) -> Duration {
        self.0.lock().unwrap().1
    }
}
