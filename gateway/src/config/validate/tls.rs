//! `[listener.NAME.tls]`: which files it names. What is in them is judged by `runtime::tls`.

use plugins::contract::file::FileRef;
use plugins::contract::place::At;

use super::{Context, bounds, plain};
use crate::config::model::{CertificateConfig, ClientsConfig, NamedFile, TlsConfig, TlsVersion};
use crate::config::raw::{RawCertificate, RawClientAuth, RawTls, RawTlsVersion};
use crate::config::secret::SecretRef;

pub(super) fn tls(table: At<RawTls>, context: &mut Context<'_>) -> Option<TlsConfig> {
    let span = table.span();
    let raw = table.into_inner();
    if raw.certificates.is_empty() {
        context
            .report
            .error(
                raw.certificates.span(),
                "tls.certificates",
                "there is no certificate",
            )
            .help("write certificates = [{ cert = \"file:site.pem\", key = \"file:site.key\" }]");
        return None;
    }
    let certificates = raw.certificates.into_inner();
    let certificates = certificates
        .into_iter()
        .map(|one| certificate(one.into_inner(), context))
        .collect();
    let clients = clients(raw.client_ca, raw.client_auth, context);
    let report = &mut *context.report;
    Some(TlsConfig {
        span,
        certificates,
        clients,
        version_min: match plain(raw.version_min.as_ref()) {
            None | Some(RawTlsVersion::Tls12) => TlsVersion::Tls12,
            Some(RawTlsVersion::Tls13) => TlsVersion::Tls13,
        },
        handshake_timeout: bounds::HANDSHAKE_TIMEOUT
            .duration(raw.handshake_timeout.as_ref(), report),
        hsts: raw
            .hsts
            .as_ref()
            .map(|hsts| bounds::HSTS.duration(Some(hsts), report)),
    })
}

fn certificate(raw: RawCertificate, context: &mut Context<'_>) -> CertificateConfig {
    let key_span = raw.key.span();
    let key = context.secret(raw.key);
    if let SecretRef::File(path) = &key {
        context.watch(path);
    }
    CertificateConfig {
        cert: file(&raw.cert, context),
        key,
        key_span,
        ocsp: raw.ocsp.map(|ocsp| file(&ocsp, context)),
    }
}

fn clients(
    authorities: Option<At<FileRef>>,
    auth: Option<At<RawClientAuth>>,
    context: &mut Context<'_>,
) -> Option<ClientsConfig> {
    match (authorities, auth) {
        (None, None) => None,
        (Some(authorities), Some(auth)) => Some(ClientsConfig {
            authorities: file(&authorities, context),
            required: matches!(*auth, RawClientAuth::Required),
        }),
        (Some(authorities), None) => {
            context
                .report
                .error(
                    authorities.span(),
                    "tls.client-auth",
                    "`client-ca` does nothing without `client-auth`",
                )
                .help("add client-auth = \"required\" or \"optional\"");
            None
        }
        (None, Some(auth)) => {
            context
                .report
                .error(
                    auth.span(),
                    "tls.client-ca",
                    "`client-auth` does not say whose certificates are good",
                )
                .help("add client-ca = \"file:clients.pem\"");
            None
        }
    }
}

fn file(leaf: &At<FileRef>, context: &mut Context<'_>) -> NamedFile {
    let path = context.path(leaf);
    context.watch(&path);
    NamedFile {
        path,
        span: leaf.span(),
    }
}
