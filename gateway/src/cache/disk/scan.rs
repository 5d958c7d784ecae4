//! Which files a directory holds at the start.

use std::path::{Path, PathBuf};

use super::file;

/// What was found.
#[derive(Default)]
pub(super) struct Scan {
    /// Number and cost of each file, the newest last.
    files: Vec<(u64, u64)>,
    /// What has no business there.
    pub(super) foreign: Vec<PathBuf>,
}

impl Scan {
    /// Looks at names and lengths alone, in directories that have our names.
    pub(super) fn new(root: &Path) -> Self {
        let mut scan = Self::default();
        for number in 0..=0xff {
            let shard = file::shard(number);
            let Ok(files) = std::fs::read_dir(root.join(&shard)) else {
                continue;
            };
            for found in files.filter_map(Result::ok) {
                let name = found.file_name();
                let stamp = name.to_str().and_then(|name| file::stamp(&shard, name));
                let facts = found.metadata().ok().filter(std::fs::Metadata::is_file);
                match (stamp, facts) {
                    (Some(stamp), Some(facts)) => {
                        scan.files.push((stamp, file::cost(facts.len())));
                    }
                    _ => scan.foreign.push(found.path()),
                }
            }
        }
        scan.files.sort_unstable();
        scan
    }

    /// What all files cost.
    pub(super) fn cost(&self) -> u64 {
        self.files.iter().map(|(_, cost)| cost).sum()
    }

    /// The greatest number.
    pub(super) fn latest(&self) -> u64 {
        self.files.last().map_or(0, |(stamp, _)| *stamp)
    }

    /// The newest file that was not looked at.
    pub(super) fn newest(&mut self) -> Option<(u64, u64)> {
        self.files.pop()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The oldest files that cost so much together, or all.
    pub(super) fn oldest(&mut self, cost: u64) -> Vec<(u64, u64)> {
        let mut so_far = 0_u64;
        let enough = self.files.iter().position(|(_, one)| {
            so_far = so_far.saturating_add(*one);
            so_far >= cost
        });
        let count = enough.map_or(self.files.len(), |last| last + 1);
        self.files.drain(..count).collect()
    }
}

/// Deletes what a process left over that did not end well.
pub(super) fn tidy(root: &Path) {
    let Ok(files) = std::fs::read_dir(root.join("tmp")) else {
        return;
    };
    for found in files.filter_map(Result::ok) {
        if let Err(error) = std::fs::remove_file(found.path()) {
            tracing::warn!(file = %found.path().display(), %error, "Cannot delete what is left over");
        }
    }
}
