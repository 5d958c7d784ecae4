//! The texts of a configuration, laid end to end: a span anywhere in it names a file, a line and a column.
//!
//! Every span in a `Config` and in a `Report` is a range of these positions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use plugins::contract::place::Span;

use super::files::Digest;

/// All files of a configuration in the order they were read.
#[derive(Debug, Clone, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
    directories: BTreeSet<PathBuf>,
    named: BTreeMap<PathBuf, Option<Digest>>,
    hidden: Vec<Span>,
}

/// One file.
#[derive(Debug, Clone)]
pub struct SourceFile {
    name: String,
    path: Option<PathBuf>,
    text: String,
    base: usize,
    lines: Vec<usize>,
}

/// A place as people say it; line and column count from 1, columns count characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location<'a> {
    /// The file as it was named.
    pub file: &'a str,
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

impl SourceMap {
    /// Adds a file behind the others and gives the position of its first byte.
    pub(super) fn add(&mut self, name: String, path: Option<PathBuf>, text: String) -> usize {
        // One position lies between two files, so that the end of one is not the start of the next.
        let base = self.files.last().map_or(0, |file| file.end() + 1);
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        self.files.push(SourceFile {
            name,
            path,
            text,
            base,
            lines,
        });
        base
    }

    /// Remembers a directory whose files an include pattern names.
    pub(super) fn add_directory(&mut self, path: PathBuf) {
        self.directories.insert(path);
    }

    /// Remembers files that the configuration names, and what they held.
    pub(super) fn add_named(&mut self, files: BTreeMap<PathBuf, Option<Digest>>) {
        self.named.extend(files);
    }

    /// Remembers places whose text may be a secret.
    pub(super) fn hide(&mut self, spans: Vec<Span>) {
        self.hidden.extend(spans);
    }

    /// Places whose text must not be shown.
    pub(super) fn hidden(&self) -> &[Span] {
        &self.hidden
    }

    /// The files, the one named by the operator first.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Directories in which a new file would become part of the configuration.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(PathBuf::as_path)
    }

    /// Files that the configuration names (certificates, keys) with the digest of what they held.
    pub fn named(&self) -> &BTreeMap<PathBuf, Option<Digest>> {
        &self.named
    }

    /// The file that holds a position.
    pub fn file(&self, position: usize) -> Option<&SourceFile> {
        let after = self.files.partition_point(|file| file.base <= position);
        let file = self.files.get(after.checked_sub(1)?)?;
        (position <= file.end()).then_some(file)
    }

    /// File, line and column of a position.
    pub fn locate(&self, position: usize) -> Option<Location<'_>> {
        let file = self.file(position)?;
        let offset = position - file.base;
        let line = file.lines.partition_point(|start| *start <= offset);
        let start = *file.lines.get(line.checked_sub(1)?)?;
        let before = file.text.get(start..offset)?;
        Some(Location {
            file: &file.name,
            line,
            column: before.chars().count() + 1,
        })
    }

    /// `file:line` of a span's start, for people.
    pub fn place(&self, span: &Span) -> Option<String> {
        let location = self.locate(span.start)?;
        Some(format!("{}:{}", location.file, location.line))
    }

    /// The text of a span.
    pub fn text(&self, span: &Span) -> Option<&str> {
        let file = self.file(span.start)?;
        file.text.get(file.local(span))
    }

    /// A stable fingerprint of all names and texts, and of the files they name, in hexadecimal (FNV-1a, 128 bits): it tells two
    /// configurations apart, and proves nothing.
    pub fn hash(&self) -> String {
        const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
        const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
        let bytes = self
            .files
            .iter()
            .flat_map(|file| [file.name.as_bytes(), b"\0", file.text.as_bytes(), b"\0"])
            .flatten()
            .chain(self.named.values().flatten().flatten());
        let hash = bytes.fold(OFFSET, |hash, byte| {
            (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
        });
        format!("{hash:032x}")
    }
}

impl SourceFile {
    /// As the operator or an `include` named it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it was read; `None` for a text that is no file.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A span of the whole configuration as a range of this file's text, kept inside it.
    pub fn local(&self, span: &Span) -> Span {
        let inside = |position: usize| position.saturating_sub(self.base).min(self.text.len());
        inside(span.start)..inside(span.end).max(inside(span.start))
    }

    /// The directory that paths in this file are relative to.
    pub fn directory(&self) -> PathBuf {
        let parent = self.path.as_deref().and_then(Path::parent);
        parent.map(Path::to_path_buf).unwrap_or_default()
    }

    /// The position of its first byte.
    pub(super) fn base(&self) -> usize {
        self.base
    }

    fn end(&self) -> usize {
        self.base + self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_places_in_several_files() {
        let mut sources = SourceMap::default();
        assert_eq!(sources.add("a".into(), None, "x = 1\nä = 2\n".into()), 0);
        let base = sources.add("b".into(), None, "y\n".into());
        let at = |position| {
            sources
                .locate(position)
                .map(|found| (found.file, found.line, found.column))
        };
        assert_eq!(at(0), Some(("a", 1, 1)));
        assert_eq!(at(8), Some(("a", 2, 2)), "columns count characters");
        assert_eq!(
            at(base - 1),
            Some(("a", 3, 1)),
            "the end of a file is in it"
        );
        assert_eq!(at(base), Some(("b", 1, 1)));
        assert_eq!(at(base + 3), None);
        assert_eq!(sources.text(&(base..base + 1)), Some("y"));
    }

    #[test]
    fn the_hash_depends_on_every_text() {
        let hash = |texts: &[&str]| {
            let mut sources = SourceMap::default();
            for text in texts {
                sources.add("f".into(), None, (*text).into());
            }
            sources.hash()
        };
        assert_eq!(hash(&["a", "b"]), hash(&["a", "b"]));
        assert_ne!(hash(&["a", "b"]), hash(&["ab", ""]));
        assert_eq!(hash(&[]).len(), 32);
    }
}
