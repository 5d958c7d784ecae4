//! `auth` as written: a provider, or on a route several of which any will do.

use std::collections::BTreeMap;

use super::api_key::RawApiKey;
use super::basic::RawBasic;
use super::client_certificate::RawClientCertificate;
use super::forward::RawForward;
use super::introspection::RawIntrospection;
use super::jwt::RawJwt;
use super::oidc::RawOidc;
use crate::contract::mode::{Date, RawMode};
use crate::contract::prelude::*;

/// `auth` as written: exactly one kind, or `any`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawAuth {
    /// Signed tokens (RFC 7519), verified here.
    pub(super) jwt: Option<At<RawJwt>>,
    /// Keys that consumers have.
    pub(super) api_key: Option<At<RawApiKey>>,
    /// Names and passwords of consumers (RFC 7617).
    pub(super) basic: Option<At<RawBasic>>,
    /// Tokens that their issuer is asked about (RFC 7662).
    pub(super) introspection: Option<At<RawIntrospection>>,
    /// A service that is asked about each request.
    pub(super) forward: Option<At<RawForward>>,
    /// Certificates that clients show by TLS.
    pub(super) client_certificate: Option<At<RawClientCertificate>>,
    /// Login of browsers by OpenID Connect.
    pub(super) oidc: Option<At<RawOidc>>,
    /// Headers that tell the upstream who asks: `{ x-user = "claim.sub", x-consumer = "consumer.name" }`. No client can send
    /// them, on no route.
    pub(super) identity_headers: Option<At<BTreeMap<String, At<Value>>>>,
    /// Whether the upstream does not get the credential. Default: `true`.
    pub(super) strip: Option<At<bool>>,
    /// `"shadow"` counts and logs what would be refused; needs `shadow-until`.
    pub(super) mode: Option<At<RawMode>>,
    /// The day from which a shadowed provider refuses again.
    pub(super) shadow_until: Option<At<Date>>,
    /// Names of providers of which any will do: whichever credential is presented decides.
    pub(super) any: Option<At<Vec<At<String>>>>,
    /// With `any`: whether requests without a credential may pass. Default: `false`.
    pub(super) optional: Option<At<bool>>,
}

impl RawAuth {
    /// Whether its credentials are tokens with a subject.
    pub fn has_subjects(&self) -> bool {
        self.jwt.is_some() || self.introspection.is_some() || self.oidc.is_some()
    }
}
