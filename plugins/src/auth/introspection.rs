//! `introspection`: tokens that their issuer is asked about (RFC 7662).
//!
//! Not here yet: the table cannot be written, and nobody would pass.

use std::sync::Arc;

use super::challenge::Challenges;
use super::credential::{Credential, Presented, Sources};
use super::verdict::{OnError, Verdict};
use crate::contract::consumers::Directory;
use crate::contract::prelude::*;
use crate::contract::secret::SecretRef;
use crate::contract::services::Services;

/// `introspection` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawIntrospection {}

/// `introspection` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct IntrospectionConfig {}

/// A provider of this kind.
pub(super) struct Introspection {
    sources: Sources,
    challenges: Challenges,
}

impl RawIntrospection {
    pub(super) fn validate(
        self,
        _table: Span,
        _report: &mut Report,
    ) -> Option<IntrospectionConfig> {
        Some(IntrospectionConfig {})
    }
}

impl IntrospectionConfig {
    pub(super) fn secrets(&self) -> Vec<At<SecretRef>> {
        Vec::new()
    }
}

impl Introspection {
    pub(super) fn compile(
        _config: &IntrospectionConfig,
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
}
