//! `forward`: a service that is asked about each request.
//!
//! Not here yet: the table cannot be written, and nobody would pass.

use std::sync::Arc;

use super::challenge::Challenges;
use super::credential::{Credential, Presented, Sources};
use super::verdict::{OnError, Verdict};
use crate::contract::consumers::Directory;
use crate::contract::prelude::*;
use crate::contract::services::Services;

/// `forward` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawForward {}

/// `forward` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct ForwardConfig {}

/// A provider of this kind.
pub(super) struct Forward {
    sources: Sources,
    challenges: Challenges,
}

impl RawForward {
    pub(super) fn validate(self, _table: Span, _report: &mut Report) -> Option<ForwardConfig> {
        Some(ForwardConfig {})
    }
}

impl ForwardConfig {
    pub(super) fn upstream_headers(&self) -> Vec<HeaderName> {
        Vec::new()
    }
}

impl Forward {
    pub(super) fn compile(
        _config: &ForwardConfig,
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
