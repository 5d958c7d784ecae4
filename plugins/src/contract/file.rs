//! Files that the configuration names, `"file:PATH"`.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::leaf::LeafError;
use crate::leaf;

/// `"file:PATH"`; a relative path is relative to the file that names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileRef(PathBuf);

leaf!(
    FileRef,
    "file-reference",
    "a file: \"file:pages/sorry.html\""
);

impl FileRef {
    /// The path as written.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl FromStr for FileRef {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        match text.strip_prefix("file:") {
            Some("") => Err(LeafError::new("`file:` is not followed by a path")),
            Some(path) => Ok(Self(path.into())),
            None => Err(LeafError::new("a file is written with `file:` before it")
                .help(format!("write \"file:{text}\""))),
        }
    }
}

impl std::fmt::Display for FileRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "file:{}", self.0.display())
    }
}
