//! `gateway upgrade FILE`: a running gateway starts the binary that now has its name, hands its sockets over, and drains.

use std::path::PathBuf;
use std::process::ExitCode;

use super::answer;
use super::run::ended;
use crate::listen::upgrade;
use crate::run::{RunError, no_control_socket};
use crate::runtime::reload::Source;

/// Arguments of `upgrade`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration of the running gateway; its [server] control-socket is where to ask
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

pub(super) fn run(args: Args) -> ExitCode {
    match ask(args) {
        Ok(process) => answer(&format!("process {process} serves\n")),
        Err(error) => ended(Err(error)),
    }
}

fn ask(args: Args) -> Result<u32, RunError> {
    let loaded = Source::File(args.file)
        .load()
        .map_err(|failure| RunError::Config(crate::run::rendered(&failure)))?;
    let path = loaded.config.server.control_socket;
    let path = path.ok_or_else(no_control_socket)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(upgrade(&path)).map_err(|error| {
        let path = path.display();
        RunError::Start(format!("not upgraded: {error} (asked at {path})"))
    })
}
