//! `[store.NAME]` as written.

use plugins::contract::file::FileRef;
use plugins::contract::place::At;
use plugins::contract::units::Time;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Either, Switch};
use crate::config::leaf::RedisUrl;
use crate::config::secret::SecretRef;

/// What several gateways share.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawStore {
    /// A Redis, or what speaks its protocol and runs its scripts.
    pub(in crate::config) redis: At<RawRedis>,
}

/// A Redis.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawRedis {
    /// `"redis://host:port/database"`, or a list: nodes of a cluster, which find the others.
    pub(in crate::config) url: At<Either<RedisUrl, Vec<At<RedisUrl>>>>,
    /// The user that the password belongs to. Default: the server's default user.
    pub(in crate::config) username: Option<At<String>>,
    /// The password.
    pub(in crate::config) password: Option<At<SecretRef>>,
    /// Until the answer of one call. Default: `"30ms"`.
    pub(in crate::config) timeout: Option<At<Time>>,
    /// `true`, or a table. Default: plaintext.
    pub(in crate::config) tls: Option<At<Switch<RawRedisTls>>>,
}

/// TLS to a Redis.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct RawRedisTls {
    /// Who is trusted. Default: the system's authorities.
    pub(in crate::config) ca: Option<At<FileRef>>,
    /// Our own certificate with its chain.
    pub(in crate::config) cert: Option<At<FileRef>>,
    /// Its key.
    pub(in crate::config) key: Option<At<FileRef>>,
}
