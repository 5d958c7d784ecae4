//! Reads a configuration's files, follows `include`, and lays the texts end to end.
//!
//! The only place of the pipeline that opens files. Reports every file that it cannot read.

use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use plugins::contract::place::Span;
use plugins::contract::report::Report;
use toml::de::DeTable;

use super::dom::Node;
use super::env::{Env, interpolate};
use super::source::{SourceFile, SourceMap};

/// The largest file that is read.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// The most files of one configuration.
const FILES_MAX: usize = 4096;
/// How deep includes may be nested.
const DEPTH_MAX: usize = 8;

/// Reads files into a source map.
pub(super) struct Reader<'a> {
    env: &'a dyn Env,
    sources: &'a mut SourceMap,
    report: &'a mut Report,
    /// Files read so far, by their true paths, each with the place that named it.
    seen: Vec<(PathBuf, Option<Span>)>,
    /// Files whose includes are being followed.
    open: Vec<PathBuf>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        env: &'a dyn Env,
        sources: &'a mut SourceMap,
        report: &'a mut Report,
    ) -> Self {
        Self {
            env,
            sources,
            report,
            seen: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Reads a file and all that it includes. `named` is the place of the include.
    pub(super) fn file(&mut self, path: &Path, named: Option<&Span>) {
        let identity = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if self.is_known(&identity, path, named) {
            return;
        }
        match text_of(path) {
            Ok(text) => {
                self.seen.push((identity.clone(), named.cloned()));
                self.open.push(identity);
                self.text(shown(path), Some(path.to_path_buf()), text);
                self.open.pop();
            }
            Err(why) => {
                let message = format!("cannot read {}: {why}", shown(path));
                match named {
                    Some(span) => self.report.error(span.clone(), "config.file", message),
                    None => self.report.error_nowhere("config.file", message),
                };
            }
        }
    }

    /// Takes a text and reads all that it includes.
    pub(super) fn text(&mut self, name: String, path: Option<PathBuf>, text: String) {
        let includes = includes(&text);
        let base = self.sources.add(name, path, text);
        for (pattern, span) in includes {
            self.include(&pattern, &(span.start + base..span.end + base));
        }
    }

    /// Whether a file must not be read (again); says why.
    fn is_known(&mut self, identity: &Path, path: &Path, named: Option<&Span>) -> bool {
        let Some(span) = named else {
            return false;
        };
        let shown = shown(path);
        if self.open.iter().any(|open| open == identity) {
            self.report
                .error(
                    span.clone(),
                    "config.include-cycle",
                    format!("{shown} includes itself"),
                )
                .label("leads back to a file that is being read")
                .help("remove this include");
            return true;
        }
        if let Some((_, first)) = self.seen.iter().find(|(seen, _)| seen == identity) {
            let complaint = self.report.error(
                span.clone(),
                "config.include-twice",
                format!("{shown} is included twice"),
            );
            if let Some(first) = first {
                complaint.related(first.clone(), "first included here");
            }
            complaint.help("remove one of the two");
            return true;
        }
        let full = self.open.len() >= DEPTH_MAX || self.seen.len() >= FILES_MAX;
        if full {
            self.report
                .error(
                    span.clone(),
                    "config.include-limit",
                    "there are too many includes",
                )
                .help(format!(
                    "at most {DEPTH_MAX} deep and {FILES_MAX} files in all"
                ));
        }
        full
    }

    fn include(&mut self, pattern: &str, span: &Span) {
        let pattern = match interpolate(pattern, self.env) {
            Ok(pattern) => pattern,
            Err(errors) => {
                for error in errors {
                    self.report
                        .error(span.clone(), "config.variable", error.message)
                        .help(error.help);
                }
                return;
            }
        };
        let directory = self
            .sources
            .file(span.start)
            .map(SourceFile::directory)
            .unwrap_or_default();
        let path = directory.join(pattern.as_ref());
        let name = path.file_name().and_then(|name| name.to_str());
        match name {
            Some(name) if name.contains('*') => self.matching(&path, name, span),
            _ => self.file(&path, Some(span)),
        }
    }

    /// Reads the files of a directory whose names fit a pattern, in the order of their names.
    fn matching(&mut self, path: &Path, pattern: &str, span: &Span) {
        let directory = path.parent().map(Path::to_path_buf).unwrap_or_default();
        let readable = if directory.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            directory.clone()
        };
        let entries = match fs::read_dir(&readable) {
            Ok(entries) => entries,
            Err(why) => {
                let message = format!("cannot read {}: {why}", readable.display());
                self.report
                    .error(span.clone(), "config.file", message)
                    .help("only the last part of an include may hold `*`");
                return;
            }
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| !name.starts_with('.') && fits(pattern, name))
            .collect();
        names.sort();
        self.sources.add_directory(readable);
        if names.is_empty() {
            self.report
                .warn(
                    span.clone(),
                    "config.include-empty",
                    "this include names no file",
                )
                .label(format!("nothing fits {}", shown(path)));
        }
        for name in names {
            self.file(&directory.join(name), Some(span));
        }
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    let metadata = fs::metadata(path).map_err(|error| reason(&error))?;
    if metadata.is_dir() {
        return Err("it is a directory".to_owned());
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err("it is larger than 16 MiB".to_owned());
    }
    let bytes = fs::read(path).map_err(|error| reason(&error))?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

/// A path as people write it: without steps into a directory and out again.
fn shown(path: &Path) -> String {
    let mut parts: Vec<Component<'_>> = Vec::new();
    for part in path.components() {
        match (part, parts.last()) {
            (Component::ParentDir, Some(Component::Normal(_))) => drop(parts.pop()),
            (Component::CurDir, _) => {}
            _ => parts.push(part),
        }
    }
    parts.iter().collect::<PathBuf>().display().to_string()
}

/// The system's reason without its number.
fn reason(error: &std::io::Error) -> String {
    let kind = error.kind();
    if kind == ErrorKind::NotFound {
        "there is no such file".to_owned()
    } else if kind == ErrorKind::PermissionDenied {
        "permission denied".to_owned()
    } else {
        error.to_string()
    }
}

/// The strings of `include` at the top of a text with their places in it. Mistakes are left to the shape check.
fn includes(text: &str) -> Vec<(String, Span)> {
    // Most files have none: they need not be parsed twice.
    if !text.contains("include") {
        return Vec::new();
    }
    let (table, _errors) = DeTable::parse_recoverable(text);
    let strings = |node: &Node<'_>| match node.get_ref().as_array() {
        Some(items) => items.iter().filter_map(string).collect(),
        None => string(node).into_iter().collect(),
    };
    table
        .get_ref()
        .get("include")
        .map_or_else(Vec::new, strings)
}

fn string(node: &Node<'_>) -> Option<(String, Span)> {
    let text = node.get_ref().as_str()?;
    Some((text.to_owned(), node.span()))
}

/// Whether a name fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(first) else {
        return false;
    };
    loop {
        if fits(rest, name) {
            return true;
        }
        let mut letters = name.chars();
        if letters.next().is_none() {
            return false;
        }
        name = letters.as_str();
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn matches_names() {
        for (pattern, name) in [
            ("*.toml", "a.toml"),
            ("*", "x"),
            ("a*b*c", "a1b2c"),
            ("a*", "a"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("*.toml", "a.toml~"), ("a*b*c", "acb"), ("a", "ab")] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
