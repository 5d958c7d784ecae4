//! Certificates that clients show: whose are accepted, and what an accepted one says.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use plugins::contract::view::ClientCertificate;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{Error, RootCertStore, SupportedCipherSuite};
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::identity::{Flaw, certificates};

/// Whose certificates clients may show, and whether they must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    authorities: Vec<CertificateDer<'static>>,
    required: bool,
}

impl Clients {
    /// Reads the certificates of the authorities in PEM.
    pub fn read(pem: &[u8], required: bool) -> Result<Self, Flaw> {
        let authorities = certificates(pem)?;
        let mut roots = RootCertStore::empty();
        for authority in &authorities {
            // One that cannot be an anchor would refuse every client later.
            roots
                .add(authority.clone())
                .map_err(|_| Flaw::Certificate)?;
        }
        Ok(Self {
            authorities,
            required,
        })
    }

    pub(super) fn required(&self) -> bool {
        self.required
    }

    pub(super) fn verifier(
        &self,
        provider: Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, Error> {
        let mut roots = RootCertStore::empty();
        for authority in &self.authorities {
            roots.add(authority.clone())?;
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if self.required {
            builder
        } else {
            builder.allow_unauthenticated()
        };
        builder
            .build()
            .map_err(|error| Error::General(error.to_string()))
    }
}

/// What a verified certificate says, and whether it is still valid: a resumed session has not been verified again.
pub(super) fn read(der: &[u8]) -> Option<(ClientCertificate, bool)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    let ends = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    let mut said = ClientCertificate {
        subject: subject(certificate.subject()),
        fingerprint: fingerprint(der),
        ..ClientCertificate::default()
    };
    for extension in certificate.extensions() {
        if let ParsedExtension::SubjectAlternativeName(names) = extension.parsed_extension() {
            names
                .general_names
                .iter()
                .for_each(|name| add(&mut said, name));
        }
    }
    Some((said, now.as_secs() <= ends))
}

fn add(said: &mut ClientCertificate, name: &GeneralName<'_>) {
    match name {
        GeneralName::DNSName(name) => said.dns_names.push(name.to_ascii_lowercase()),
        GeneralName::URI(uri) => said.uris.push((*uri).to_owned()),
        GeneralName::RFC822Name(mail) => said.emails.push((*mail).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            let address = four.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from));
            said.addresses.extend(address);
        }
        GeneralName::OtherName(..)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::RegisteredID(_) => {}
    }
}

/// SHA-256 of the whole certificate in hexadecimal.
fn fingerprint(der: &[u8]) -> String {
    let SupportedCipherSuite::Tls13(suite) = TLS13_AES_128_GCM_SHA256 else {
        return String::new();
    };
    hex(suite.common.hash_provider.hash(der).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    let nibbles = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    nibbles
        .filter_map(|nibble| char::from_digit(nibble.into(), 16))
        .collect()
}

/// The name as text (RFC 4514): the last part first, everything escaped that could end a value.
fn subject(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_rdn()
        .map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    parts.reverse();
    parts.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let kind = short(attribute.attr_type());
    match (kind, attribute.as_str()) {
        (Some(kind), Ok(value)) => format!("{kind}={}", escaped(value)),
        (kind, _) => {
            let kind = kind.map_or_else(|| attribute.attr_type().to_id_string(), ToOwned::to_owned);
            format!("{kind}=#{}", hex(attribute.as_slice()))
        }
    }
}

/// The attributes that RFC 4514 has names for.
fn short(kind: &Oid<'_>) -> Option<&'static str> {
    Some(match kind.to_id_string().as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        _ => return None,
    })
}

fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (place, letter) in value.chars().enumerate() {
        let at_edge =
            (place == 0 && matches!(letter, ' ' | '#')) || (place == last && letter == ' ');
        if letter.is_control() {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                text.push('\\');
                text += &hex(&[byte]);
            }
            continue;
        }
        if at_edge || matches!(letter, '"' | '+' | ',' | ';' | '<' | '>' | '\\' | '=') {
            text.push('\\');
        }
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_certificate_says() {
        use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
        let mut params = CertificateParams::new(vec!["Worker.example.com".to_owned()]).unwrap();
        let uri = "spiffe://example.com/worker".try_into().unwrap();
        let address = IpAddr::from([192, 0, 2, 1]);
        params.subject_alt_names.push(SanType::URI(uri));
        params.subject_alt_names.push(SanType::IpAddress(address));
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Example, Inc.");
        params
            .distinguished_name
            .push(DnType::CommonName, "worker-7");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (said, valid) = read(certificate.der()).unwrap();
        assert!(valid);
        assert_eq!(said.subject, "CN=worker-7,O=Example\\, Inc.");
        assert_eq!(said.dns_names, ["worker.example.com"]);
        assert_eq!(said.uris, ["spiffe://example.com/worker"]);
        assert_eq!(said.addresses, [address]);
        assert_eq!(said.fingerprint.len(), 64);
        params.not_after = rcgen::date_time_ymd(2001, 1, 1);
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        let old = params.self_signed(&key).unwrap();
        assert!(!read(old.der()).unwrap().1);
        assert_eq!(read(b"nonsense"), None);
    }

    #[test]
    fn a_value_cannot_look_like_two() {
        assert_eq!(escaped("a,O=b"), "a\\,O\\=b");
        assert_eq!(escaped(" a "), "\\ a\\ ");
        assert_eq!(escaped("#1"), "\\#1");
        assert_eq!(escaped("a\nb"), "a\\0ab");
    }
}
