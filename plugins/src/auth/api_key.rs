//! `api-key`: keys that consumers have. The gateway knows only their SHA-256.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};

use super::challenge::Challenges;
use super::consumer::identity;
use super::credential::{Credential, Source, Sources};
use super::verdict::{Reason, Verdict};
use crate::contract::consumers::Directory;
use crate::contract::prelude::*;

/// Longer than any key: what is longer is not worth a digest.
const KEY_BYTES_MAX: usize = 4096;

/// `api-key` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawApiKey {
    /// Where the key stands: headers, cookies, query parameters; `"header.authorization"` with the scheme `Bearer`.
    /// Default: `["header.x-api-key"]`.
    from: Option<At<Vec<At<Value>>>>,
}

/// `api-key` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKeyConfig {
    sources: Sources,
}

/// A provider of this kind.
pub(super) struct ApiKey {
    name: Arc<str>,
    sources: Sources,
    challenges: Challenges,
}

impl RawApiKey {
    #[expect(clippy::unnecessary_wraps, reason = "the shape that every kind has")]
    pub(super) fn validate(self, _table: Span, report: &mut Report) -> Option<ApiKeyConfig> {
        let default = Source::Header(HeaderName::from_static("x-api-key"));
        let sources = Sources::validate(self.from.as_ref(), &[default], report);
        Some(ApiKeyConfig { sources })
    }
}

impl ApiKey {
    pub(super) fn compile(config: &ApiKeyConfig, name: &Arc<str>) -> Self {
        // No scheme is registered for keys; clients need to learn where the key belongs.
        let places: Vec<String> = config.sources.iter().map(ToString::to_string).collect();
        let challenges = Challenges::new("ApiKey", &[("in", &places.join(" "))]);
        Self {
            name: name.clone(),
            sources: config.sources.clone(),
            challenges,
        }
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    pub(super) fn challenges(&self) -> &Challenges {
        &self.challenges
    }

    pub(super) fn judge(
        &self,
        credential: &Credential<'_>,
        request: &RequestView<'_>,
        consumers: &Directory,
    ) -> Verdict {
        if credential.bytes().len() > KEY_BYTES_MAX {
            request.facts.note(|| "the key is too long".to_owned());
            return Verdict::Rejected(Reason::TooLarge);
        }
        let Some(key) = credential.text() else {
            return Verdict::Rejected(Reason::Malformed);
        };
        let key = digest(&SHA256, key.as_bytes());
        if let Some(consumer) = consumers.by_api_key(key.as_ref()) {
            return identity(&self.name, consumer).into();
        }
        request.facts.note(|| "no consumer has this key".to_owned());
        Verdict::Rejected(Reason::Unknown)
    }
}
