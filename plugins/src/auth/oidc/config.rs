//! `oidc` as written and as meant.

use std::time::Duration;

use http::Uri;
use url::Url;

use crate::auth::config::Page;
use crate::auth::jwt::algorithm::Algorithm;
use crate::auth::jwt::mapping::Mapping;
use crate::auth::jwt::{ServiceUrl, validated_mapping, warn_if_plain};
use crate::contract::prelude::*;

const SESSION_MAX: Duration = Duration::from_hours(12);
const SESSION_MAX_MOST: Duration = Duration::from_hours(30 * 24);

/// `oidc` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawOidc {
    /// Who logs people in: the `issuer` of its discovery document, to the letter.
    issuer: At<String>,
    /// Our name there.
    client_id: At<String>,
    /// Our secret there.
    client_secret: At<SecretRef>,
    /// Where browsers reach us: `"https://app.example.com"`. What they send as `Host` makes no URL.
    external_url: At<ServiceUrl>,
    /// What is asked for beside `openid`: `["profile", "offline_access"]`. Default: nothing.
    scopes: Option<At<Vec<At<String>>>>,
    /// By which algorithms ID tokens may be signed. Default: `["RS256"]`.
    algorithms: Option<At<Vec<At<Algorithm>>>>,
    /// Where the provider sends browsers back. Default: `"/oauth2/callback"`.
    callback_path: Option<At<String>>,
    /// Where a POST ends the session. Default: `"/oauth2/logout"`.
    logout_path: Option<At<String>>,
    /// Where a browser is sent after that. Default: `"/"`.
    after_logout: Option<At<String>>,
    /// Whether the provider's own session ends, too. Default: false.
    logout_provider: Option<At<bool>>,
    /// The name of the session's cookie, before which `__Host-` is put on https. Default: `"session"`.
    cookie: Option<At<String>>,
    /// Secrets of at least 32 bytes: the first one encrypts, all of them decrypt.
    cookie_keys: At<Vec<At<SecretRef>>>,
    /// How long a session lasts at most. Default: `"12h"`, at most `"30d"`.
    session_max: Option<At<Time>>,
    /// Whether the upstream gets the session's access token, as `Authorization: Bearer`; no other one passes then. Default: false.
    forward_token: Option<At<bool>>,
    /// The `[store.NAME]` that keeps sessions, so that one that ended cannot come back. Default: the cookie keeps them.
    store: Option<At<String>>,
    /// The claim that names the consumer. Default: none; the `jwt-subject` that is the `sub`.
    consumer: Option<At<Value>>,
    /// The claim that holds the plan. Default: none; the consumer's.
    plan: Option<At<Value>>,
    /// The claim that holds the groups. Default: none.
    groups: Option<At<Value>>,
}

/// `oidc` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct OidcConfig {
    pub(super) issuer: Box<str>,
    pub(super) client_id: Box<str>,
    pub(super) client_secret: At<SecretRef>,
    /// Scheme, host and port, as browsers write an origin.
    pub(super) origin: Box<str>,
    pub(super) host: Box<str>,
    pub(super) secure: bool,
    pub(super) scopes: Vec<Box<str>>,
    pub(super) algorithms: Vec<Algorithm>,
    pub(super) callback_path: Box<str>,
    pub(super) logout_path: Box<str>,
    pub(super) after_logout: Box<str>,
    pub(super) logout_provider: bool,
    pub(super) cookie: Box<str>,
    pub(super) cookie_keys: Vec<At<SecretRef>>,
    pub(super) session_max: Duration,
    pub(super) forward_token: bool,
    pub(in crate::auth) store: Option<At<String>>,
    pub(in crate::auth) mapping: Mapping,
}

impl RawOidc {
    pub(in crate::auth) fn validate(self, _table: Span, report: &mut Report) -> Option<OidcConfig> {
        check_issuer(&self.issuer, report);
        if self.client_id.is_empty() {
            let span = self.client_id.span();
            report.error(span, "auth.oidc-client", "`client-id` is empty");
        }
        let external = external(&self.external_url, report)?;
        let callback_path = path(self.callback_path, "/oauth2/callback", report);
        let logout = self.logout_path.as_ref().map(At::span);
        let logout_path = path(self.logout_path, "/oauth2/logout", report);
        if callback_path == logout_path {
            let span = logout.unwrap_or_else(|| self.issuer.span());
            report.error(
                span,
                "auth.oidc-path",
                "callback and logout are the same path",
            );
        }
        if self.cookie_keys.is_empty() {
            report
                .error(
                    self.cookie_keys.span(),
                    "auth.oidc-keys",
                    "`cookie-keys` is empty",
                )
                .help("name a secret of at least 32 bytes, for example \"env:COOKIE_KEY\"");
        }
        let texts = |list: Option<At<Vec<At<String>>>>| {
            let list = list.map(At::into_inner).unwrap_or_default();
            list.into_iter()
                .map(|one| one.into_inner().into())
                .collect()
        };
        Some(OidcConfig {
            issuer: self.issuer.as_str().into(),
            client_id: self.client_id.as_str().into(),
            client_secret: self.client_secret,
            origin: external.origin().ascii_serialization().into(),
            host: external.host_str().unwrap_or_default().into(),
            secure: external.scheme() == "https",
            scopes: texts(self.scopes),
            algorithms: algorithms(self.algorithms, report),
            callback_path,
            logout_path,
            after_logout: path(self.after_logout, "/", report),
            logout_provider: self.logout_provider.is_some_and(At::into_inner),
            cookie: cookie(self.cookie, report),
            cookie_keys: self.cookie_keys.into_inner(),
            session_max: session_max(self.session_max, report),
            forward_token: self.forward_token.is_some_and(At::into_inner),
            store: self.store,
            mapping: validated_mapping([&self.consumer, &self.plan, &None, &self.groups], report),
        })
    }
}

impl OidcConfig {
    /// Callback and logout.
    pub(in crate::auth) fn pages<'a>(&'a self, provider: Option<&'a str>) -> [Page<'a>; 2] {
        let page = |method, path| Page {
            provider,
            method,
            host: &self.host,
            path,
        };
        let callback = page(Method::GET, &*self.callback_path);
        [callback, page(Method::POST, &*self.logout_path)]
    }

    /// Secrets whose content makes it another provider.
    pub(in crate::auth) fn secrets(&self) -> Vec<At<SecretRef>> {
        let mut all = self.cookie_keys.clone();
        all.push(self.client_secret.clone());
        all
    }
}

fn check_issuer(issuer: &At<String>, report: &mut Report) {
    match issuer.parse::<ServiceUrl>() {
        Ok(url) => warn_if_plain(&url.0, issuer.span(), report),
        Err(error) => {
            let complaint = report.error(issuer.span(), "auth.oidc-issuer", error.message);
            complaint
                .help("write the provider's `issuer`, for example \"https://idp.example.com\"");
        }
    }
}

/// An origin and nothing else.
fn external(url: &At<ServiceUrl>, report: &mut Report) -> Option<Url> {
    let parsed = Url::parse(&url.0.to_string());
    let only_origin = |url: &Url| url.path() == "/" && url.query().is_none();
    match parsed {
        Ok(external) if only_origin(&external) => {
            warn_if_plain(&url.0, url.span(), report);
            Some(external)
        }
        _ => {
            report
                .error(
                    url.span(),
                    "auth.oidc-external",
                    "`external-url` has a path",
                )
                .help("write scheme, host and port only: \"https://app.example.com\"");
            None
        }
    }
}

/// A path of ours without anything behind it.
fn path(written: Option<At<String>>, default: &str, report: &mut Report) -> Box<str> {
    let Some(written) = written else {
        return default.into();
    };
    let is_path = written
        .parse::<Uri>()
        .is_ok_and(|uri| uri.path() == written.as_str());
    let plain = !written.contains("//") && !written.contains("/.") && written.starts_with('/');
    if !is_path || !plain || written.contains(['%', ';']) {
        report
            .error(
                written.span(),
                "auth.oidc-path",
                format!("`{}` is not a path", *written),
            )
            .help(format!("write for example \"{default}\""));
    }
    written.as_str().into()
}

fn algorithms(written: Option<At<Vec<At<Algorithm>>>>, report: &mut Report) -> Vec<Algorithm> {
    let Some(written) = written else {
        return vec![Algorithm::Rs256];
    };
    if written.is_empty() {
        report
            .error(
                written.span(),
                "auth.oidc-algorithms",
                "`algorithms` is empty, so nobody could log in",
            )
            .help("remove the key, or name those that the provider signs with");
    }
    for algorithm in written.iter().filter(|algorithm| algorithm.is_symmetric()) {
        report
            .error(
                algorithm.span(),
                "auth.oidc-algorithms",
                "an ID token is verified by the provider's public keys",
            )
            .help("write for example \"RS256\"");
    }
    written
        .into_inner()
        .into_iter()
        .map(At::into_inner)
        .collect()
}

fn cookie(written: Option<At<String>>, report: &mut Report) -> Box<str> {
    let Some(written) = written else {
        return "session".into();
    };
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if written.is_empty() || !written.bytes().all(fits) || written.starts_with("__Secure-") {
        report
            .error(
                written.span(),
                "auth.oidc-cookie",
                format!("`{}` is not a name for this cookie", *written),
            )
            .help("write letters, digits, `-` and `_`; a prefix comes by itself");
    }
    written.as_str().into()
}

fn session_max(written: Option<At<Time>>, report: &mut Report) -> Duration {
    let Some(written) = written else {
        return SESSION_MAX;
    };
    let time = written.duration();
    if time < Duration::from_mins(1) || time > SESSION_MAX_MOST {
        report
            .error(
                written.span(),
                "auth.oidc-session",
                "`session-max` lies between 1min and 30d",
            )
            .help("write for example \"12h\"");
    }
    time
}
