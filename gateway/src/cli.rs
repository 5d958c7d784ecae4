//! The command line: one file a command under `cli/`. Only this module and those below it print.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

use crate::config::render::Colour;

mod check;
mod demo;
mod explain;
mod hash;
mod post;
mod purge;
mod reload;
mod routes;
mod run;
mod schema;
mod table;
mod upgrade;
mod version;

/// The exit code for a configuration that is wrong; clap ends with the same for arguments.
pub const WRONG: u8 = 2;

/// An API gateway and edge proxy: one binary, one TOML file.
#[derive(Debug, Parser)]
#[command(name = "gateway", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Run(run::Args),
    /// Run the gateway with sample upstreams and print what to try
    Demo,
    /// Check configurations: print every complaint, exit with 2 if there is an error
    Check(check::Args),
    /// Tell what happens to a request, step by step, without sending it
    Explain(explain::Args),
    /// List the routes of a configuration
    Routes(routes::Args),
    /// Make a running gateway load its configuration again
    Reload(reload::Args),
    /// Make a running gateway forget kept answers
    Purge(purge::Args),
    /// Make a running gateway hand over to the binary that now has its name
    Upgrade(upgrade::Args),
    /// Make or hash a credential for a consumer
    Hash(hash::Args),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print the version
    Version,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Reads the arguments and runs the command.
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run::run(args),
        Command::Demo => demo::run(),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Routes(args) => routes::run(&args),
        Command::Reload(args) => reload::run(&args),
        Command::Purge(args) => purge::run(&args),
        Command::Upgrade(args) => upgrade::run(args),
        Command::Hash(args) => hash::run(&args),
        Command::Schema => schema::run(),
        Command::Version => version::run(),
    }
}

/// Writes an answer to standard output. A reader who has gone away (`| head`) wants no more of it.
fn answer(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Writes complaints to standard error.
fn complain(text: &str) {
    // There is nowhere left to say that standard error cannot be written to.
    let _closed = io::stderr().write_all(text.as_bytes()).is_err();
}

/// Whether complaints may be coloured: on a terminal, unless `NO_COLOR` says otherwise (<https://no-color.org>).
pub(crate) fn colour() -> Colour {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stderr().is_terminal() && !unwanted {
        Colour::Yes
    } else {
        Colour::No
    }
}
