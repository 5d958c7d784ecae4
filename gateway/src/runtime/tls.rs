//! Certificates of listeners: read from their files, judged, made ready for handshakes.
//!
//! Every complaint is found in one run and has its place. What has expired is an error for `gateway check` and a warning for
//! a start or a reload: one stale certificate must not keep everything else from being served.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use plugins::contract::place::Span;
use plugins::contract::report::{Report, Severity};

use crate::config::env::ProcessEnv;
use crate::config::model::{
    CertificateConfig, ClientsConfig, Config, NamedFile, TlsConfig, TlsVersion,
};
use crate::config::secret::SecretError;
use crate::listen::tls::{Clients, Flaw, Identity, Material, Part, Tls, VersionMin};

/// More than any chain or bundle of authorities.
const FILE_MAX: u64 = 4 << 20;
const DAY: i64 = 24 * 60 * 60;
/// Who renews by machine does it a month before the end.
const EXPIRES_SOON: i64 = 14 * DAY;

/// What becomes of a certificate that has expired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expired {
    Refused,
    Served,
}

/// Every complaint about the certificates of a configuration.
pub fn check(config: &Config, report: &mut Report) {
    for listener in &config.listeners {
        if let Some(tls) = &listener.tls {
            material(tls, listener.http2, Expired::Refused, report);
        }
    }
    if let Some(tls) = config.admin.as_ref().and_then(|admin| admin.tls.as_ref()) {
        material(tls, false, Expired::Refused, report);
    }
}

/// Whether a connection that asks for this host gets a certificate that covers it; `None` where none can be read.
pub fn covers(tls: &TlsConfig, host: &str) -> Option<bool> {
    let mut report = Report::default();
    let mut read = |one| identity(one, Expired::Served, &mut report);
    let found: Vec<Identity> = tls.certificates.iter().filter_map(&mut read).collect();
    let covered = found.iter().any(|identity| identity.names().cover(host));
    (!found.is_empty()).then_some(covered)
}

/// The TLS of a listener, or every reason why there is none. Sessions go on from what served before.
pub(super) fn compile(
    name: &str,
    config: Option<&TlsConfig>,
    http2: bool,
    previous: Option<&Tls>,
) -> Result<Option<Arc<Tls>>, Report> {
    let Some(tls) = config else {
        return Ok(None);
    };
    let mut report = Report::default();
    let material = material(tls, http2, Expired::Served, &mut report);
    for warning in report.complaints() {
        if warning.severity == Severity::Warning {
            tracing::warn!(listener = name, "{}", warning.message);
        }
    }
    let Some(material) = material else {
        return Err(report);
    };
    match Tls::build(material, previous) {
        Ok(tls) => Ok(Some(Arc::new(tls))),
        Err(error) => {
            report.error(tls.span.clone(), "tls.unusable", error.to_string());
            Err(report)
        }
    }
}

fn material(
    tls: &TlsConfig,
    http2: bool,
    expired: Expired,
    report: &mut Report,
) -> Option<Material> {
    let found: Vec<_> = tls
        .certificates
        .iter()
        .map(|one| identity(one, expired, report))
        .collect();
    let judged = tls.certificates.iter().zip(&found);
    twice(
        judged.filter_map(|(config, found)| Some((config, found.as_ref()?))),
        report,
    );
    let clients = tls.clients.as_ref().map(|one| clients(one, report));
    if report.has_errors() {
        return None;
    }
    Some(Material {
        identities: found.into_iter().flatten().collect(),
        clients: clients.flatten(),
        version_min: match tls.version_min {
            TlsVersion::Tls12 => VersionMin::Tls12,
            TlsVersion::Tls13 => VersionMin::Tls13,
        },
        http2,
        handshake_timeout: tls.handshake_timeout,
    })
}

fn identity(config: &CertificateConfig, expired: Expired, report: &mut Report) -> Option<Identity> {
    let chain = read(&config.cert, report);
    let key = match config.key.resolve(&ProcessEnv) {
        Ok(key) => Some(key),
        Err(error) => {
            let message = match &error {
                SecretError::Unreadable { source, .. } => format!("{error}: {}", why(source)),
                SecretError::NotSet(_) | SecretError::Empty(_) | SecretError::TooLong(_) => {
                    error.to_string()
                }
            };
            report.error(config.key_span.clone(), "tls.file", message);
            None
        }
    };
    let ocsp = config.ocsp.as_ref().map(|file| read(file, report));
    let ocsp = match ocsp {
        Some(found) => Some(found?),
        None => None,
    };
    let (chain, key) = (chain?, key?);
    match Identity::read(&chain, key.expose().as_bytes(), ocsp.as_deref()) {
        Ok(identity) => {
            validity(&identity, config, expired, report);
            Some(identity)
        }
        Err(flaw) => {
            complain(&flaw, config, report);
            None
        }
    }
}

fn complain(flaw: &Flaw, config: &CertificateConfig, report: &mut Report) {
    let (span, file) = match (flaw.part(), &config.ocsp) {
        (Part::Key, _) => (&config.key_span, config.key.to_string()),
        (Part::Ocsp, Some(ocsp)) => (&ocsp.span, ocsp.path.display().to_string()),
        (Part::Certificate | Part::Ocsp, _) => {
            (&config.cert.span, config.cert.path.display().to_string())
        }
    };
    let (code, help) = match flaw {
        Flaw::Certificate => (
            "tls.pem",
            "write the server's own certificate first, then its chain, in PEM",
        ),
        Flaw::Key | Flaw::KeyKind => (
            "tls.pem",
            "write a private key in PEM: PKCS#8, PKCS#1 or SEC1, without a passphrase",
        ),
        Flaw::Mismatch => (
            "tls.key-mismatch",
            "name the key that the certificate was made with",
        ),
        Flaw::Nameless => (
            "tls.nameless",
            "hosts are looked for in the alternative names alone, not in the common name",
        ),
        Flaw::Ocsp => (
            "tls.ocsp",
            "write the response that `openssl ocsp -respout` wrote",
        ),
    };
    let complaint = report.error(span.clone(), code, format!("{file}: {flaw}"));
    if *flaw == Flaw::Mismatch {
        complaint.related(config.cert.span.clone(), "the certificate is here");
    }
    complaint.help(help);
}

fn validity(
    identity: &Identity,
    config: &CertificateConfig,
    expired: Expired,
    report: &mut Report,
) {
    let (file, span) = (config.cert.path.display(), config.cert.span.clone());
    let name = identity.names().first();
    let now = now();
    let left = identity.not_after() - now;
    if left < 0 {
        let message = format!("{file}: the certificate for {name} has expired");
        let complaint = match expired {
            Expired::Refused => report.error(span, "tls.expired", message),
            Expired::Served => report.warn(span, "tls.expired", message),
        };
        complaint.help("renew it");
    } else if identity.not_before() > now {
        report
            .warn(
                span,
                "tls.not-yet-valid",
                format!("{file}: the certificate for {name} is not valid yet"),
            )
            .help("clients refuse it until then; check the clock of this machine");
    } else if left < EXPIRES_SOON {
        let message = match left / DAY {
            0 => format!("{file}: the certificate for {name} expires within a day"),
            1 => format!("{file}: the certificate for {name} expires in 1 day"),
            days => format!("{file}: the certificate for {name} expires in {days} days"),
        };
        report
            .warn(span, "tls.expires-soon", message)
            .help("renew it; the files are read again when they change");
    }
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}

/// Of two certificates for one name the second would never be served.
fn twice<'a>(
    found: impl Iterator<Item = (&'a CertificateConfig, &'a Identity)>,
    report: &mut Report,
) {
    let mut seen: Vec<(String, &Span)> = Vec::new();
    for (config, identity) in found {
        let span = &config.cert.span;
        for name in identity.names().all() {
            match seen
                .iter()
                .find(|(known, at)| *known == name && *at != span)
            {
                Some((_, first)) => {
                    report
                        .error(
                            span.clone(),
                            "tls.names-twice",
                            format!("two certificates cover {name}"),
                        )
                        .related((*first).clone(), "the first is here")
                        .help("remove one of the two");
                }
                None => seen.push((name, span)),
            }
        }
    }
}

fn clients(config: &ClientsConfig, report: &mut Report) -> Option<Clients> {
    let file = &config.authorities;
    let pem = read(file, report)?;
    match Clients::read(&pem, config.required) {
        Ok(clients) => Some(clients),
        Err(flaw) => {
            report
                .error(
                    file.span.clone(),
                    "tls.pem",
                    format!("{}: {flaw}", file.path.display()),
                )
                .help("write the certificates of the authorities in PEM, one after the other");
            None
        }
    }
}

fn read(file: &NamedFile, report: &mut Report) -> Option<Vec<u8>> {
    match bytes(&file.path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let message = format!("cannot read {}: {}", file.path.display(), why(&error));
            report.error(file.span.clone(), "tls.file", message);
            None
        }
    }
}

fn why(error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        "there is no such file".to_owned()
    } else {
        error.to_string()
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(FILE_MAX + 1)
        .read_to_end(&mut bytes)?;
    match u64::try_from(bytes.len()) {
        Ok(length) if length <= FILE_MAX => Ok(bytes),
        _ => Err(io::Error::other("it is larger than 4 MiB")),
    }
}
