//! `gateway check FILE…`: every complaint about every file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use plugins::contract::report::Report;
use serde_json::Value;

use super::{Format, WRONG, answer, colour, complain};
use crate::config::model::{Config, RouteConfig};
use crate::config::source::SourceMap;
use crate::config::{self, Loaded, render};
use crate::routing::{Guard, Guards};
use crate::runtime;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configurations, each checked on its own
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How complaints are written; JSON goes to standard output
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// What is to be said of one file.
enum Checked {
    /// It can be read.
    Read(Arc<Loaded>, Report),
    /// It cannot be used.
    Wrong(Report, SourceMap),
}

pub(super) fn run(args: &Args) -> ExitCode {
    let (mut said, mut complaints, mut wrong) = (String::new(), Vec::new(), false);
    for file in &args.files {
        let checked = Checked::file(file);
        let (report, sources) = checked.found();
        wrong |= report.has_errors();
        match args.format {
            Format::Json => {
                if let Value::Array(found) = render::json(report, sources) {
                    complaints.extend(found);
                }
            }
            Format::Text => {
                complain(&render::text(report, sources, colour()));
                if let Checked::Read(loaded, report) = &checked
                    && !report.has_errors()
                {
                    said = format!("{said}{}: {}\n", file.display(), praise(loaded));
                }
            }
        }
    }
    if args.format == Format::Json {
        said = format!("{:#}\n", Value::Array(complaints));
    }
    let answered = answer(&said);
    if wrong {
        ExitCode::from(WRONG)
    } else {
        answered
    }
}

impl Checked {
    /// Reads a file and builds what it says, without a word to anybody.
    fn file(file: &Path) -> Self {
        let loaded = match config::load(file) {
            Ok(loaded) => Arc::new(loaded),
            Err(failure) => return Self::Wrong(failure.report, failure.sources),
        };
        let mut report = loaded.report.clone();
        runtime::tls::check(&loaded.config, &mut report);
        runtime::compile::check::check(&loaded, &mut report);
        report.tidy();
        Self::Read(loaded, report)
    }

    fn found(&self) -> (&Report, &SourceMap) {
        match self {
            Self::Read(loaded, report) => (report, &loaded.sources),
            Self::Wrong(report, sources) => (report, sources),
        }
    }
}

fn praise(loaded: &Loaded) -> String {
    let config = &loaded.config;
    let several = |number: usize, word: &str| match number {
        1 => format!("1 {word}"),
        _ => format!("{number} {word}s"),
    };
    format!(
        "ok: {}, {}, {}{}",
        several(config.listeners.len(), "listener"),
        several(config.routes.len(), "route"),
        several(config.upstreams.len(), "upstream"),
        public(config)
    )
}

/// The routes that everybody may call, where not everybody may call all of them.
fn public(config: &Config) -> String {
    let is_public = |route: &&RouteConfig| !Guards::of(&route.policies).has(Guard::Auth);
    let public: Vec<&str> = config
        .routes
        .iter()
        .filter(is_public)
        .map(|route| &*route.name)
        .collect();
    let open = |route: &RouteConfig| route.policies.auth.is_empty();
    if config.routes.iter().all(open) {
        return String::new();
    }
    match public.as_slice() {
        [] => "; none is public".to_owned(),
        names => format!("; public: {}", names.join(", ")),
    }
}
