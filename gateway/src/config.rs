//! The configuration: from texts to a validated [`model::Config`], or to every complaint about them.
//!
//! ```text
//! files ─read─▶ texts ─merge─▶ tree ─shape─▶ tree that fits ─raw─▶ Raw ─validate─▶ Config
//! ```
//!
//! Each step reports all that it finds; only broken syntax stops the next one. Nothing here knows a runtime type.

use std::path::Path;

use plugins::contract::report::{Report, Severity};

mod consumers;
mod dom;
pub mod env;
pub mod files;
mod leaf;
mod merge;
pub mod model;
pub mod pem;
mod raw;
mod read;
pub mod render;
mod schema;
mod shape;
pub mod source;
#[cfg(test)]
mod tests;
mod validate;

pub use plugins::contract::secret;
pub use schema::schema;

use env::{Env, ProcessEnv};
use model::Config;
use source::SourceMap;

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// What it means.
    pub config: Config,
    /// Where it is written.
    pub sources: SourceMap,
    /// Warnings.
    pub report: Report,
}

/// A configuration that cannot be used.
#[derive(Debug)]
pub struct Failure {
    /// Where it is written.
    pub sources: SourceMap,
    /// What is wrong with it; at least one error.
    pub report: Report,
}

/// Loads a file and all that it includes, with this process's environment.
pub fn load(path: &Path) -> Result<Loaded, Box<Failure>> {
    load_with(path, &ProcessEnv)
}

/// Loads a file and all that it includes.
pub fn load_with(path: &Path, env: &dyn Env) -> Result<Loaded, Box<Failure>> {
    let (mut sources, mut report) = (SourceMap::default(), Report::default());
    read::Reader::new(env, &mut sources, &mut report).file(path, None);
    loaded(sources, report, env)
}

/// Loads a text that is no file; what it includes is relative to the current directory.
pub fn load_text(name: &str, text: &str, env: &dyn Env) -> Result<Loaded, Box<Failure>> {
    let (mut sources, mut report) = (SourceMap::default(), Report::default());
    let mut reader = read::Reader::new(env, &mut sources, &mut report);
    reader.text(name.to_owned(), None, text.to_owned());
    loaded(sources, report, env)
}

fn loaded(
    mut sources: SourceMap,
    mut report: Report,
    env: &dyn Env,
) -> Result<Loaded, Box<Failure>> {
    let (mut hidden, mut files) = (Vec::new(), files::Files::default());
    let config = if sources.files().is_empty() {
        None
    } else {
        understood(&sources, &mut report, env, &mut hidden, &mut files)
    };
    sources.hide(hidden);
    sources.add_named(files.digests());
    report.tidy();
    match config {
        Some(config) if !report.has_errors() => Ok(Loaded {
            config,
            sources,
            report,
        }),
        _ => Err(Box::new(Failure { sources, report })),
    }
}

fn understood(
    sources: &SourceMap,
    report: &mut Report,
    env: &dyn Env,
    hidden: &mut Vec<plugins::contract::place::Span>,
    files: &mut files::Files,
) -> Option<Config> {
    let mut root = merge::parse(sources, schema::is_map, report)?;
    let damage = shape::check(&mut root, sources, env, report);
    hidden.extend_from_slice(damage.hidden());
    let raw = raw::Raw::read(root, report);
    validate::validate(raw, sources, &damage, files, report)
}

/// How many complaints of a kind there are.
pub(crate) fn count(report: &Report, severity: Severity) -> usize {
    let complaints = report.complaints().iter();
    complaints
        .filter(|complaint| complaint.severity == severity)
        .count()
}
