//! The daemon's own log, on standard error: what operators should know, one line each. Requests are in the access log.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Pingora and rustls log mistakes of clients; what matters of them is in the access log.
const DEFAULT: &str = "info,pingora_core=error,pingora_proxy=error,rustls=error";

/// Starts the log. `GATEWAY_LOG` holds a filter such as `debug` or `gateway=debug,pingora_core=info`.
pub fn start() {
    let wanted = std::env::var("GATEWAY_LOG").unwrap_or_else(|_| DEFAULT.to_owned());
    let filter = EnvFilter::try_new(&wanted);
    let misread = filter.is_err();
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter.unwrap_or_else(|_| EnvFilter::new(DEFAULT)))
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .try_init();
    if misread && started.is_ok() {
        tracing::warn!(
            GATEWAY_LOG = wanted,
            "Cannot read this filter; using the default"
        );
    }
}
