//! `gateway run FILE`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{WRONG, complain};
use crate::run::{self, RunError, Start};
use crate::runtime::reload::Source;

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Take over the sockets of the gateway that runs with this configuration (see `gateway upgrade`)
    #[arg(long)]
    upgrade: bool,
}

pub(super) fn run(args: Args) -> ExitCode {
    let start = if args.upgrade {
        Start::Upgrade
    } else {
        Start::Alone
    };
    ended(run::run(Source::File(args.file), start, || {}))
}

/// The exit code of a daemon's life.
pub(super) fn ended(result: Result<(), RunError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ RunError::Config(_)) => {
            complain(&format!("{error}"));
            ExitCode::from(WRONG)
        }
        Err(error @ (RunError::Io(_) | RunError::Start(_))) => {
            complain(&format!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}
