//! Checks passwords on threads of their own: a few at a time, a few more in line, the rest is turned away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::PasswordHash;
use argon2::{Argon2, PasswordVerifier};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Checks that run at once: each takes a core for some time and some megabytes.
const RUNNING_MAX: usize = 4;
/// Checks that wait or run.
const WAITING_MAX: usize = 64;

/// What comes of a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Whether it is the one.
    Checked(bool),
    /// Too many are in line.
    Busy,
}

/// A line of passwords.
pub(super) struct Checker {
    permits: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
}

/// A place in the line, given back when it is dropped.
struct Ticket(Arc<AtomicUsize>);

impl Drop for Ticket {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Default for Checker {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::new(cores.min(RUNNING_MAX), WAITING_MAX)
    }
}

impl Checker {
    pub(super) fn new(running: usize, waiting_max: usize) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(running)),
            waiting: Arc::default(),
            waiting_max,
        }
    }

    pub(super) async fn check(&self, password: String, hash: String) -> Outcome {
        let Some(ticket) = self.ticket() else {
            return Outcome::Busy;
        };
        let Ok(runtime) = Handle::try_current() else {
            // `explain` has time.
            return Outcome::Checked(is_password(&password, &hash));
        };
        let Ok(permit) = self.permits.clone().acquire_owned().await else {
            return Outcome::Busy;
        };
        // A client that goes away ends the waiting, not the work: ticket and permit stay with it.
        let work = runtime.spawn_blocking(move || {
            let checked = is_password(&password, &hash);
            drop((permit, ticket));
            checked
        });
        Outcome::Checked(work.await.unwrap_or(false))
    }

    fn ticket(&self) -> Option<Ticket> {
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let ticket = Ticket(self.waiting.clone());
        (before < self.waiting_max).then_some(ticket)
    }
}

fn is_password(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| {
        let argon2 = Argon2::default();
        argon2.verify_password(password.as_bytes(), &hash).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str =
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$9xLo1Mi0o/NcsDMG8gZAIt1jpZWtUhbNHXVcWC7zwOA";

    #[tokio::test]
    async fn turns_away_who_would_wait_too_long() {
        let checker = Checker::new(1, 1);
        let held = checker.ticket().unwrap();
        let busy = checker.check("x".into(), HASH.into()).await;
        assert_eq!(busy, Outcome::Busy);
        drop(held);
        let verdict = checker.check("x".into(), HASH.into()).await;
        assert_eq!(verdict, Outcome::Checked(false));
        assert_eq!(checker.waiting.load(Ordering::Acquire), 0);
    }

    #[test]
    fn a_text_that_is_no_hash_fits_no_password() {
        assert!(!is_password("", ""));
        assert!(!is_password("x", "$argon2id$"));
    }
}
