//! Entry point: exit codes and nothing else (0 done, 1 could not, 2 the configuration or the arguments are wrong).

use std::process::ExitCode;

// The system's allocator keeps fragments of many short-lived requests; this one gives them back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    gateway::cli::main()
}
