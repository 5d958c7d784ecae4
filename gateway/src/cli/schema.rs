//! `gateway schema`: the JSON Schema of the configuration, for editors.

use std::process::ExitCode;

use super::answer;
use crate::config;

pub(super) fn run() -> ExitCode {
    answer(&format!("{:#}\n", config::schema()))
}
