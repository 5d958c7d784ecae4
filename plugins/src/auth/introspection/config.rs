//! `introspection` as written and as meant.

use std::time::Duration;

use http::Uri;

use super::answer::Terms;
use crate::auth::credential::{Scheme, Source, Sources};
use crate::auth::jwt::mapping::Mapping;
use crate::auth::jwt::{ServiceUrl, boxed, validated_mapping, warn_if_plain};
use crate::auth::service;
use crate::auth::verdict::OnError;
use crate::contract::prelude::*;
use crate::contract::secret::SecretRef;

/// `introspection` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawIntrospection {
    /// Where the issuer is asked: `"https://idp.example.com/introspect"`.
    url: At<ServiceUrl>,
    /// Who we are to the issuer.
    client_id: At<String>,
    /// Our secret there.
    client_secret: At<SecretRef>,
    /// Who issued the tokens: their `iss`, to the letter. Default: whoever.
    issuer: Option<At<String>>,
    /// Whom the tokens must be for: one of these must be in their `aud`. Default: whomever.
    audience: Option<At<Vec<At<String>>>>,
    /// Where the token stands: headers, cookies, query parameters; `"header.authorization"` with the scheme `Bearer`.
    /// Default: `["header.authorization"]`.
    from: Option<At<Vec<At<Value>>>>,
    /// How long a yes is remembered, never beyond the token's `exp`. Default: `"10s"`, at most `"1h"`; `"0ms"`: not at all.
    cache: Option<At<Time>>,
    /// The longest wait for the issuer. Default: `"2s"`, at most `"30s"`.
    timeout: Option<At<Time>>,
    /// What happens when the issuer cannot be heard: `"deny"` answers 503, `"allow"` lets pass as nobody. Default: `"deny"`.
    on_error: Option<At<OnError>>,
    /// The claim that names the consumer: its `jwt-subject` or its name. Default: none; the `jwt-subject` that is the `sub`.
    consumer: Option<At<Value>>,
    /// The claim that holds the plan. Default: none; the consumer's.
    plan: Option<At<Value>>,
    /// The claim that holds the scopes, a list or a text with spaces. Default: `"claim.scope"`.
    scopes: Option<At<Value>>,
    /// The claim that holds the groups, a list or a text that is one. Default: none.
    groups: Option<At<Value>>,
}

/// `introspection` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct IntrospectionConfig {
    pub(super) url: Uri,
    pub(super) client_id: Box<str>,
    pub(super) client_secret: At<SecretRef>,
    pub(super) terms: Terms,
    pub(super) sources: Sources,
    pub(super) cache: Duration,
    pub(super) timeout: Duration,
    pub(super) on_error: OnError,
    pub(in crate::auth) mapping: Mapping,
}

const CACHE: Duration = Duration::from_secs(10);

impl RawIntrospection {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "all kinds are read in the same way"
    )]
    pub(in crate::auth) fn validate(
        self,
        _table: Span,
        report: &mut Report,
    ) -> Option<IntrospectionConfig> {
        let mapping = validated_mapping(
            [&self.consumer, &self.plan, &self.scopes, &self.groups],
            report,
        );
        if self.client_id.is_empty() {
            report
                .error(
                    self.client_id.span(),
                    "auth.client-id",
                    "`client-id` is empty",
                )
                .help("write the name by which the issuer knows this gateway");
        }
        warn_if_plain(&self.url.0, self.url.span(), report);
        let default = Source::Scheme(Scheme::Bearer);
        let sources = Sources::validate(self.from.as_ref(), &[default], report);
        let audience = self.audience.as_ref();
        Some(IntrospectionConfig {
            sources,
            terms: Terms {
                issuer: self.issuer.map(|issuer| issuer.into_inner().into()),
                audience: audience.map(|names| boxed(names)).unwrap_or_default(),
            },
            cache: service::cache(self.cache.as_ref(), CACHE, report),
            timeout: service::timeout(self.timeout.as_ref(), report),
            on_error: self.on_error.map(At::into_inner).unwrap_or_default(),
            url: self.url.into_inner().0,
            client_id: self.client_id.into_inner().into(),
            client_secret: self.client_secret,
            mapping,
        })
    }
}

impl IntrospectionConfig {
    pub(in crate::auth) fn secrets(&self) -> Vec<At<SecretRef>> {
        vec![self.client_secret.clone()]
    }
}
