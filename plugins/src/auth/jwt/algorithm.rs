//! The algorithms by which tokens may be signed (RFC 7518 section 3, RFC 8037 section 3.1).
//!
//! Which of them count is the provider's table, never the token: a token only names one of those.

use std::fmt;

use aws_lc_rs::rsa::RsaParameters;
use aws_lc_rs::signature::{self, EcdsaVerificationAlgorithm, EdDSAParameters};
use aws_lc_rs::{digest, hmac};
use schemars::JsonSchema;
use serde::Deserialize;

/// An algorithm by its registered name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// ECDSA on P-521 with SHA-512.
    Es512,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

/// What an algorithm verifies with. A secret and a public key are never the same kind, so a token cannot turn one into
/// the other.
#[derive(Clone, Copy)]
pub(crate) enum Means {
    /// A secret that both sides know.
    Secret(hmac::Algorithm),
    /// A public key of RSA.
    Rsa(&'static RsaParameters),
    /// A public key on this curve, by its name in a JWK.
    Curve(&'static str, &'static EcdsaVerificationAlgorithm),
    /// A public key of Ed25519.
    Edwards(&'static EdDSAParameters),
}

const NAMES: &[(&str, Algorithm)] = &[
    ("HS256", Algorithm::Hs256),
    ("HS384", Algorithm::Hs384),
    ("HS512", Algorithm::Hs512),
    ("RS256", Algorithm::Rs256),
    ("RS384", Algorithm::Rs384),
    ("RS512", Algorithm::Rs512),
    ("PS256", Algorithm::Ps256),
    ("PS384", Algorithm::Ps384),
    ("PS512", Algorithm::Ps512),
    ("ES256", Algorithm::Es256),
    ("ES384", Algorithm::Es384),
    ("ES512", Algorithm::Es512),
    ("EdDSA", Algorithm::EdDsa),
];

impl Algorithm {
    /// The algorithm of this name; names are case-sensitive.
    pub fn named(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(known, _)| *known == name)?;
        Some(found.1)
    }

    /// Its registered name.
    pub fn name(self) -> &'static str {
        let found = NAMES.iter().find(|(_, algorithm)| *algorithm == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether both sides hold the same secret.
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }

    /// The digest that it works on, by which an ID token names the access token beside it; Ed25519 works on SHA-512.
    pub(crate) fn digest(self) -> &'static digest::Algorithm {
        match self {
            Self::Hs256 | Self::Rs256 | Self::Ps256 | Self::Es256 => &digest::SHA256,
            Self::Hs384 | Self::Rs384 | Self::Ps384 | Self::Es384 => &digest::SHA384,
            Self::Hs512 | Self::Rs512 | Self::Ps512 | Self::Es512 | Self::EdDsa => &digest::SHA512,
        }
    }

    /// The name that the library of tokens has for it; it has none for ES512.
    pub(crate) fn of_library(self) -> Option<jsonwebtoken::Algorithm> {
        use jsonwebtoken::Algorithm as Theirs;
        Some(match self {
            Self::Hs256 => Theirs::HS256,
            Self::Hs384 => Theirs::HS384,
            Self::Hs512 => Theirs::HS512,
            Self::Rs256 => Theirs::RS256,
            Self::Rs384 => Theirs::RS384,
            Self::Rs512 => Theirs::RS512,
            Self::Ps256 => Theirs::PS256,
            Self::Ps384 => Theirs::PS384,
            Self::Ps512 => Theirs::PS512,
            Self::Es256 => Theirs::ES256,
            Self::Es384 => Theirs::ES384,
            Self::EdDsa => Theirs::EdDSA,
            Self::Es512 => return None,
        })
    }

    pub(crate) fn means(self) -> Means {
        match self {
            Self::Hs256 => Means::Secret(hmac::HMAC_SHA256),
            Self::Hs384 => Means::Secret(hmac::HMAC_SHA384),
            Self::Hs512 => Means::Secret(hmac::HMAC_SHA512),
            Self::Rs256 => Means::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256),
            Self::Rs384 => Means::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384),
            Self::Rs512 => Means::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512),
            Self::Ps256 => Means::Rsa(&signature::RSA_PSS_2048_8192_SHA256),
            Self::Ps384 => Means::Rsa(&signature::RSA_PSS_2048_8192_SHA384),
            Self::Ps512 => Means::Rsa(&signature::RSA_PSS_2048_8192_SHA512),
            Self::Es256 => Means::Curve("P-256", &signature::ECDSA_P256_SHA256_FIXED),
            Self::Es384 => Means::Curve("P-384", &signature::ECDSA_P384_SHA384_FIXED),
            Self::Es512 => Means::Curve("P-521", &signature::ECDSA_P521_SHA512_FIXED),
            Self::EdDsa => Means::Edwards(&signature::ED25519),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_as_it_is_printed() {
        for (name, algorithm) in NAMES {
            assert_eq!(algorithm.name(), *name);
            assert_eq!(Algorithm::named(name), Some(*algorithm));
            let written: Algorithm = serde_json::from_str(&format!("\"{name}\"")).unwrap();
            assert_eq!(written, *algorithm);
        }
        for name in [
            "none", "None", "NONE", "", "hs256", "HS256 ", "RS1", "ES256K", "Ed25519",
        ] {
            assert_eq!(Algorithm::named(name), None, "{name:?}");
        }
    }
}
