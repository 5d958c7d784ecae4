//! `oidc`: login of browsers by OpenID Connect.
//!
//! Not here yet: the table cannot be written, and nobody would pass.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::challenge::Challenges;
use super::credential::{Credential, Presented, Sources};
use super::verdict::{OnError, Verdict};
use crate::contract::consumers::Directory;
use crate::contract::file::FileRef;
use crate::contract::prelude::*;
use crate::contract::secret::SecretRef;
use crate::contract::services::Services;

/// `oidc` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawOidc {}

/// `oidc` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct OidcConfig {}

/// A provider of this kind.
pub(super) struct Oidc {
    sources: Sources,
    challenges: Challenges,
}

impl RawOidc {
    pub(super) fn validate(self, _table: Span, _report: &mut Report) -> Option<OidcConfig> {
        Some(OidcConfig {})
    }
}

impl OidcConfig {
    pub(super) fn files(&self) -> Vec<At<FileRef>> {
        Vec::new()
    }

    pub(super) fn secrets(&self) -> Vec<At<SecretRef>> {
        Vec::new()
    }
}

impl Oidc {
    pub(super) fn compile(
        _config: &OidcConfig,
        _name: &Arc<str>,
        _services: &Services,
    ) -> Result<Self, CompileError> {
        Ok(Self {
            sources: Sources::default(),
            challenges: Challenges::none(),
        })
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    pub(super) fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    pub(super) fn presented<'a>(&self, request: &RequestView<'a>) -> Presented<'a> {
        self.sources.read(request)
    }

    pub(super) async fn judge(
        &self,
        _credential: &Credential<'_>,
        _request: &RequestView<'_>,
        _consumers: &Directory,
    ) -> Verdict {
        Verdict::Unavailable(OnError::Deny)
    }

    pub(super) fn declared(
        &self,
        _claims: &Map<String, Json>,
        _request: &RequestView<'_>,
        _consumers: &Directory,
    ) -> Verdict {
        Verdict::Unavailable(OnError::Deny)
    }

    pub(super) async fn prepare(&self, _services: &Services) {}

    pub(super) fn activate(self: &Arc<Self>, _services: &Services) {}

    pub(super) fn unready(&self) -> Option<String> {
        None
    }

    pub(super) fn has_page(&self, _request: &RequestView<'_>) -> bool {
        false
    }

    pub(super) async fn visit(&self, _request: &RequestView<'_>) -> Option<Box<Reply>> {
        None
    }

    pub(super) fn absent(&self, _request: &RequestView<'_>) -> Option<Box<Reply>> {
        None
    }
}
