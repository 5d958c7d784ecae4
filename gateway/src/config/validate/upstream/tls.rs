//! `[upstream.NAME] tls` and `protocol`: reads the files, so that a bad certificate is a complaint and no surprise.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use plugins::contract::file::FileRef;
use plugins::contract::place::{At, Span};
use plugins::contract::report::Report;

use super::super::{Context, plain};
use crate::config::files::digest;
use crate::config::model::{Authorities, ClientIdentity, Protocol, UpstreamTls};
use crate::config::pem::{self, Pair, PemError, Validity};
use crate::config::raw::{RawProtocol, RawUpstreamTls, Switch};

pub(super) fn tls(
    upstream: &str,
    raw: Option<At<Switch<RawUpstreamTls>>>,
    context: &mut Context<'_>,
) -> Option<UpstreamTls> {
    let raw = raw?;
    let span = raw.span();
    let raw = match raw.into_inner() {
        Switch::Plain(false) => return None,
        Switch::Plain(true) => {
            return Some(UpstreamTls {
                server_name: None,
                verify: true,
                ca: None,
                identity: None,
            });
        }
        Switch::With(raw) => raw,
    };
    let verify = plain(raw.verify.as_ref()).unwrap_or(true);
    if let Some(written) = raw.verify.as_ref().filter(|_| !verify) {
        let message = format!("[upstream.{upstream}] takes any certificate of anybody");
        context
            .report
            .warn(written.span(), "tls.not-verified", message)
            .label("whoever is on the way can read and change everything")
            .help("name the authority of its certificates: ca = \"file:ca.pem\"");
    }
    Some(UpstreamTls {
        server_name: raw
            .server_name
            .map(|name| Arc::from(name.into_inner().0.as_str())),
        verify,
        ca: raw.ca.and_then(|file| authorities(&file, context)),
        identity: identity(raw.cert, raw.key, &span, context),
    })
}

pub(super) fn protocol(raw: Option<&At<RawProtocol>>, tls: bool, report: &mut Report) -> Protocol {
    match plain(raw) {
        None | Some(RawProtocol::Http1) => Protocol::Http1,
        Some(RawProtocol::H2) => Protocol::H2,
        Some(RawProtocol::Auto) => {
            if let Some(written) = raw.filter(|_| !tls) {
                let message = "without TLS there is nothing by which a protocol is agreed on";
                report
                    .error(written.span(), "upstream.protocol", message)
                    .help("write \"http/1.1\" or \"h2\", or add tls = true");
            }
            Protocol::Auto
        }
    }
}

fn authorities(file: &At<FileRef>, context: &mut Context<'_>) -> Option<Arc<Authorities>> {
    let read = read_as(file, pem::roots, context)?;
    Some(Arc::new(Authorities {
        path: read.path,
        certificates: read.meant,
    }))
}

fn identity(
    cert: Option<At<FileRef>>,
    key: Option<At<FileRef>>,
    span: &Span,
    context: &mut Context<'_>,
) -> Option<Arc<ClientIdentity>> {
    let (cert, key) = match (cert, key) {
        (None, None) => return None,
        (Some(cert), Some(key)) => (cert, key),
        (cert, key) => {
            let missing = if cert.is_none() { "cert" } else { "key" };
            let there = cert.or(key).map_or(span.clone(), |file| file.span());
            context
                .report
                .error(there, "tls.half", format!("`{missing}` is missing"))
                .help("a client's certificate needs both `cert` and `key`");
            return None;
        }
    };
    let chain = read_as(&cert, pem::certificates, context);
    let private = read_as(&key, pem::private_key, context);
    // Only now, so that both files have been complained about.
    let (chain, private) = (chain?, private?);
    let leaf = chain.meant.first().and_then(Validity::of);
    let pair = Pair::new(chain.meant, private.meant);
    let pair = sound(pair, &private.path, &key.span(), context.report)?;
    if let Some(validity) = leaf {
        in_force(&validity, &chain.path, &cert.span(), context.report);
    }
    Some(Arc::new(ClientIdentity {
        digest: digest(&[&chain.bytes, &private.bytes]),
        cert_path: chain.path,
        key_path: private.path,
        pair,
    }))
}

/// A certificate that is not valid now would be refused by everybody.
fn in_force(validity: &Validity, path: &Path, span: &Span, report: &mut Report) {
    let now = SystemTime::now();
    let what = if validity.until < now {
        format!("expired on {}", validity.last_day)
    } else if now < validity.from {
        "is not valid yet".to_owned()
    } else {
        return;
    };
    report
        .error(
            span.clone(),
            "tls.expired",
            format!("the certificate in {} {what}", path.display()),
        )
        .help("replace the file by a certificate that is valid today");
}

/// A file that was read and understood.
pub(in super::super) struct Read<T> {
    path: PathBuf,
    pub(in super::super) bytes: Arc<[u8]>,
    meant: T,
}

pub(in super::super) fn read_as<T>(
    file: &At<FileRef>,
    understand: impl FnOnce(&[u8]) -> Result<T, PemError>,
    context: &mut Context<'_>,
) -> Option<Read<T>> {
    let path = context.path(file);
    let bytes = match context.files.read(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("cannot read {}: {error}", path.display());
            context
                .report
                .error(file.span(), "tls.file", message)
                .help("a relative path is relative to the file that names it");
            return None;
        }
    };
    let meant = sound(understand(&bytes), &path, &file.span(), context.report)?;
    Some(Read { path, bytes, meant })
}

fn sound<T>(read: Result<T, PemError>, path: &Path, span: &Span, report: &mut Report) -> Option<T> {
    read.map_err(|error| {
        let message = format!("{} cannot be used: {error}", path.display());
        report.error(span.clone(), "tls.file", message);
    })
    .ok()
}
