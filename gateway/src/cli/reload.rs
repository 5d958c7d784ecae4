//! `gateway reload`: asks a running gateway, by its admin listener, to load its configuration again.

use std::process::ExitCode;

use serde_json::Value;

use super::post::{Answer, Whom};
use super::{answer, complain};

/// Arguments of `reload`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    whom: Whom,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match args.whom.post("/reload") {
        Ok(reply) => told(&reply),
        Err(code) => code,
    }
}

/// Says what the gateway answered.
fn told(reply: &Answer) -> ExitCode {
    let body: Value = serde_json::from_str(&reply.body).unwrap_or(Value::Null);
    let said = |key: &str| body.get(key).and_then(Value::as_str);
    match (reply.status, said("rendered")) {
        (200, _) => answer(&format!("reloaded: {}\n", said("hash").unwrap_or("ok"))),
        (_, Some(rendered)) => {
            let cause = "the reload was refused; the old configuration serves on";
            failed(&format!("{}\nerror: {cause}\n", rendered.trim_end()))
        }
        (_, None) => failed(&format!("error: {}\n", reply.refusal(said("title")))),
    }
}

fn failed(text: &str) -> ExitCode {
    complain(text);
    ExitCode::FAILURE
}
