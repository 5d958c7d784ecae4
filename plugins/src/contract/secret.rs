//! Secrets: named in the configuration, never written there, read when a snapshot is compiled.
//!
//! Nothing here prints a value: not `Debug`, not an error.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::leaf::LeafError;
use crate::leaf;

/// The longest secret that is read.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Where environment variables come from; tests bring their own.
pub trait Env {
    /// The value of a variable that is set to text.
    fn var(&self, name: &str) -> Option<String>;
}

impl Env for BTreeMap<String, String> {
    fn var(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

/// Where a secret is: `"env:NAME"` or `"file:/path"`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; a relative path is relative to the file that names it.
    File(PathBuf),
}

leaf!(
    SecretRef,
    "secret-reference",
    "where a secret is: \"env:NAME\" or \"file:/path\""
);

/// A secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not there, or is no text.
    #[error("the environment variable `{0}` is not set")]
    NotSet(String),
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// There is nothing in it.
    #[error("{0} is empty")]
    Empty(SecretRef),
    /// It holds more than a secret would.
    #[error("{0} holds more than 64 KiB")]
    TooLong(SecretRef),
}

impl SecretRef {
    /// Reads the secret. White space at the end does not belong to it: editors add newlines.
    pub fn resolve(&self, env: &dyn Env) -> Result<Secret, SecretError> {
        let text = match self {
            Self::Env(name) => env
                .var(name)
                .ok_or_else(|| SecretError::NotSet(name.clone()))?,
            Self::File(path) => self.read(path)?,
        };
        let text = text.trim_end();
        if text.is_empty() {
            return Err(SecretError::Empty(self.clone()));
        }
        Ok(Secret(text.to_owned()))
    }

    /// The same with a relative path made relative to `directory`.
    pub fn relative_to(self, directory: &Path) -> Self {
        match self {
            Self::Env(_) => self,
            Self::File(path) => Self::File(directory.join(path)),
        }
    }

    fn read(&self, path: &Path) -> Result<String, SecretError> {
        let unreadable = |source| SecretError::Unreadable {
            path: path.display().to_string(),
            source,
        };
        let mut text = String::new();
        let file = File::open(path).map_err(unreadable)?;
        file.take(SECRET_BYTES_MAX + 1)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        match u64::try_from(text.len()) {
            Ok(length) if length <= SECRET_BYTES_MAX => Ok(text),
            _ => Err(SecretError::TooLong(self.clone())),
        }
    }
}

impl Secret {
    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl FromStr for SecretRef {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        // The text may be the secret itself: no message may hold it.
        let wrong = |message: &str| {
            Err(LeafError::new(message).help("write \"env:NAME\" or \"file:/run/secrets/name\""))
        };
        match text.split_once(':') {
            Some(("env", name)) => {
                let named = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                if name.is_empty() || !named {
                    return wrong("`env:` is not followed by the name of a variable");
                }
                Ok(Self::Env(name.to_owned()))
            }
            Some(("file", "")) => wrong("`file:` is not followed by a path"),
            Some(("file", path)) => Ok(Self::File(path.into())),
            _ => wrong("a secret must not stand in the configuration"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_references() {
        assert_eq!("env:A_1".parse(), Ok(SecretRef::Env("A_1".into())));
        assert_eq!("file:t/x".parse(), Ok(SecretRef::File("t/x".into())));
    }

    #[test]
    fn never_repeats_a_literal() {
        for text in ["hunter2", "env:hunter2!", "https://hunter2"] {
            let error = text.parse::<SecretRef>().unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert_eq!(format!("{:?}", Secret("hunter2".into())), "Secret(***)");
    }

    #[test]
    fn resolves_a_variable() {
        let env = BTreeMap::from([
            ("A".to_owned(), "x\n".to_owned()),
            ("B".to_owned(), "\n".to_owned()),
        ]);
        let resolve = |name: &str| SecretRef::Env(name.into()).resolve(&env);
        assert_eq!(resolve("A").unwrap().expose(), "x");
        assert!(matches!(resolve("B"), Err(SecretError::Empty(_))));
        assert!(matches!(resolve("C"), Err(SecretError::NotSet(_))));
    }
}
