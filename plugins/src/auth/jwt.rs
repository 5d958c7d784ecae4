//! `jwt`: signed tokens (RFC 7519), verified here.
//!
//! ```toml
//! [route.orders]
//! match = "/orders/**"
//! upstream = "orders"
//!
//! [route.orders.auth]
//! jwt = {
//!   jwks = "https://idp.example.com/.well-known/jwks.json", issuer = "https://idp.example.com/",
//!   audience = ["orders"], algorithms = ["RS256"], plan = "claim.plan",
//! }
//! ```
//!
//! A token must be well-formed to the last bit, signed by one of the algorithms of the table with a key of the issuer, for
//! this audience, and in time. What it says of keys and algorithms chooses among ours and adds none. Why it was refused is
//! for `explain` and metrics; the client hears `invalid_token`.
//!
//! A name of a claim that has dots is looked up whole first, then as a path: `claim.realm_access.roles`.
//!
//! Good tokens are remembered by their SHA-256 until they expire, under the keys and the consumers of that moment.

pub mod algorithm;
pub mod claims;
pub mod compact;
mod config;
pub mod fault;
pub mod header;
mod issuer;
pub mod json;
pub mod key;
pub mod mapping;
pub mod verdicts;
pub mod verify;

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value as Json};

use super::challenge::Challenges;
use super::consumer::adopt;
use super::credential::{Credential, Presented, Sources};
use super::provider::Mine;
use super::verdict::{OnError, Reason, Verdict};
use crate::contract::consumers::Directory;
use crate::contract::identity::Identity;
use crate::contract::prelude::*;
use crate::contract::services::{Clock, Services};
use claims::find;
use fault::Fault;
use issuer::Issuer;
use key::sha256;
use mapping::Mapping;
use verdicts::{Digest, Generation, Verdicts};
use verify::{Terms, Unverified, Verified};

pub use config::{JwtConfig, KeySet, RawJwt, ServiceUrl};
pub(super) use config::{boxed, mapping as validated_mapping, warn_if_plain};

/// A provider of this kind.
pub(super) struct Jwt {
    name: Arc<str>,
    sources: Sources,
    challenges: Challenges,
    terms: Terms,
    mapping: Mapping,
    issuer: Issuer,
    verdicts: Verdicts<Identity>,
    clock: Arc<dyn Clock>,
}

/// Why a token was not verified.
enum Trouble {
    /// It is not valid.
    Fault(Fault),
    /// Nobody knows: there are no keys.
    NoKeys,
}

impl Jwt {
    pub(super) fn compile(
        config: &JwtConfig,
        name: &Arc<str>,
        services: &Services,
    ) -> Result<Self, CompileError> {
        Ok(Self {
            name: Arc::clone(name),
            sources: config.sources.clone(),
            challenges: Challenges::bearer(name),
            issuer: Issuer::compile(config, name, services)?,
            terms: config.terms.clone(),
            mapping: config.mapping.clone(),
            verdicts: Verdicts::default(),
            clock: Arc::clone(&services.clock),
        })
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    pub(super) fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    pub(super) fn presented<'a>(&self, request: &RequestView<'a>) -> Presented<'a> {
        self.sources.read(request)
    }

    /// By the issuer that the token names; several providers of a route differ in that.
    pub(super) fn claims_it(&self, credential: &Credential<'_>) -> Mine {
        let token = credential.text().unwrap_or_default();
        match verify::said_issuer(token, self.terms.bytes_max) {
            Some(issuer) if *issuer == *self.terms.rules.issuer => Mine::Yes,
            Some(_) => Mine::No,
            None => Mine::Perhaps,
        }
    }

    pub(super) async fn judge(
        &self,
        credential: &Credential<'_>,
        request: &RequestView<'_>,
        consumers: &Directory,
    ) -> Verdict {
        if credential.bytes().len() > self.terms.bytes_max {
            return refuse(&Fault::TooLarge(self.terms.bytes_max), request);
        }
        let digest = sha256(credential.bytes());
        let now = self.clock.now();
        let generation = (self.issuer.generation(), consumers.generation());
        if let Some(identity) = self.verdicts.find(&digest, generation, now) {
            return Verdict::Accepted(identity.into());
        }
        let Some(token) = credential.text() else {
            return Verdict::Rejected(Reason::Malformed);
        };
        // Most requests need not carry this along.
        Box::pin(self.verify(token, digest, now, request, consumers)).await
    }

    async fn verify(
        &self,
        token: &str,
        digest: Digest,
        now: SystemTime,
        request: &RequestView<'_>,
        consumers: &Directory,
    ) -> Verdict {
        let opened = match self.terms.open(token) {
            Ok(opened) => opened,
            Err(fault) => return refuse(&fault, request),
        };
        let mut verified = self.by_keys(&opened, now);
        if let (Err(trouble), Issuer::Remote(remote)) = (&verified, &self.issuer)
            && trouble.may_pass(&opened)
            && remote.refresh().await
        {
            verified = self.by_keys(&opened, now);
        }
        let (verified, keys) = match verified {
            Ok(verified) => verified,
            Err(Trouble::Fault(fault)) => return refuse(&fault, request),
            Err(Trouble::NoKeys) => {
                let text = || "the issuer's keys have not been fetched yet".to_owned();
                request.facts.note(text);
                return Verdict::Unavailable(OnError::Deny);
            }
        };
        match identify(&self.name, &self.mapping, verified.claims, consumers) {
            Ok(identity) => {
                let identity = Arc::new(identity);
                let generation: Generation = (keys, consumers.generation());
                let (bytes, known) = (token.len(), Arc::clone(&identity));
                self.verdicts
                    .remember(digest, bytes, generation, verified.until, known);
                Verdict::Accepted(identity.into())
            }
            Err(fault) => refuse(&fault, request),
        }
    }

    /// Verifies by the keys that are known now; says which generation of them it was.
    fn by_keys(&self, token: &Unverified<'_>, now: SystemTime) -> Result<(Verified, u64), Trouble> {
        let (verified, generation) = match &self.issuer {
            Issuer::Fixed(keys) => (self.terms.verify(token, keys, now), 0),
            Issuer::Remote(remote) => {
                let known = remote.known();
                let known = known.as_ref().ok_or(Trouble::NoKeys)?;
                let verified = self.terms.verify(token, &known.keys, now);
                (verified, known.generation)
            }
        };
        let verified = verified.map_err(Trouble::Fault)?;
        Ok((verified, generation))
    }

    /// Claims that `explain` declares; whose they are is judged, the rest counts as verified.
    pub(super) fn declared(
        &self,
        claims: &Map<String, Json>,
        request: &RequestView<'_>,
        consumers: &Directory,
    ) -> Verdict {
        if find(claims, "iss").is_some_and(|issuer| *issuer != *self.terms.rules.issuer) {
            return refuse(&Fault::Issuer, request);
        }
        match identify(&self.name, &self.mapping, claims.clone(), consumers) {
            Ok(identity) => identity.into(),
            Err(fault) => refuse(&fault, request),
        }
    }

    pub(super) async fn prepare(&self, _services: &Services) {
        if let Issuer::Remote(remote) = &self.issuer {
            remote.prepare().await;
        }
    }

    pub(super) fn activate(self: &Arc<Self>, _services: &Services) {
        if let Issuer::Remote(remote) = &self.issuer {
            remote.activate();
        }
    }

    pub(super) fn unready(&self) -> Option<String> {
        match &self.issuer {
            Issuer::Fixed(_) => None,
            Issuer::Remote(remote) => remote.unready(),
        }
    }
}

impl Trouble {
    /// Whether newer keys could help.
    fn may_pass(&self, token: &Unverified<'_>) -> bool {
        match self {
            Self::NoKeys => true,
            Self::Fault(fault) => token.may_be_newer_than_the_keys(fault),
        }
    }
}

/// Who these claims are about, with the consumer that they name.
pub(super) fn identify(
    provider: &Arc<str>,
    mapping: &Mapping,
    claims: Map<String, Json>,
    consumers: &Directory,
) -> Result<Identity, Fault> {
    let mut identity = mapping.identity(provider, claims)?;
    let consumer = match &mapping.consumer {
        // Whoever says by which claim consumers are named trusts its issuer with their names.
        Some(_) => mapping.named_consumer(&identity.claims)?.and_then(|named| {
            let by_subject = consumers.by_subject(provider, named);
            by_subject.or_else(|| consumers.by_name(named))
        }),
        None => consumers.by_subject(provider, &identity.subject),
    };
    if let Some(consumer) = consumer {
        adopt(&mut identity, consumer);
    }
    Ok(identity)
}

/// Rejects, and tells `explain` more than the client and metrics.
pub(super) fn refuse(fault: &Fault, request: &RequestView<'_>) -> Verdict {
    request.facts.note(|| fault.to_string());
    Verdict::Rejected(fault.reason())
}

impl Fault {
    fn reason(&self) -> Reason {
        match self {
            Self::TooLarge(_) => Reason::TooLarge,
            Self::Parts | Self::Encrypted | Self::Encoding(_) | Self::Json(_) | Self::KeyName => {
                Reason::Malformed
            }
            Self::NoAlgorithm | Self::Algorithm => Reason::Algorithm,
            Self::Critical => Reason::Critical,
            Self::Type => Reason::Type,
            Self::UnknownKey | Self::NoKey(_) | Self::SeveralKeys => Reason::Key,
            Self::Signature => Reason::Signature,
            Self::Missing(_) | Self::WrongType(_) => Reason::Claim,
            Self::Issuer => Reason::Issuer,
            Self::Audience => Reason::Audience,
            Self::Expired => Reason::Expired,
            Self::NotYet | Self::Future => Reason::NotYet,
            Self::Inactive => Reason::Inactive,
            Self::TooOld => Reason::TooOld,
        }
    }
}

#[cfg(test)]
mod tests;
