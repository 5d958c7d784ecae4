//! `gateway check FILE…`: every complaint about every file.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use super::{Format, WRONG, answer, colour, complain};
use crate::config::model::{Config, RouteConfig};
use crate::config::{self, Failure, Loaded, render};
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

pub(super) fn run(args: &Args) -> ExitCode {
    let (mut said, mut complaints, mut wrong) = (String::new(), Vec::new(), false);
    for file in &args.files {
        let mut loaded = config::load(file);
        if let Ok(loaded) = &mut loaded {
            runtime::tls::check(&loaded.config, &mut loaded.report);
            loaded.report.tidy();
        }
        wrong |= is_wrong(&loaded);
        let (report, sources) = match &loaded {
            Ok(loaded) => (&loaded.report, &loaded.sources),
            Err(failure) => (&failure.report, &failure.sources),
        };
        match args.format {
            Format::Json => {
                if let Value::Array(found) = render::json(report, sources) {
                    complaints.extend(found);
                }
            }
            Format::Text => {
                complain(&render::text(report, sources, colour()));
                if let Ok(loaded) = &loaded
                    && !loaded.report.has_errors()
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

fn is_wrong(loaded: &Result<Loaded, Box<Failure>>) -> bool {
    loaded
        .as_ref()
        .map_or(true, |loaded| loaded.report.has_errors())
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
