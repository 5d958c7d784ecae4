//! One certificate with its key and, where there is one, the answer of its authority that it is still good.
//!
//! Everything that can be wrong with the files is found here, so that a handshake cannot fail for it.

use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::names::Names;
use super::provider;
use super::resolver::Served;

/// A certificate, its key, and what it says of itself.
#[derive(Debug)]
pub struct Identity {
    key: CertifiedKey,
    names: Names,
    not_before: i64,
    not_after: i64,
}

/// Which of the files is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The certificate and its chain.
    Certificate,
    /// The private key.
    Key,
    /// The stapled answer.
    Ocsp,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It has no certificate in PEM, or a broken one.
    #[error("there is no readable certificate in it")]
    Certificate,
    /// It has no private key in PEM, or a broken one.
    #[error("there is no readable private key in it")]
    Key,
    /// The key is of a kind that cannot sign here.
    #[error("this kind of key cannot be used")]
    KeyKind,
    /// The key belongs to another certificate.
    #[error("the key does not belong to the certificate")]
    Mismatch,
    /// There is no alternative name that a host could have.
    #[error("the certificate names no host")]
    Nameless,
    /// It is no successful answer of an OCSP responder in DER.
    #[error("it is no OCSP response in DER that says `successful`")]
    Ocsp,
}

impl Flaw {
    /// The file that it is about.
    pub fn part(&self) -> Part {
        match self {
            Self::Certificate | Self::Nameless => Part::Certificate,
            Self::Key | Self::KeyKind | Self::Mismatch => Part::Key,
            Self::Ocsp => Part::Ocsp,
        }
    }
}

impl Identity {
    /// Reads a chain (the server's own certificate first) and its key in PEM, and a response in DER.
    pub fn read(chain: &[u8], key: &[u8], ocsp: Option<&[u8]>) -> Result<Self, Flaw> {
        let chain = certificates(chain)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| Flaw::Key)?;
        let own = chain.first().ok_or(Flaw::Certificate)?;
        let (_, parsed) = X509Certificate::from_der(own).map_err(|_| Flaw::Certificate)?;
        let names = Names::of(&parsed);
        if names.is_empty() {
            return Err(Flaw::Nameless);
        }
        let validity = parsed.validity();
        let (not_before, not_after) = (
            validity.not_before.timestamp(),
            validity.not_after.timestamp(),
        );
        let mut key =
            CertifiedKey::from_der(chain, key, &provider()).map_err(|error| flaw(&error))?;
        key.ocsp = ocsp.map(response).transpose()?;
        Ok(Self {
            key,
            names,
            not_before,
            not_after,
        })
    }

    /// The names that it covers.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Seconds since 1970 from which it is valid.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// Seconds since 1970 until which it is valid.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    pub(super) fn into_served(self) -> Served {
        Served {
            key: Arc::new(self.key),
            names: Arc::new(self.names),
            not_after: self.not_after,
        }
    }
}

/// All certificates of a PEM text; at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Flaw> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) | Err(_) => Err(Flaw::Certificate),
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the list of all errors of rustls is open"
)]
fn flaw(error: &Error) -> Flaw {
    match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Flaw::Mismatch,
        Error::InvalidCertificate(_) => Flaw::Certificate,
        _ => Flaw::KeyKind,
    }
}

/// `SEQUENCE { responseStatus ENUMERATED successful, … }` (RFC 6960 section 4.2.1). Clients judge the rest.
fn response(der: &[u8]) -> Result<Vec<u8>, Flaw> {
    const SUCCESSFUL: &[u8] = &[0x0a, 0x01, 0x00];
    let (tag, rest) = der.split_first().ok_or(Flaw::Ocsp)?;
    let (length, rest) = rest.split_first().ok_or(Flaw::Ocsp)?;
    // The long form says in how many bytes the length follows.
    let more = length.checked_sub(0x80).map_or(0, usize::from);
    let content = rest.get(more..).ok_or(Flaw::Ocsp)?;
    if *tag == 0x30 && content.starts_with(SUCCESSFUL) {
        Ok(der.to_vec())
    } else {
        Err(Flaw::Ocsp)
    }
}
