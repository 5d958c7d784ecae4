//! Entry point: exit codes and nothing else (0 done, 1 could not, 2 the configuration or the arguments are wrong).

use std::process::ExitCode;

fn main() -> ExitCode {
    gateway::cli::main()
}
