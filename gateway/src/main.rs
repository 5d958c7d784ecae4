//! Entry point: exit codes and nothing else (0 done, 1 could not, 2 the configuration or the arguments are wrong).

use std::process::ExitCode;

// The system's allocator keeps fragments of many short-lived requests; this one gives them back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // One provider of cryptography for everything, before anything can ask for another: Pingora keeps the one it finds.
    if rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .is_err()
    {
        return ExitCode::FAILURE;
    }
    gateway::cli::main()
}
