//! Where the keys of a provider's issuer come from: read with the configuration, or published by the issuer.

use std::fmt::Display;
use std::sync::Arc;

use super::algorithm::Algorithm;
use super::config::{JwtConfig, KeysConfig};
use super::key::{Key, KeyError, Keys, PublicKey};
use crate::auth::jwks::{Remote, set};
use crate::contract::file::FileRef;
use crate::contract::prelude::*;
use crate::contract::services::Services;

/// The largest file of keys.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Keys, or whoever has them.
pub(super) enum Issuer {
    /// Read with the configuration.
    Fixed(Keys),
    /// Published.
    Remote(Arc<Remote>),
}

impl Issuer {
    pub(super) fn compile(
        config: &JwtConfig,
        name: &Arc<str>,
        services: &Services,
    ) -> Result<Self, CompileError> {
        let algorithms = &*config.terms.algorithms;
        let keys = match &config.keys {
            KeysConfig::Published(url) => {
                let remote = Remote::new(name, (**url).clone(), algorithms, services);
                return Ok(Self::Remote(Arc::new(remote)));
            }
            KeysConfig::Set(file) => {
                let bytes = read(file, services)?;
                set::read(&bytes, algorithms).map_err(|error| failed(&error, file.span()))?
            }
            KeysConfig::PublicKey(file) => {
                let bytes = read(file, services)?;
                let key = PublicKey::from_pem(&String::from_utf8_lossy(&bytes));
                let keys = key.and_then(|key| each(algorithms, |it| Key::public(&key, it)));
                keys.map_err(|error| failed(&error, file.span()))?
            }
            KeysConfig::Secret(secret) => {
                let text = services.files.secret(secret);
                let text = text.map_err(|error| failed(&error, secret.span()))?;
                let bytes = text.expose().as_bytes();
                let keys = each(algorithms, |it| Key::secret(bytes, it));
                keys.map_err(|error| failed(&error, secret.span()))?
            }
        };
        Ok(Self::Fixed(keys))
    }

    /// Differs whenever the keys do.
    pub(super) fn generation(&self) -> u64 {
        match self {
            Self::Fixed(_) => 0,
            Self::Remote(remote) => {
                let known = remote.known();
                known.as_ref().map_or(0, |known| known.generation)
            }
        }
    }
}

/// One key for all the algorithms: it must serve each.
fn each(
    algorithms: &[Algorithm],
    key: impl Fn(Algorithm) -> Result<Key, KeyError>,
) -> Result<Keys, KeyError> {
    let keys: Result<_, _> = algorithms.iter().map(|algorithm| key(*algorithm)).collect();
    keys.map(Keys::unnamed)
}

fn read(file: &At<FileRef>, services: &Services) -> Result<Vec<u8>, CompileError> {
    let read = services.files.read(file, FILE_BYTES_MAX);
    read.map_err(|error| failed(&error, file.span()))
}

fn failed(error: &dyn Display, place: Span) -> CompileError {
    let message = error.to_string();
    CompileError::from_error(&message).at(place)
}
