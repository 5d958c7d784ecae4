//! `basic`: names and passwords of consumers (RFC 7617), checked against their Argon2id hashes away from the threads that
//! serve requests.
//!
//! A name that nobody has costs as much time as one that somebody has. How many checks wait is limited; verdicts are
//! remembered for a while, so that a client need not pay for each request.

mod check;
mod remembered;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use self::check::{Checker, Outcome};
use super::challenge::Challenges;
use super::consumer::identity;
use super::credential::{Credential, Scheme, Source, Sources};
use super::verdict::{Reason, Verdict};
use crate::contract::consumers::Directory;
use crate::contract::prelude::*;
use crate::contract::services::{Clock, Services};
use remembered::Remembered;

/// What is longer is no name and password.
const TEXT_BYTES_MAX: usize = 4096;

/// How long a good password is remembered, and a wrong one.
const KEEP_GOOD: Duration = Duration::from_mins(5);
const KEEP_WRONG: Duration = Duration::from_secs(10);

/// `basic` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawBasic {
    /// What browsers show when they ask for the password. Default: `"gateway"`.
    realm: Option<At<String>>,
}

/// `basic` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct BasicConfig {
    realm: String,
}

/// A provider of this kind.
pub(super) struct Basic {
    name: Arc<str>,
    sources: Sources,
    challenges: Challenges,
    clock: Arc<dyn Clock>,
    checker: Checker,
    remembered: Remembered,
}

impl RawBasic {
    #[expect(clippy::unnecessary_wraps, reason = "the shape that every kind has")]
    pub(super) fn validate(self, _table: Span, report: &mut Report) -> Option<BasicConfig> {
        let realm = self.realm;
        if let Some(realm) = &realm {
            let fits = |c: char| c == ' ' || c.is_ascii_graphic();
            if realm.is_empty() || !realm.chars().all(fits) {
                report
                    .error(
                        realm.span(),
                        "auth.realm",
                        "a realm is made of visible ASCII",
                    )
                    .help("for example realm = \"orders\"");
            }
        }
        Some(BasicConfig {
            realm: realm.map_or_else(|| "gateway".to_owned(), At::into_inner),
        })
    }
}

impl Basic {
    pub(super) fn compile(
        config: &BasicConfig,
        name: &Arc<str>,
        services: &Services,
    ) -> Result<Self, CompileError> {
        let parameters = [("realm", &*config.realm), ("charset", "UTF-8")];
        Ok(Self {
            name: name.clone(),
            sources: Sources::new([Source::Scheme(Scheme::Basic)]),
            challenges: Challenges::new("Basic", &parameters),
            clock: services.clock.clone(),
            checker: Checker::default(),
            remembered: Remembered::new()?,
        })
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    pub(super) fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    pub(super) async fn judge(
        &self,
        credential: &Credential<'_>,
        request: &RequestView<'_>,
        consumers: &Directory,
    ) -> Verdict {
        let Some((name, password)) = credential.text().and_then(parts) else {
            let text = || "it is not the base64 of name:password in UTF-8".to_owned();
            request.facts.note(text);
            return Verdict::Rejected(Reason::Malformed);
        };
        let known = consumers.password(&name);
        // Somebody's password, so that the time does not tell who exists.
        let Some(hash) = known.map(|(_, hash)| hash).or(consumers.any_password()) else {
            request
                .facts
                .note(|| "no consumer has a password".to_owned());
            return Verdict::Rejected(Reason::Unknown);
        };
        let key = self.remembered.key(&name, &password, hash);
        let now = self.clock.elapsed();
        let is_right = match self.remembered.get(&key, now) {
            Some(is_right) => is_right,
            None => match self.checker.check(password, hash.to_owned()).await {
                Outcome::Busy => return Verdict::Busy,
                Outcome::Checked(is_right) => {
                    let keep = if is_right { KEEP_GOOD } else { KEEP_WRONG };
                    self.remembered.put(key, is_right, now + keep);
                    is_right
                }
            },
        };
        match known {
            Some((consumer, _)) if is_right => identity(&self.name, consumer).into(),
            Some(_) => {
                let text = || "the password is not the consumer's".to_owned();
                request.facts.note(text);
                Verdict::Rejected(Reason::Proof)
            }
            None => {
                let text = || "no consumer of this name has a password".to_owned();
                request.facts.note(text);
                Verdict::Rejected(Reason::Unknown)
            }
        }
    }
}

/// Name and password: base64 as it must be, UTF-8 without control characters, a colon between (RFC 7617 section 2).
fn parts(text: &str) -> Option<(String, String)> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(text).ok()?).ok()?;
    if text.chars().any(char::is_control) {
        return None;
    }
    let (name, password) = text.split_once(':')?;
    (!name.is_empty()).then(|| (name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests;
