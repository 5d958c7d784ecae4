//! From a token's text to its verified claims, in the order that costs an attacker most and us least: shape, header, key,
//! signature, claims.

use std::time::SystemTime;

use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::claims::Rules;
use super::compact::Compact;
use super::fault::Fault;
use super::header::{Header, TokenType};
use super::key::Keys;

/// What a provider takes, whatever its keys are.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// The algorithms that count.
    pub algorithms: Box<[Algorithm]>,
    /// The types that count.
    pub types: TokenType,
    /// The longest token.
    pub bytes_max: usize,
    /// What the claims must say.
    pub rules: Rules,
}

/// A token that is well-formed and meant for these terms; nobody knows yet whose it is.
#[derive(Debug)]
pub struct Unverified<'a> {
    compact: Compact<'a>,
    header: Header,
}

/// What an issuer said.
#[derive(Debug, PartialEq)]
pub struct Verified {
    /// The claims.
    pub claims: Map<String, Value>,
    /// Until when they hold.
    pub until: SystemTime,
}

impl Unverified<'_> {
    /// By which algorithm it says that it is signed: one of those that count.
    pub fn algorithm(&self) -> Algorithm {
        self.header.algorithm
    }

    /// Whether newer keys could make a token good that is refused for this. One that names no key shows by its signature
    /// alone that its issuer has another.
    pub fn may_be_newer_than_the_keys(&self, fault: &Fault) -> bool {
        let nameless = self.header.kid.is_none();
        *fault == Fault::UnknownKey
            || nameless && matches!(fault, Fault::Signature | Fault::NoKey(_))
    }
}

impl Terms {
    /// Judges a token's shape and header.
    pub fn open<'a>(&self, token: &'a str) -> Result<Unverified<'a>, Fault> {
        let mut compact = Compact::parse(token, self.bytes_max)?;
        let members = std::mem::take(&mut compact.header);
        let header = Header::read(members, &self.algorithms, &self.types)?;
        Ok(Unverified { compact, header })
    }

    /// Verifies a token by the one key that it can mean, and judges what it claims.
    pub fn verify(
        &self,
        token: &Unverified<'_>,
        keys: &Keys,
        now: SystemTime,
    ) -> Result<Verified, Fault> {
        let Unverified { compact, header } = token;
        let key = keys.find(header.kid.as_deref(), header.algorithm)?;
        key.verify(compact.signed, compact.signature)?;
        let claims = compact.claims()?;
        let until = self.rules.check(&claims, now)?;
        Ok(Verified { claims, until })
    }
}

/// Whose token this says it is. Anybody can write that: good for choosing among providers and nothing else.
pub fn said_issuer(token: &str, bytes_max: usize) -> Option<String> {
    let compact = Compact::parse(token, bytes_max).ok()?;
    match compact.claims().ok()?.remove("iss") {
        Some(Value::String(issuer)) => Some(issuer),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
