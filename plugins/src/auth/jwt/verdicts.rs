//! Tokens that were verified, remembered by their SHA-256 until they expire: the second request with a token costs one
//! digest and one look-up.
//!
//! A hit is an equal digest, the whole of it. What was found out under other keys or other consumers (an older
//! generation) is no hit. Refusals are not remembered: they are cheap to come by and would push out what is worth keeping.

use std::sync::Arc;
use std::time::SystemTime;

use ahash::RandomState;
use quick_cache::Weighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

/// What the memory may cost, about: claims take more room than the token that brings them.
const BYTES_MAX: u64 = 64 << 20;
/// What an entry costs at least; there are at most 65,536.
const ENTRY_BYTES: u64 = 1 << 10;
/// How many entries there is room for from the start.
const ENTRIES: usize = 1 << 10;

/// A token's SHA-256.
pub type Digest = [u8; 32];

/// Under which keys and which consumers something was found out.
pub type Generation = (u64, u64);

/// What was found out about tokens.
pub struct Verdicts<T>(Cache<Digest, Known<T>, Weight, RandomState>);

struct Known<T> {
    value: Arc<T>,
    generation: Generation,
    until: SystemTime,
    bytes: u64,
}

#[derive(Clone)]
struct Weight;

impl<T> Weighter<Digest, Known<T>> for Weight {
    fn weight(&self, _: &Digest, known: &Known<T>) -> u64 {
        known.bytes
    }
}

impl<T> Clone for Known<T> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            ..*self
        }
    }
}

impl<T> Default for Verdicts<T> {
    fn default() -> Self {
        let lifecycle = DefaultLifecycle::default();
        let hasher = RandomState::new();
        Self(Cache::with(ENTRIES, BYTES_MAX, Weight, hasher, lifecycle))
    }
}

impl<T> Verdicts<T> {
    /// What is known of this token now.
    pub fn find(&self, token: &Digest, generation: Generation, now: SystemTime) -> Option<Arc<T>> {
        let known = self.0.get(token)?;
        (known.generation == generation && now < known.until).then_some(known.value)
    }

    /// Remembers what was found out about a token of this length.
    pub fn remember(
        &self,
        token: Digest,
        bytes: usize,
        generation: Generation,
        until: SystemTime,
        value: Arc<T>,
    ) {
        let bytes = u64::try_from(bytes).unwrap_or(BYTES_MAX);
        let bytes = bytes.saturating_mul(2).max(ENTRY_BYTES);
        let known = Known {
            value,
            generation,
            until,
            bytes,
        };
        self.0.insert(token, known);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn remembers_until_the_token_expires() {
        let verdicts = Verdicts::default();
        verdicts.remember([1; 32], 700, (1, 1), at(10), Arc::new("me"));
        assert_eq!(
            verdicts.find(&[1; 32], (1, 1), at(9)).as_deref(),
            Some(&"me")
        );
        assert_eq!(verdicts.find(&[1; 32], (1, 1), at(10)), None);
    }

    #[test]
    fn the_whole_digest_counts() {
        let verdicts = Verdicts::default();
        verdicts.remember([1; 32], 700, (1, 1), at(10), Arc::new("me"));
        for byte in 0..32 {
            let mut other = [1; 32];
            other[byte] ^= 128;
            assert_eq!(verdicts.find(&other, (1, 1), at(1)), None);
        }
    }

    #[test]
    fn other_keys_and_other_consumers_forget() {
        let verdicts = Verdicts::default();
        verdicts.remember([1; 32], 700, (1, 1), at(10), Arc::new("me"));
        assert_eq!(verdicts.find(&[1; 32], (2, 1), at(1)), None);
        assert_eq!(verdicts.find(&[1; 32], (1, 2), at(1)), None);
        verdicts.remember([1; 32], 700, (2, 2), at(10), Arc::new("again"));
        assert_eq!(
            verdicts.find(&[1; 32], (2, 2), at(1)).as_deref(),
            Some(&"again")
        );
    }

    #[test]
    fn has_a_limit() {
        let verdicts = Verdicts::default();
        for number in 0..70_000_u64 {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&number.to_be_bytes());
            verdicts.remember(digest, 100, (1, 1), at(10), Arc::new(number));
        }
        assert!(verdicts.0.len() <= 65_536, "{}", verdicts.0.len());
        assert!(verdicts.0.weight() <= BYTES_MAX);
        verdicts.remember([9; 32], usize::MAX, (1, 1), at(10), Arc::new(0));
        assert_eq!(
            verdicts.find(&[9; 32], (1, 1), at(1)),
            None,
            "larger than all of it"
        );
    }
}
