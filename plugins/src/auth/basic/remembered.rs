//! Verdicts on passwords, remembered under a keyed digest: neither names nor passwords are kept, and a copy of the
//! memory does not tell them without the key, which only this process has.

use std::time::Duration;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use quick_cache::sync::Cache;

use crate::contract::prelude::*;

/// Most verdicts of one provider.
const VERDICTS_MAX: usize = 10_000;

/// Digest of a name, a password and the hash that it was checked against.
pub(super) type Key = [u8; 32];

/// Verdicts with the time at which they end.
pub(super) struct Remembered {
    secret: hmac::Key,
    verdicts: Cache<Key, (bool, Duration)>,
}

impl Remembered {
    pub(super) fn new() -> Result<Self, CompileError> {
        let mut secret = [0; 32];
        SystemRandom::new()
            .fill(&mut secret)
            .map_err(|_| CompileError::from_error(&"the system gives no random numbers"))?;
        Ok(Self {
            secret: hmac::Key::new(HMAC_SHA256, &secret),
            verdicts: Cache::new(VERDICTS_MAX),
        })
    }

    /// Lengths keep the parts apart. With the hash in it, a changed password has no verdict yet.
    pub(super) fn key(&self, name: &str, password: &str, hash: &str) -> Key {
        let mut context = hmac::Context::with_key(&self.secret);
        for part in [name, password, hash] {
            context.update(&part.len().to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut key = [0; 32];
        for (to, from) in key.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        key
    }

    pub(super) fn get(&self, key: &Key, now: Duration) -> Option<bool> {
        let (is_right, until) = self.verdicts.get(key)?;
        (now < until).then_some(is_right)
    }

    pub(super) fn put(&self, key: Key, is_right: bool, until: Duration) {
        self.verdicts.insert(key, (is_right, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_in_time() {
        let remembered = Remembered::new().unwrap();
        let key = remembered.key("ada", "x", "$h");
        let at = Duration::from_secs;
        assert_eq!(remembered.get(&key, at(0)), None);
        remembered.put(key, true, at(5));
        assert_eq!(remembered.get(&key, at(4)), Some(true));
        assert_eq!(remembered.get(&key, at(5)), None);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        let remembered = Remembered::new().unwrap();
        let key = |name, password, hash| remembered.key(name, password, hash);
        assert_ne!(key("ab", "c", "h"), key("a", "bc", "h"));
        assert_ne!(key("ab", "c", "h"), key("ab", "c", "i"));
        assert_eq!(key("ab", "c", "h"), key("ab", "c", "h"));
    }
}
