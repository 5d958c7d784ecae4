//! `jwt`: signed tokens, verified here.
//!
//! Not here yet: the table cannot be written, and nobody would pass.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::challenge::Challenges;
use super::credential::{Credential, Presented, Sources};
use super::provider::Mine;
use super::verdict::{OnError, Verdict};
use crate::contract::consumers::Directory;
use crate::contract::file::FileRef;
use crate::contract::prelude::*;
use crate::contract::secret::SecretRef;
use crate::contract::services::Services;

/// `jwt` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawJwt {}

/// `jwt` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct JwtConfig {}

/// A provider of this kind.
pub(super) struct Jwt {
    sources: Sources,
    challenges: Challenges,
}

impl RawJwt {
    pub(super) fn validate(self, _table: Span, _report: &mut Report) -> Option<JwtConfig> {
        Some(JwtConfig {})
    }
}

impl JwtConfig {
    pub(super) fn files(&self) -> Vec<At<FileRef>> {
        Vec::new()
    }

    pub(super) fn secrets(&self) -> Vec<At<SecretRef>> {
        Vec::new()
    }
}

impl Jwt {
    pub(super) fn compile(
        _config: &JwtConfig,
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

    pub(super) fn claims_it(&self, _credential: &Credential<'_>) -> Mine {
        Mine::Perhaps
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
}
