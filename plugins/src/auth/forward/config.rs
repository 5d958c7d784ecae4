//! `forward` as written and as meant.

use std::time::Duration;

use http::{Uri, header};

use crate::auth::jwt::{ServiceUrl, warn_if_plain};
use crate::auth::service;
use crate::auth::verdict::OnError;
use crate::contract::prelude::*;
use crate::contract::token::FieldName;

/// `forward` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawForward {
    /// Who is asked: `"http://127.0.0.1:9091/verify"`.
    url: At<ServiceUrl>,
    /// Headers of the request that the service gets, beside `X-Forwarded-Method`, `-Proto`, `-Host`, `-Uri` and `-For`.
    /// Default: `["authorization", "cookie"]`.
    send: Option<At<Vec<At<FieldName>>>>,
    /// Headers of the service's yes that the upstream gets, and that are claims: `claim.x-user`. No client can send them, on
    /// no route. Default: none.
    receive: Option<At<Vec<At<FieldName>>>>,
    /// The one of `receive` that says who it is. Default: none; requests that send the same are the same person.
    subject: Option<At<FieldName>>,
    /// How long a yes is remembered for requests that send the very same. Default: `"0ms"`, at most `"1h"`.
    cache: Option<At<Time>>,
    /// The longest wait for the service. Default: `"2s"`, at most `"30s"`.
    timeout: Option<At<Time>>,
    /// What happens when the service cannot be heard: `"deny"` answers 503, `"allow"` lets pass as nobody. Default: `"deny"`.
    on_error: Option<At<OnError>>,
}

/// `forward` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct ForwardConfig {
    pub(super) url: Uri,
    pub(super) send: Vec<HeaderName>,
    pub(super) receive: Vec<HeaderName>,
    pub(super) subject: Option<HeaderName>,
    pub(super) cache: Duration,
    pub(super) timeout: Duration,
    pub(super) on_error: OnError,
}

/// What belongs to a connection or to a message, not to its meaning.
const FRAMING: &[HeaderName] = &[
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::EXPECT,
];

impl RawForward {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "all kinds are read in the same way"
    )]
    pub(in crate::auth) fn validate(
        self,
        _table: Span,
        report: &mut Report,
    ) -> Option<ForwardConfig> {
        warn_if_plain(&self.url.0, self.url.span(), report);
        let send = match &self.send {
            Some(written) => names(written, "send", report),
            None => vec![header::AUTHORIZATION, header::COOKIE],
        };
        let receive = self.receive.as_ref();
        let receive = receive
            .map(|written| received(written, report))
            .unwrap_or_default();
        let subject = self.subject.as_ref().map(|name| {
            if !receive.contains(name.name()) {
                let message = format!("`{}` is not among `receive`", name.name());
                report
                    .error(name.span(), "auth.forward-subject", message)
                    .help("add it there: only what no client can send says who it is");
            }
            name.name().clone()
        });
        Some(ForwardConfig {
            send,
            receive,
            subject,
            cache: service::cache(self.cache.as_ref(), Duration::ZERO, report),
            timeout: service::timeout(self.timeout.as_ref(), report),
            on_error: self.on_error.map(At::into_inner).unwrap_or_default(),
            url: self.url.into_inner().0,
        })
    }
}

fn names(written: &At<Vec<At<FieldName>>>, key: &str, report: &mut Report) -> Vec<HeaderName> {
    let mut names: Vec<HeaderName> = Vec::new();
    for field in written.iter() {
        let name = field.name();
        let wrong = if names.contains(name) {
            Some((format!("`{name}` is named twice"), "remove one of the two"))
        } else if FRAMING.contains(name) || name.as_str().starts_with("proxy-") {
            let message = format!("`{name}` belongs to one connection");
            Some((message, "remove it"))
        } else if name.as_str().starts_with("x-forwarded-") {
            let message = format!("`{name}` is written by the gateway");
            Some((message, "remove it"))
        } else {
            None
        };
        match wrong {
            Some((message, help)) => {
                let code = if key == "send" {
                    "auth.forward-send"
                } else {
                    "auth.forward-receive"
                };
                report.error(field.span(), code, message).help(help);
            }
            None => names.push(name.clone()),
        }
    }
    names
}

/// These are removed from whatever clients send, so they cannot be what clients need to send.
fn received(written: &At<Vec<At<FieldName>>>, report: &mut Report) -> Vec<HeaderName> {
    let names = names(written, "receive", report);
    let theirs = [
        header::AUTHORIZATION,
        header::COOKIE,
        header::CONTENT_TYPE,
        header::ACCEPT,
    ];
    for field in written.iter().filter(|field| theirs.contains(field.name())) {
        let message = format!("`{}` could no longer be sent by any client", field.name());
        report
            .error(field.span(), "auth.forward-receive", message)
            .help("let the service answer with a header of its own, for example x-user");
    }
    names
}

impl ForwardConfig {
    pub(in crate::auth) fn upstream_headers(&self) -> Vec<HeaderName> {
        self.receive.clone()
    }
}
