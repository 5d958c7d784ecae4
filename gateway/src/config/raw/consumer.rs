//! `[consumer.NAME]` as written, in a configuration and in a file of consumers.

use std::collections::BTreeMap;

use plugins::auth::hash::{KeyHash, PasswordHash};
use plugins::contract::place::At;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Either;

/// A subject, or one for each provider.
pub(in crate::config) type RawSubject = Either<String, BTreeMap<String, At<String>>>;

/// Who may call, and by which credentials.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawConsumer {
    /// What limits are chosen by: `consumer.plan`.
    pub(in crate::config) plan: Option<At<String>>,
    /// Groups, for `authorize`.
    pub(in crate::config) groups: Option<Vec<String>>,
    /// Anything else worth knowing, for expressions.
    pub(in crate::config) metadata: Option<Map<String, Value>>,
    /// Its API keys, hashed: `gateway hash api-key`.
    pub(in crate::config) api_keys: Option<Vec<At<KeyHash>>>,
    /// Its password, hashed: `gateway hash password`. The name is that of the consumer.
    pub(in crate::config) password: Option<PasswordHash>,
    /// Subject of its tokens; `{ idp = "…" }` says by whose provider, and must where there are several.
    pub(in crate::config) jwt_subject: Option<At<RawSubject>>,
    /// The part of its certificate that `client-certificate` looks at.
    pub(in crate::config) certificate: Option<At<String>>,
}
