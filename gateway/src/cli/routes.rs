//! `gateway routes FILE`: every route of a configuration in one table.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Format, WRONG, answer, colour, complain, table};
use crate::admin::describe;
use crate::config::model::{Action, Config, Dispatch, RouteConfig, UpstreamId};
use crate::config::{self, Loaded, render};

/// Arguments of `routes`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How the routes are written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match config::load(&args.file) {
        Ok(loaded) => answer(&match args.format {
            Format::Json => format!("{:#}\n", describe::routes(&loaded)),
            Format::Text => text(&loaded),
        }),
        Err(failure) => {
            complain(&render::text(&failure.report, &failure.sources, colour()));
            ExitCode::from(WRONG)
        }
    }
}

fn text(loaded: &Loaded) -> String {
    let heads = ["ROUTE", "MATCH", "LISTENERS", "ACTION", "POLICIES", "WHERE"];
    let mut rows = vec![heads.map(str::to_owned).to_vec()];
    rows.extend(loaded.config.routes.iter().map(|route| row(route, loaded)));
    table::lines(&rows, "")
}

fn row(route: &RouteConfig, loaded: &Loaded) -> Vec<String> {
    let config = &loaded.config;
    let listeners = route
        .listeners
        .iter()
        .filter_map(|at| config.listeners.get(*at));
    let listeners: Vec<&str> = listeners.map(|listener| &*listener.name).collect();
    vec![
        route.name.to_string(),
        route.matcher.to_string(),
        or_dash(listeners.join(", ")),
        action(&route.action, config),
        or_dash(policies(route)),
        loaded.sources.place(&route.span).unwrap_or_default(),
    ]
}

fn or_dash(text: String) -> String {
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

fn policies(route: &RouteConfig) -> String {
    let mut found = Vec::new();
    route.policies.visit(|plugin, name, _, _| {
        found.push(match name {
            Some(name) => format!("{plugin} {name}"),
            None => plugin.to_owned(),
        });
    });
    found.join(", ")
}

/// What a route does, in a few words.
pub(super) fn action(action: &Action, config: &Config) -> String {
    let name = |id: UpstreamId| {
        config
            .upstreams
            .get(id.0)
            .map_or("", |upstream| &*upstream.name)
    };
    match action {
        Action::Upstream(Dispatch::Always(id)) => format!("upstream {}", name(*id)),
        Action::Upstream(Dispatch::By {
            value,
            map,
            otherwise,
        }) => {
            let mut names: Vec<&str> = map.values().chain(otherwise).map(|id| name(*id)).collect();
            names.sort_unstable();
            names.dedup();
            format!("upstream by {value}: {}", names.join(", "))
        }
        Action::Split(split) => {
            let arms = split
                .arms
                .iter()
                .map(|(id, weight)| format!("{} {weight}", name(*id)));
            format!("split {}", arms.collect::<Vec<_>>().join(", "))
        }
        Action::Redirect { to, status } => format!("redirect {} to {to}", status.as_u16()),
        Action::Respond(respond) => format!("respond {}", respond.status.as_u16()),
    }
}
