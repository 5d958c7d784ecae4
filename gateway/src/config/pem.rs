//! Certificates and keys in PEM: read, and judged as far as a file alone allows.
//!
//! What these functions let pass neither rustls nor Pingora refuses later; Pingora would panic over some of the rest.

use std::fmt;
use std::time::{Duration, SystemTime};

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error as TlsError, InconsistentKeys, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer, X509Certificate};

/// What is wrong with a file. Never holds a part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// It holds nothing of the kind.
    #[error("it holds no {0} in PEM")]
    Nothing(&'static str),
    /// What looks like PEM is none.
    #[error("it is not PEM")]
    Broken,
    /// A certificate that cannot be understood.
    #[error("it holds a certificate that is malformed")]
    Malformed,
    /// A key of a kind that cannot be used.
    #[error("the key is of a kind that is not supported, or malformed")]
    Unsupported,
    /// The key is not the certificate's.
    #[error("the key does not belong to the certificate")]
    Mismatch,
}

/// A certificate chain, leaf first, with its private key.
pub struct Pair {
    /// The chain, DER.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key, DER.
    pub key: PrivateKeyDer<'static>,
}

/// The certificates of a text, at least one.
pub fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let found = found.map_err(|_| PemError::Broken)?;
    if found.is_empty() {
        return Err(PemError::Nothing("certificate"));
    }
    let malformed = |der: &CertificateDer<'_>| parsed(der).is_none();
    if found.iter().any(malformed) {
        return Err(PemError::Malformed);
    }
    Ok(found)
}

/// Certificates that others are verified by.
pub fn roots(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let found = certificates(pem)?;
    let mut store = RootCertStore::empty();
    for root in &found {
        store.add(root.clone()).map_err(|_| PemError::Malformed)?;
    }
    Ok(found)
}

/// The first private key of a text.
pub fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    use rustls_pki_types::pem::Error;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        if matches!(error, Error::NoItemsFound) {
            PemError::Nothing("private key")
        } else {
            PemError::Broken
        }
    })?;
    // As Pingora reads it again: by its bytes, whatever its label says.
    PrivateKeyDer::try_from(key.secret_der().to_vec()).map_err(|_| PemError::Unsupported)
}

impl Pair {
    /// A chain and its key, if they belong together.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, PemError> {
        let provider = aws_lc_rs::default_provider();
        match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
            Ok(_) => Ok(Self { chain, key }),
            Err(TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(PemError::Mismatch)
            }
            Err(TlsError::InvalidCertificate(CertificateError::BadEncoding)) => {
                Err(PemError::Malformed)
            }
            Err(_) => Err(PemError::Unsupported),
        }
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pair({} certificates, key ***)", self.chain.len())
    }
}

/// When a certificate is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validity {
    /// Not before this moment.
    pub from: SystemTime,
    /// Nor after this one.
    pub until: SystemTime,
    /// The last day, for people.
    pub last_day: String,
}

impl Validity {
    /// Of a certificate that [`certificates`] let pass.
    pub fn of(der: &CertificateDer<'static>) -> Option<Self> {
        let certificate = parsed(der)?;
        let validity = certificate.validity();
        Some(Self {
            from: moment(validity.not_before.timestamp()),
            until: moment(validity.not_after.timestamp()),
            last_day: validity.not_after.to_datetime().date().to_string(),
        })
    }
}

fn parsed<'a>(der: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(der)
        .ok()
        .map(|(_, parsed)| parsed)
}

fn moment(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let moment = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    moment.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn reads_a_pair() {
        let (cert, key) = pair("a.test");
        let chain = certificates(cert.as_bytes()).unwrap();
        let validity = Validity::of(&chain[0]).unwrap();
        assert!(validity.from < SystemTime::now() && SystemTime::now() < validity.until);
        assert_eq!(roots(cert.as_bytes()).unwrap().len(), 1);
        let pair = Pair::new(chain, private_key(key.as_bytes()).unwrap()).unwrap();
        assert_eq!(format!("{pair:?}"), "Pair(1 certificates, key ***)");
    }

    #[test]
    fn refuses_what_is_not_a_pair() {
        let ((cert, key), (_, other)) = (pair("a.test"), pair("b.test"));
        let chain = certificates(cert.as_bytes()).unwrap();
        let key_of = |text: &str| private_key(text.as_bytes());
        let mixed = Pair::new(chain, key_of(&other).unwrap());
        assert_eq!(mixed.unwrap_err(), PemError::Mismatch);
        assert_eq!(key_of(&cert).unwrap_err(), PemError::Nothing("private key"));
        let none = certificates(key.as_bytes()).unwrap_err();
        assert_eq!(none, PemError::Nothing("certificate"));
        let broken = cert.replacen("MII", "???", 1);
        assert!(certificates(broken.as_bytes()).is_err());
        assert!(certificates(b"").is_err());
        let malformed = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(
            certificates(malformed.as_bytes()).unwrap_err(),
            PemError::Malformed
        );
    }
}
