//! A session: what is kept of a login between requests, and the seal under which the client carries it.
//!
//! A sealed text is encrypted and authenticated by the private jar of the `cookie` crate (AES-256-GCM), bound to the
//! provider and to what it is for, so that one cannot be put in another's place. The first key seals; all of them open,
//! which is how keys are replaced.

pub(super) mod cookies;

use std::time::{Duration, SystemTime};

use cookie::{Cookie, CookieJar, Key};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Bytes of a secret that a key is made of.
pub(super) const SECRET_BYTES_MIN: usize = 32;

/// What is kept of a login.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Session {
    /// Names it in a store, and for those who refresh it at the same time.
    #[serde(rename = "s")]
    pub id: String,
    /// Seconds since 1970 until which its tokens are good.
    #[serde(rename = "f")]
    pub fresh_until: u64,
    /// Seconds since 1970 at which it is over, whatever happens.
    #[serde(rename = "e")]
    pub end: u64,
    /// What the ID token claims.
    #[serde(rename = "c")]
    pub claims: Map<String, Value>,
    /// Scopes that were granted.
    #[serde(rename = "g")]
    pub scopes: Vec<Box<str>>,
    /// For new tokens.
    #[serde(rename = "r", skip_serializing_if = "Option::is_none", default)]
    pub refresh: Option<String>,
    /// The access token, where upstreams get it.
    #[serde(rename = "a", skip_serializing_if = "Option::is_none", default)]
    pub access: Option<String>,
    /// The ID token itself, where the provider is told of the logout.
    #[serde(rename = "t", skip_serializing_if = "Option::is_none", default)]
    pub id_token: Option<String>,
}

/// All that a client carries where a store keeps the session.
#[derive(Serialize, Deserialize)]
pub(super) struct Ticket {
    /// Names the session.
    #[serde(rename = "k")]
    pub id: String,
}

/// The keys of one provider.
pub(super) struct Seal {
    keys: Vec<Key>,
    provider: Box<str>,
}

impl Session {
    /// Whether it is over at a moment.
    pub(super) fn is_over(&self, now: SystemTime) -> bool {
        self.end <= seconds(now)
    }

    /// Whether its tokens are too old.
    pub(super) fn is_stale(&self, now: SystemTime) -> bool {
        self.fresh_until <= seconds(now)
    }

    /// How long it lasts from now on.
    pub(super) fn left(&self, now: SystemTime) -> Duration {
        Duration::from_secs(self.end.saturating_sub(seconds(now)))
    }
}

impl Seal {
    /// Of secrets that have at least [`SECRET_BYTES_MIN`] bytes; shorter ones make no key.
    pub(super) fn new<'a>(provider: &str, secrets: impl Iterator<Item = &'a [u8]>) -> Self {
        let long_enough = |secret: &&[u8]| secret.len() >= SECRET_BYTES_MIN;
        Self {
            keys: secrets.filter(long_enough).map(Key::derive_from).collect(),
            provider: provider.into(),
        }
    }

    /// Seals a thing for a purpose; `None` only where there is no key.
    pub(super) fn close(&self, purpose: &str, thing: &impl Serialize) -> Option<String> {
        let key = self.keys.first()?;
        let text = serde_json::to_string(thing).ok()?;
        let name = self.name(purpose);
        let mut jar = CookieJar::new();
        jar.private_mut(key).add(Cookie::new(name.clone(), text));
        let sealed = jar.get(&name)?;
        Some(sealed.value().to_owned())
    }

    /// Opens what was sealed for this purpose with one of the keys.
    pub(super) fn open<T: DeserializeOwned>(&self, purpose: &str, sealed: &str) -> Option<T> {
        let jar = CookieJar::new();
        let text = self.keys.iter().find_map(|key| {
            let cookie = Cookie::new(self.name(purpose), sealed.to_owned());
            jar.private(key).decrypt(cookie)
        })?;
        serde_json::from_str(text.value()).ok()
    }

    /// What a text is sealed under, as associated data: it opens under no other name.
    fn name(&self, purpose: &str) -> String {
        format!("{}/{purpose}", self.provider)
    }
}

/// Seconds since 1970.
pub(super) fn seconds(moment: SystemTime) -> u64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[u8] = b"an old secret of more than 32 bytes!";
    const NEW: &[u8] = b"a new secret of more than 32 bytes!!";

    fn seal(provider: &str, secrets: &[&'static [u8]]) -> Seal {
        Seal::new(provider, secrets.iter().copied())
    }

    #[test]
    fn a_retired_key_opens_and_a_forgotten_one_does_not() {
        let sealed = seal("idp", &[OLD]).close("session", &"text").unwrap();
        let open =
            |secrets: &[&'static [u8]]| seal("idp", secrets).open::<String>("session", &sealed);
        assert_eq!(open(&[NEW, OLD]).as_deref(), Some("text"));
        assert_eq!(open(&[NEW]), None);
    }

    #[test]
    fn a_text_opens_only_for_what_it_was_sealed_for() {
        let ours = seal("idp", &[NEW]);
        let sealed = ours.close("session", &"text").unwrap();
        assert_eq!(ours.open::<String>("flow", &sealed), None);
        assert_eq!(
            seal("other", &[NEW]).open::<String>("session", &sealed),
            None
        );
        assert_ne!(
            ours.close("session", &"text").unwrap(),
            sealed,
            "no two are alike"
        );
    }

    #[test]
    fn what_was_touched_does_not_open() {
        let seal = seal("idp", &[NEW]);
        let sealed = seal.close("session", &"text").unwrap();
        assert!(seal.open::<String>("session", &sealed).is_some());
        for at in 0..sealed.len() {
            let mut touched = sealed.clone().into_bytes();
            touched[at] = if touched[at] == b'A' { b'B' } else { b'A' };
            let touched = String::from_utf8(touched).unwrap();
            assert_eq!(seal.open::<String>("session", &touched), None, "byte {at}");
            assert_eq!(
                seal.open::<String>("session", &sealed[..at]),
                None,
                "cut at {at}"
            );
        }
    }

    #[test]
    fn short_secrets_make_no_key() {
        assert!(seal("idp", &[b"short"]).close("session", &"text").is_none());
    }
}
