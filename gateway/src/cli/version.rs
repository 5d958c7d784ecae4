//! `gateway version`

use std::process::ExitCode;

use super::answer;

pub(super) fn run() -> ExitCode {
    answer(concat!("gateway ", env!("CARGO_PKG_VERSION"), "\n"))
}
