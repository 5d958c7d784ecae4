//! `client-certificate`: certificates that clients show by TLS. The listener has verified them; here they become
//! consumers, by `certificate` of `[consumer.NAME]`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use super::challenge::Challenges;
use super::consumer::identity;
use super::credential::{Source, Sources};
use super::verdict::{Reason, Verdict};
use crate::contract::consumers::Directory;
use crate::contract::identity::Consumer;
use crate::contract::place::{At, Span};
use crate::contract::report::Report;
use crate::contract::view::{self, RequestView};

/// `client-certificate` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawClientCertificate {
    /// The part of the certificate that the `certificate` of a consumer names.
    by: At<By>,
}

/// A part of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The subject as text: `"CN=worker-7,O=Example"`.
    Subject,
    /// A URI among its names: `"spiffe://example.com/worker"`.
    UriSan,
    /// A DNS name among its names.
    DnsSan,
    /// The SHA-256 of the certificate in lower-case hexadecimal.
    Fingerprint,
}

/// `client-certificate` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientCertificateConfig {
    by: By,
}

/// A provider of this kind.
pub(super) struct ClientCertificate {
    name: Arc<str>,
    by: By,
    sources: Sources,
    challenges: Challenges,
}

impl RawClientCertificate {
    #[expect(clippy::unnecessary_wraps, reason = "the shape that every kind has")]
    pub(super) fn validate(
        self,
        _table: Span,
        _report: &mut Report,
    ) -> Option<ClientCertificateConfig> {
        Some(ClientCertificateConfig { by: *self.by })
    }
}

impl ClientCertificate {
    pub(super) fn compile(config: &ClientCertificateConfig, name: &Arc<str>) -> Self {
        Self {
            name: name.clone(),
            by: config.by,
            sources: Sources::new([Source::Certificate]),
            // A client without one must connect again: a challenge that some 401 needs (RFC 9110 section 15.5.2).
            challenges: Challenges::new("ClientCertificate", &[("in", "tls")]),
        }
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    pub(super) fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    pub(super) fn judge(&self, request: &RequestView<'_>, consumers: &Directory) -> Verdict {
        let Some(certificate) = request.client_certificate else {
            return Verdict::Rejected(Reason::Malformed);
        };
        match self.owner(certificate, request, consumers) {
            Ok(Some(consumer)) => identity(&self.name, consumer).into(),
            Ok(None) => Verdict::Rejected(Reason::Unknown),
            Err(reason) => Verdict::Rejected(reason),
        }
    }

    /// The one consumer whom the certificate names. One that names two is nobody's.
    fn owner<'c>(
        &self,
        certificate: &view::ClientCertificate,
        request: &RequestView<'_>,
        consumers: &'c Directory,
    ) -> Result<Option<&'c Arc<Consumer>>, Reason> {
        let one = |text: &str| consumers.by_certificate(text);
        let names = match self.by {
            By::Subject => return Ok(one(&certificate.subject)),
            By::Fingerprint => return Ok(one(&certificate.fingerprint)),
            By::UriSan => &certificate.uris,
            By::DnsSan => &certificate.dns_names,
        };
        let mut found = names.iter().filter_map(|name| one(name));
        let first = found.next();
        let is_other = |other: &Arc<Consumer>| first.is_some_and(|first| first.name != other.name);
        if found.any(is_other) {
            request
                .facts
                .note(|| "the certificate names two consumers".to_owned());
            return Err(Reason::Proof);
        }
        if first.is_none() {
            request
                .facts
                .note(|| "no consumer has this certificate".to_owned());
        }
        Ok(first)
    }
}
