//! Directories of our own.

use std::path::{Component, PathBuf};
use std::str::FromStr;

use plugins::contract::leaf::LeafError;
use plugins::leaf;

/// The path of a directory, from the root on.
#[derive(Debug, Clone)]
pub(in crate::config) struct DirectoryPath(pub(in crate::config) PathBuf);

leaf!(
    DirectoryPath,
    "directory-path",
    "the path of a directory: \"/var/cache/gateway\""
);

impl FromStr for DirectoryPath {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let path = PathBuf::from(text);
        let plain = path.components().all(|part| part != Component::ParentDir);
        if path.is_absolute() && plain && path.parent().is_some() {
            // Without what says nothing: a path is compared with others.
            return Ok(Self(path.components().collect()));
        }
        Err(
            LeafError::new(format!("`{text}` is not the path of a directory"))
                .help("write it from the root on, for example \"/var/cache/gateway\""),
        )
    }
}
