//! Why a token counts for nothing: a closed list, for `explain` and the log. The client learns only that it is invalid.

use super::algorithm::Algorithm;

/// What is wrong with a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// More bytes than the provider takes.
    #[error("the token has more than {0} bytes")]
    TooLarge(usize),
    /// Not `header.payload.signature`.
    #[error("the token has not three parts")]
    Parts,
    /// Five parts: encrypted, which only its receiver can read.
    #[error("the token is encrypted (JWE)")]
    Encrypted,
    /// A part is not base64url in its one canonical spelling.
    #[error("the token's {0} is not canonical base64url")]
    Encoding(Part),
    /// A part is not one JSON object with distinct members.
    #[error("the token's {0} is no JSON object with distinct members")]
    Json(Part),
    /// `alg` is missing or no string.
    #[error("the token names no algorithm")]
    NoAlgorithm,
    /// `alg` is none of the provider's.
    #[error("the token's algorithm is not among the provider's")]
    Algorithm,
    /// `crit` names something; nothing critical is understood here.
    #[error("the token's header has critical extensions")]
    Critical,
    /// `typ` is no string or not the type that is asked for.
    #[error("the token is not of the type asked for")]
    Type,
    /// `kid` is no string.
    #[error("the token's `kid` is no string")]
    KeyName,
    /// No key has this `kid`.
    #[error("no key has the token's `kid`")]
    UnknownKey,
    /// There is a key of this name, for other algorithms.
    #[error("no key is for {0}")]
    NoKey(Algorithm),
    /// No `kid`, and several keys could be meant.
    #[error("the token names no key and several could be meant")]
    SeveralKeys,
    /// The signature is not that key's.
    #[error("the signature is wrong")]
    Signature,
    /// A claim that must be there is not.
    #[error("the claim `{0}` is missing")]
    Missing(Box<str>),
    /// A claim has a type that it cannot have.
    #[error("the claim `{0}` has a wrong type")]
    WrongType(Box<str>),
    /// `iss` is another's.
    #[error("the token is another issuer's")]
    Issuer,
    /// `aud` names none of us.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` is over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is to come.
    #[error("the token is not valid yet")]
    NotYet,
    /// `iat` is to come.
    #[error("the token was issued in the future")]
    Future,
    /// Its issuer says that it is not active.
    #[error("the issuer says that the token is not active")]
    Inactive,
    /// `iat` is longer ago than `age-max`.
    #[error("the token is older than `age-max`")]
    TooOld,
}

/// A part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first.
    Header,
    /// The second.
    Payload,
    /// The third.
    Signature,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Header => "header",
            Self::Payload => "payload",
            Self::Signature => "signature",
        })
    }
}
