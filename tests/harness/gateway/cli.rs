//! One run of the command line.

use std::fmt;
use std::path::Path;

use super::process::{Process, command};
use crate::wait::{self, DEADLINE};

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Exit {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "exit code {code:?}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}

/// Runs `gateway ARGS…` to its end.
pub fn cli(args: &[&str]) -> Exit {
    cli_in(Path::new("."), args)
}

/// Runs `gateway ARGS…` in a folder.
pub fn cli_in(dir: &Path, args: &[&str]) -> Exit {
    let mut process = Process::spawn(command().args(args).current_dir(dir));
    wait::until(DEADLINE, &format!("gateway {args:?} to end"), || {
        process.ended().is_some()
    });
    process.exit()
}
