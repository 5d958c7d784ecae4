//! `auth` as meant, and how it is made of what is written.

use super::api_key::{ApiKeyConfig, RawApiKey};
use super::basic::{BasicConfig, RawBasic};
use super::client_certificate::{ClientCertificateConfig, RawClientCertificate};
use super::forward::{ForwardConfig, RawForward};
use super::introspection::{IntrospectionConfig, RawIntrospection};
use super::jwt::{JwtConfig, RawJwt};
use super::oidc::{OidcConfig, RawOidc};
use super::outgoing;
use super::raw::RawAuth;
use crate::contract::file::FileRef;
use crate::contract::prelude::*;
use crate::contract::secret::SecretRef;

/// Who may call a route: whoever one of the providers accepts.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthConfig {
    /// In the order in which they are written; empty until names are resolved.
    pub(super) providers: Vec<ProviderConfig>,
    /// Names that are not resolved yet.
    pub(super) any: Vec<At<String>>,
    /// Whether requests without a credential may pass.
    pub(super) optional: bool,
    pub(super) mode: Mode,
}

/// One provider.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderConfig {
    /// Its name; `None` for a table on a route.
    pub(super) name: Option<String>,
    pub(super) kind: At<KindConfig>,
    /// Headers that tell the upstream who asks.
    pub(super) identity_headers: Vec<(HeaderName, Value)>,
    /// Whether the credential is not forwarded.
    pub(super) strip: bool,
    pub(super) mode: Mode,
}

/// A page that a provider answers itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<'a> {
    /// The provider; `None` for a table on a route.
    pub provider: Option<&'a str>,
    /// How it is asked for.
    pub method: Method,
    /// On which host.
    pub host: &'a str,
    /// Where there.
    pub path: &'a str,
}

/// How a provider judges. Whatever differs here is another provider.
#[derive(Debug, Clone, PartialEq)]
pub enum KindConfig {
    /// `jwt`
    Jwt(JwtConfig),
    /// `api-key`
    ApiKey(ApiKeyConfig),
    /// `basic`
    Basic(BasicConfig),
    /// `introspection`
    Introspection(IntrospectionConfig),
    /// `forward`
    Forward(ForwardConfig),
    /// `client-certificate`
    ClientCertificate(ClientCertificateConfig),
    /// `oidc`
    Oidc(OidcConfig),
}

const KINDS: &str = "jwt, api-key, basic, introspection, forward, client-certificate or oidc";

impl AuthConfig {
    /// Whether requests without a credential may pass: such a route guards nothing.
    pub fn is_optional(&self) -> bool {
        self.optional
    }

    /// Whether claims can bring somebody into a group whom no consumer's table names.
    pub fn brings_groups(&self) -> bool {
        self.providers.iter().any(|provider| {
            let mapping = match &*provider.kind {
                KindConfig::Jwt(config) => Some(&config.mapping),
                KindConfig::Introspection(config) => Some(&config.mapping),
                KindConfig::Oidc(config) => Some(&config.mapping),
                KindConfig::ApiKey(_)
                | KindConfig::Basic(_)
                | KindConfig::Forward(_)
                | KindConfig::ClientCertificate(_) => None,
            };
            mapping.is_some_and(|mapping| mapping.groups.is_some())
        })
    }

    /// Pages that the providers answer themselves, and to which browsers are sent.
    pub fn pages(&self) -> impl Iterator<Item = Page<'_>> {
        self.providers
            .iter()
            .flat_map(|provider| match &*provider.kind {
                KindConfig::Oidc(config) => config.pages(provider.name.as_deref()).into(),
                KindConfig::Jwt(_)
                | KindConfig::ApiKey(_)
                | KindConfig::Basic(_)
                | KindConfig::Introspection(_)
                | KindConfig::Forward(_)
                | KindConfig::ClientCertificate(_) => Vec::new(),
            })
    }

    /// Headers by which the upstream is told who asks: no client may send them.
    pub fn identity_headers(&self) -> impl Iterator<Item = HeaderName> {
        self.providers.iter().flat_map(|provider| {
            let own = provider.identity_headers.iter();
            let names = own.map(|(name, _)| name.clone());
            names.chain(provider.kind.upstream_headers())
        })
    }

    /// Files whose content the providers need.
    pub(super) fn files(&self) -> Vec<At<FileRef>> {
        let providers = self.providers.iter();
        providers
            .flat_map(|provider| provider.kind.files())
            .collect()
    }

    /// The stores that the providers use.
    pub(super) fn stores(&self) -> Vec<At<String>> {
        let providers = self.providers.iter();
        let stores = providers.filter_map(|provider| provider.kind.store());
        stores.cloned().collect()
    }
}

impl KindConfig {
    /// Files whose content makes it another provider.
    pub(super) fn files(&self) -> Vec<At<FileRef>> {
        match self {
            Self::Jwt(config) => config.files(),
            Self::Oidc(_)
            | Self::Introspection(_)
            | Self::Forward(_)
            | Self::ApiKey(_)
            | Self::Basic(_)
            | Self::ClientCertificate(_) => Vec::new(),
        }
    }

    /// The store that it uses.
    pub(super) fn store(&self) -> Option<&At<String>> {
        match self {
            Self::Oidc(config) => config.store.as_ref(),
            Self::Jwt(_)
            | Self::Introspection(_)
            | Self::Forward(_)
            | Self::ApiKey(_)
            | Self::Basic(_)
            | Self::ClientCertificate(_) => None,
        }
    }

    /// Secrets whose content makes it another provider.
    pub(super) fn secrets(&self) -> Vec<At<SecretRef>> {
        match self {
            Self::Jwt(config) => config.secrets(),
            Self::Oidc(config) => config.secrets(),
            Self::Introspection(config) => config.secrets(),
            Self::Forward(_) | Self::ApiKey(_) | Self::Basic(_) | Self::ClientCertificate(_) => {
                Vec::new()
            }
        }
    }

    /// Headers that it sets for the upstream by itself.
    fn upstream_headers(&self) -> Vec<HeaderName> {
        match self {
            Self::Forward(config) => config.upstream_headers(),
            Self::Jwt(_)
            | Self::Oidc(_)
            | Self::Introspection(_)
            | Self::ApiKey(_)
            | Self::Basic(_)
            | Self::ClientCertificate(_) => Vec::new(),
        }
    }
}

impl RawAuth {
    pub(super) fn validate(mut self, table: Span, report: &mut Report) -> Option<AuthConfig> {
        if self.any.is_some() {
            return self.group(report);
        }
        if let Some(optional) = &self.optional {
            report
                .error(
                    optional.span(),
                    "auth.optional-alone",
                    "`optional` belongs to a list of providers",
                )
                .help("write on the route auth = { any = [\"NAME\"], optional = true }");
        }
        let mode = Mode::until(
            self.mode.take(),
            self.shadow_until.take(),
            table.clone(),
            report,
        );
        let identity_headers = outgoing::validate(self.identity_headers.as_ref(), report);
        let strip = self.strip.as_ref().is_none_or(|strip| **strip);
        let kind = self.kind(table, report);
        // Without a kind there is a complaint already; the name exists all the same.
        let provider = kind.map(|kind| ProviderConfig {
            name: None,
            kind,
            identity_headers,
            strip,
            mode,
        });
        Some(AuthConfig {
            providers: provider.into_iter().collect(),
            any: Vec::new(),
            optional: false,
            mode,
        })
    }

    /// `{ any = [...], optional = true }`
    fn group(self, report: &mut Report) -> Option<AuthConfig> {
        let any = self.any.as_ref()?;
        if any.is_empty() {
            report
                .error(any.span(), "auth.nobody", "`any` names no provider")
                .help("name one, or write auth = \"none\" for everybody");
        }
        for (key, place) in self.alone() {
            report
                .error(
                    place,
                    "auth.any-and-more",
                    format!("`{key}` cannot stand beside `any`"),
                )
                .related(any.span(), "the providers say it themselves")
                .help(format!(
                    "write `{key}` in a table [auth.NAME] and name that"
                ));
        }
        Some(AuthConfig {
            providers: Vec::new(),
            any: any.iter().cloned().collect(),
            optional: self.optional.as_ref().is_some_and(|optional| **optional),
            mode: Mode::Enforce,
        })
    }

    /// The keys of one provider, where they are written.
    fn alone(&self) -> Vec<(&'static str, Span)> {
        fn place<T>(leaf: Option<&At<T>>) -> Option<Span> {
            leaf.map(At::span)
        }
        let more = [
            ("identity-headers", place(self.identity_headers.as_ref())),
            ("strip", place(self.strip.as_ref())),
            ("mode", place(self.mode.as_ref())),
            ("shadow-until", place(self.shadow_until.as_ref())),
        ];
        let more = more
            .into_iter()
            .filter_map(|(key, span)| Some((key, span?)));
        self.kinds().into_iter().chain(more).collect()
    }

    /// The kinds that are written.
    fn kinds(&self) -> Vec<(&'static str, Span)> {
        fn place<T>(leaf: Option<&At<T>>) -> Option<Span> {
            leaf.map(At::span)
        }
        [
            ("jwt", place(self.jwt.as_ref())),
            ("api-key", place(self.api_key.as_ref())),
            ("basic", place(self.basic.as_ref())),
            ("introspection", place(self.introspection.as_ref())),
            ("forward", place(self.forward.as_ref())),
            (
                "client-certificate",
                place(self.client_certificate.as_ref()),
            ),
            ("oidc", place(self.oidc.as_ref())),
        ]
        .into_iter()
        .filter_map(|(kind, span)| Some((kind, span?)))
        .collect()
    }

    fn kind(self, table: Span, report: &mut Report) -> Option<At<KindConfig>> {
        let kinds = self.kinds();
        match kinds.as_slice() {
            [] => {
                report
                    .error(
                        table,
                        "auth.kind",
                        "this `auth` does not say how credentials are judged",
                    )
                    .help(format!("add one of {KINDS}"));
                return None;
            }
            [_] => {}
            [(first, first_span), (second, span), ..] => {
                report
                    .error(
                        span.clone(),
                        "auth.kind",
                        "an `auth` judges in one way only",
                    )
                    .label(format!("`{second}` is the second one"))
                    .related(first_span.clone(), format!("`{first}` is the first one"))
                    .help("make two tables [auth.NAME], and name both on the route");
                return None;
            }
        }
        made(self.jwt, RawJwt::validate, KindConfig::Jwt, report)
            .or_else(|| {
                made(
                    self.api_key,
                    RawApiKey::validate,
                    KindConfig::ApiKey,
                    report,
                )
            })
            .or_else(|| made(self.basic, RawBasic::validate, KindConfig::Basic, report))
            .or_else(|| {
                made(
                    self.introspection,
                    RawIntrospection::validate,
                    KindConfig::Introspection,
                    report,
                )
            })
            .or_else(|| {
                made(
                    self.forward,
                    RawForward::validate,
                    KindConfig::Forward,
                    report,
                )
            })
            .or_else(|| {
                made(
                    self.client_certificate,
                    RawClientCertificate::validate,
                    KindConfig::ClientCertificate,
                    report,
                )
            })
            .or_else(|| made(self.oidc, RawOidc::validate, KindConfig::Oidc, report))
    }
}

/// The table of a kind as meant, where it is written.
fn made<R, C>(
    raw: Option<At<R>>,
    validate: fn(R, Span, &mut Report) -> Option<C>,
    wrap: fn(C) -> KindConfig,
    report: &mut Report,
) -> Option<At<KindConfig>> {
    let raw = raw?;
    let span = raw.span();
    let config = validate(raw.into_inner(), span.clone(), report)?;
    Some(At::new(wrap(config), span))
}
