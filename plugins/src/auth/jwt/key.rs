//! Keys, each bound to one algorithm when it is read: a public key can never serve as a secret.

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicEncryptingKey;
use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::DecodingKey;

use super::algorithm::{Algorithm, Means};
use super::fault::Fault;

/// A key for one algorithm.
pub struct Key {
    kid: Option<Box<str>>,
    algorithm: Algorithm,
    check: Check,
}

enum Check {
    /// By the library of tokens.
    Library(Box<DecodingKey>, jsonwebtoken::Algorithm),
    /// ES512, which the library does not have.
    Direct(Box<ParsedPublicKey>),
}

/// A public key as JWKs and PEM files have it.
#[derive(Debug)]
pub enum PublicKey {
    /// Modulus and exponent, big-endian.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
    /// A point on a curve, by the curve's name in a JWK.
    Point {
        /// `P-256`, `P-384` or `P-521`.
        curve: &'static str,
        /// The point, uncompressed (SEC 1).
        point: Vec<u8>,
    },
    /// A key of Ed25519.
    Edwards(Vec<u8>),
    /// Whatever the DER says: `SubjectPublicKeyInfo`, or RSA's own form.
    Der(Vec<u8>),
}

/// Why a key cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is of another kind.
    #[error("the key is not for {0}")]
    NotFor(Algorithm),
    /// An RSA key that is too weak (RFC 7518 section 3.3) or costs too much.
    #[error("an RSA key has between 2048 and 8192 bits")]
    Strength,
    /// A secret with less entropy than the tags it makes (RFC 7518 section 3.2).
    #[error("a secret of {has} bytes: {algorithm} asks for at least {needs}")]
    ShortSecret {
        /// The algorithm.
        algorithm: Algorithm,
        /// Its least length.
        needs: usize,
        /// The secret's length.
        has: usize,
    },
    /// No PEM block `PUBLIC KEY`.
    #[error("not one PEM block `PUBLIC KEY`")]
    NotPem,
    /// A private key where a public one is asked for.
    #[error("this is a private key; only its public half is asked for")]
    Private,
}

impl Key {
    /// A secret's key for one of the HS algorithms.
    pub fn secret(secret: &[u8], algorithm: Algorithm) -> Result<Self, KeyError> {
        let Means::Secret(hmac) = algorithm.means() else {
            return Err(KeyError::NotFor(algorithm));
        };
        let needs = hmac.digest_algorithm().output_len();
        if secret.len() < needs {
            let has = secret.len();
            return Err(KeyError::ShortSecret {
                algorithm,
                needs,
                has,
            });
        }
        let theirs = algorithm.of_library().ok_or(KeyError::NotFor(algorithm))?;
        let key = DecodingKey::from_secret(secret);
        Ok(Self {
            kid: None,
            algorithm,
            check: Check::Library(Box::new(key), theirs),
        })
    }

    /// A public key for one algorithm, which must be of its kind.
    pub fn public(key: &PublicKey, algorithm: Algorithm) -> Result<Self, KeyError> {
        // The library would find out at the first token only what is wrong with a key.
        let parsed = parsed(key, algorithm)?;
        let check = match algorithm.of_library() {
            Some(theirs) => Check::Library(Box::new(decoding(key, algorithm)), theirs),
            None => Check::Direct(Box::new(parsed)),
        };
        Ok(Self {
            kid: None,
            algorithm,
            check,
        })
    }

    /// The same key under a name.
    pub fn named(mut self, kid: Option<&str>) -> Self {
        self.kid = kid.map(Into::into);
        self
    }

    /// Whether the signature, in base64url, is this key's; in constant time where the key is secret.
    pub fn verify(&self, signed: &[u8], signature: &str) -> Result<(), Fault> {
        let is_ours = match &self.check {
            Check::Library(key, algorithm) => {
                jsonwebtoken::crypto::verify(signature, signed, key, *algorithm).unwrap_or(false)
            }
            Check::Direct(key) => URL_SAFE_NO_PAD
                .decode(signature)
                .is_ok_and(|signature| key.verify_sig(signed, &signature).is_ok()),
        };
        if is_ours {
            Ok(())
        } else {
            Err(Fault::Signature)
        }
    }
}

/// The key as the library holds it: bytes that it hands to aws-lc, which tells points from DER.
fn decoding(key: &PublicKey, algorithm: Algorithm) -> DecodingKey {
    match (key, algorithm.means()) {
        (PublicKey::Rsa { n, e }, _) => {
            DecodingKey::from_rsa_raw_components(without_zeros(n), without_zeros(e))
        }
        (PublicKey::Point { point, .. }, _) => DecodingKey::from_ec_der(point),
        (PublicKey::Edwards(bytes), _) => DecodingKey::from_ed_der(bytes),
        (PublicKey::Der(der), Means::Curve(..)) => DecodingKey::from_ec_der(der),
        (PublicKey::Der(der), Means::Edwards(_)) => DecodingKey::from_ed_der(der),
        (PublicKey::Der(der), Means::Rsa(_) | Means::Secret(_)) => DecodingKey::from_rsa_der(der),
    }
}

fn parsed(key: &PublicKey, algorithm: Algorithm) -> Result<ParsedPublicKey, KeyError> {
    let foreign = KeyError::NotFor(algorithm);
    let parsed = match (algorithm.means(), key) {
        (Means::Rsa(parameters), PublicKey::Rsa { n, e }) => RsaPublicKeyComponents {
            n: without_zeros(n),
            e: without_zeros(e),
        }
        .to_parsed_public_key(parameters),
        (Means::Rsa(parameters), PublicKey::Der(der)) => ParsedPublicKey::new(parameters, der),
        (Means::Curve(wanted, parameters), PublicKey::Point { curve, point })
            if wanted == *curve =>
        {
            ParsedPublicKey::new(parameters, point)
        }
        (Means::Curve(_, parameters), PublicKey::Der(der)) => ParsedPublicKey::new(parameters, der),
        (Means::Edwards(parameters), PublicKey::Edwards(bytes) | PublicKey::Der(bytes)) => {
            ParsedPublicKey::new(parameters, bytes)
        }
        (Means::Secret(_) | Means::Rsa(_) | Means::Curve(..) | Means::Edwards(_), _) => {
            return Err(foreign);
        }
    };
    let parsed = parsed.map_err(|_rejected| foreign)?;
    // Weak keys parse, too.
    if matches!(algorithm.means(), Means::Rsa(_)) && !is_strong(&parsed) {
        return Err(KeyError::Strength);
    }
    Ok(parsed)
}

/// Keys for encryption are measured when they are read: between 2048 and 8192 bits.
fn is_strong(key: &ParsedPublicKey) -> bool {
    let der: Result<PublicKeyX509Der<'_>, _> = key.as_der();
    der.is_ok_and(|der| PublicEncryptingKey::from_der(der.as_ref()).is_ok())
}

/// Some issuers write a leading zero, as ASN.1 would.
fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

impl PublicKey {
    /// The one public key of a PEM file.
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let mut blocks = text.split("-----BEGIN ").skip(1);
        let (Some(block), None) = (blocks.next(), blocks.next()) else {
            return Err(KeyError::NotPem);
        };
        let (label, rest) = block.split_once("-----").ok_or(KeyError::NotPem)?;
        if label.ends_with("PRIVATE KEY") {
            return Err(KeyError::Private);
        }
        if !matches!(label, "PUBLIC KEY" | "RSA PUBLIC KEY") {
            return Err(KeyError::NotPem);
        }
        let end = format!("-----END {label}-----");
        let (content, _) = rest.split_once(&end).ok_or(KeyError::NotPem)?;
        let content: String = content.split_ascii_whitespace().collect();
        let der = STANDARD.decode(content).map_err(|_| KeyError::NotPem)?;
        Ok(Self::Der(der))
    }
}

/// The keys of a provider.
pub struct Keys {
    keys: Box<[Key]>,
    /// Whether they have names; the key of a file has none, and whatever name a token says means it.
    named: bool,
}

impl Keys {
    /// One key that has no name, for each of its algorithms.
    pub fn unnamed(keys: Vec<Key>) -> Self {
        Self {
            keys: keys.into(),
            named: false,
        }
    }

    /// A set of keys with names. Of several with one name and algorithm the first counts.
    pub fn set(keys: Vec<Key>) -> Self {
        let mut kept: Vec<Key> = Vec::with_capacity(keys.len());
        for key in keys {
            let same = |kept: &Key| kept.kid == key.kid && kept.algorithm == key.algorithm;
            if key.kid.is_none() || !kept.iter().any(same) {
                kept.push(key);
            }
        }
        Self {
            keys: kept.into(),
            named: true,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The one key that a token can mean.
    pub fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Result<&Key, Fault> {
        let fits = |key: &&Key| key.algorithm == algorithm;
        let Some(kid) = kid.filter(|_| self.named) else {
            let mut keys = self.keys.iter().filter(fits);
            return match (keys.next(), keys.next()) {
                (Some(key), None) => Ok(key),
                (Some(_), Some(_)) => Err(Fault::SeveralKeys),
                (None, _) => Err(Fault::NoKey(algorithm)),
            };
        };
        let named = |key: &&Key| key.kid.as_deref() == Some(kid);
        let mut keys = self.keys.iter().filter(named).peekable();
        keys.peek().ok_or(Fault::UnknownKey)?;
        keys.find(fits).ok_or(Fault::NoKey(algorithm))
    }
}

/// The digest by which something is remembered in place of itself.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, bytes);
    // SHA-256 has 32 bytes; the fallback cannot be seen.
    digest.as_ref().try_into().unwrap_or_default()
}

impl std::fmt::Debug for Key {
    /// Never the key itself.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kid, algorithm, .. } = self;
        write!(f, "Key({kid:?}, {algorithm})")
    }
}

#[cfg(test)]
mod tests;
