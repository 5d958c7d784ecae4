//! What a configuration holds of keys and passwords: their hashes. Makes them, too, for `gateway hash`.
//!
//! No message repeats a text that is no hash: it may be the secret itself.

use std::fmt;
use std::str::FromStr;

use argon2::password_hash::{self, PasswordHasher, SaltString};
use argon2::{Argon2, Params};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::contract::consumers::KeyDigest;
use crate::contract::leaf::LeafError;
use crate::leaf;

/// What a new key starts with, so that it is known for one wherever it turns up.
const KEY_PREFIX: &str = "gw_";
/// Most memory, in KiB, rounds and lanes that checking a password may take.
const MEMORY_MAX: u32 = 256 * 1024;
const ROUNDS_MAX: u32 = 16;
const LANES_MAX: u32 = 16;

/// An API key, hashed: `"sha256:…"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHash(KeyDigest);

/// A password, hashed: `"$argon2id$…"`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(Box<str>);

leaf!(
    KeyHash,
    "key-hash",
    "the hash of an API key: \"sha256:\" and 64 hexadecimal digits"
);
leaf!(
    PasswordHash,
    "password-hash",
    "the hash of a password: \"$argon2id$…\""
);

impl KeyHash {
    /// The hash of a key.
    pub fn of(key: &str) -> Self {
        let mut bytes = [0; 32];
        for (to, from) in bytes
            .iter_mut()
            .zip(digest(&SHA256, key.as_bytes()).as_ref())
        {
            *to = *from;
        }
        Self(bytes)
    }

    /// The bytes.
    pub fn digest(self) -> KeyDigest {
        self.0
    }
}

impl FromStr for KeyHash {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let wrong = || {
            LeafError::new("this is not the hash of a key")
                .help("`gateway hash api-key` makes one: \"sha256:\" and 64 hexadecimal digits")
        };
        let digits = text.strip_prefix("sha256:").ok_or_else(wrong)?.as_bytes();
        let mut bytes = [0; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(wrong());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let [high, low] = *pair else {
                return Err(wrong());
            };
            let (high, low) = (
                digit(high).ok_or_else(wrong)?,
                digit(low).ok_or_else(wrong)?,
            );
            *byte = high << 4 | low;
        }
        Ok(Self(bytes))
    }
}

fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl PasswordHash {
    /// The text.
    pub fn into_text(self) -> Box<str> {
        self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(***)")
    }
}

impl FromStr for PasswordHash {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let wrong = |why: &str| LeafError::new(why).help("`gateway hash password` makes one");
        let parsed = password_hash::PasswordHash::new(text)
            .map_err(|_| wrong("this is not the hash of a password"))?;
        if parsed.algorithm != argon2::ARGON2ID_IDENT || parsed.version != Some(19) {
            return Err(wrong("passwords are hashed by Argon2id, version 19"));
        }
        let params = Params::try_from(&parsed)
            .map_err(|_| wrong("this hash has parameters that Argon2id has not"))?;
        if parsed.salt.is_none() || parsed.hash.is_none() {
            return Err(wrong("this hash has no salt or no hash"));
        }
        let large = params.m_cost() > MEMORY_MAX
            || params.t_cost() > ROUNDS_MAX
            || params.p_cost() > LANES_MAX;
        if large {
            return Err(LeafError::new("checking this password would cost too much")
                .help("at most m=262144 (256 MiB), t=16, p=16"));
        }
        Ok(Self(text.into()))
    }
}

/// The system gives no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandom;

/// A new key: 256 random bits.
pub fn new_key() -> Result<String, NoRandom> {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(format!("{KEY_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// The hash of a password with a new salt.
pub fn hash_password(password: &str) -> Result<String, NoRandom> {
    let mut salt = [0; 16];
    SystemRandom::new().fill(&mut salt).map_err(|_| NoRandom)?;
    let salt = SaltString::encode_b64(&salt).map_err(|_| NoRandom)?;
    // Fails only with parameters out of range, and these are its own.
    let hash = Argon2::default().hash_password(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string()).map_err(|_| NoRandom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_hash_and_one_way_to_write_it() {
        let hash = KeyHash::of("sesame");
        let text = hash.to_string();
        assert_eq!(text.parse(), Ok(hash));
        assert_eq!(text.len(), "sha256:".len() + 64);
        for wrong in [
            "",
            "sesame",
            "sha256:",
            "sha256:00",
            &text.to_uppercase(),
            &format!("{text}0"),
            &text.replace("sha256:", "sha512:"),
            &format!("sha256:{}", "g".repeat(64)),
        ] {
            let error = wrong.parse::<KeyHash>().unwrap_err().to_string();
            assert!(!error.contains("sesame"), "{error}");
        }
    }

    #[test]
    fn keys_are_never_the_same() {
        let (one, other) = (new_key().unwrap(), new_key().unwrap());
        assert!(one != other && one.starts_with("gw_"), "{one} {other}");
        assert_eq!(one.len(), "gw_".len() + 43);
    }

    #[test]
    fn takes_hashes_of_argon2id_alone_and_within_reason() {
        let with = |start: &str| {
            format!("{start}$c29tZXNhbHQ$9xLo1Mi0o/NcsDMG8gZAIt1jpZWtUhbNHXVcWC7zwOA")
        };
        assert!(
            with("$argon2id$v=19$m=262144,t=16,p=16")
                .parse::<PasswordHash>()
                .is_ok()
        );
        for wrong in [
            "hunter2".to_owned(),
            with("$argon2i$v=19$m=8,t=1,p=1"),
            with("$argon2id$v=16$m=8,t=1,p=1"),
            with("$argon2id$v=19$m=262145,t=1,p=1"),
            with("$argon2id$v=19$m=262144,t=17,p=1"),
            with("$argon2id$v=19$m=262144,t=1,p=17"),
            "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ".to_owned(),
            "$2b$12$abcdefghijklmnopqrstuv".to_owned(),
        ] {
            let error = wrong.parse::<PasswordHash>().unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_new_hash_is_one_that_is_taken() {
        assert!(hash_password("x").unwrap().parse::<PasswordHash>().is_ok());
    }
}
