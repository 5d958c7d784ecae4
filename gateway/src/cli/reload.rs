//! `gateway reload`: asks a running gateway, by its admin listener, to load its configuration again.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;

use super::post::{self, Address, TOKEN};
use super::{WRONG, answer, complain};

/// Arguments of `reload`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The admin listener; a token for it comes from `GATEWAY_ADMIN_TOKEN`
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090")]
    admin: String,
    /// Whom to trust where the URL is `https`: certificates in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    let address: Address = match args.admin.parse() {
        Ok(address) => address,
        Err(wrong) => {
            complain(&format!("error: --admin {}: {wrong}\n", args.admin));
            return ExitCode::from(WRONG);
        }
    };
    let token = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
    if let Some(lack) = post::lack(&address, args.ca.as_deref()) {
        complain(lack);
        return ExitCode::from(WRONG);
    }
    match post::post(&address, "/reload", token.as_deref(), args.ca.as_deref()) {
        Ok(reply) => told(reply.status, &reply.body, token.is_some()),
        Err(error) => {
            complain(&format!(
                "error: cannot ask the gateway at {}: {error}\n",
                args.admin
            ));
            ExitCode::FAILURE
        }
    }
}

/// Says what the gateway answered.
fn told(status: u16, body: &str, with_token: bool) -> ExitCode {
    let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let said = |key: &str| body.get(key).and_then(Value::as_str);
    match (status, said("rendered")) {
        (200, _) => answer(&format!("reloaded: {}\n", said("hash").unwrap_or("ok"))),
        (_, Some(rendered)) => {
            let cause = "the reload was refused; the old configuration serves on";
            failed(&format!("{}\nerror: {cause}\n", rendered.trim_end()))
        }
        (status, None) => failed(&format!(
            "error: {}\n",
            post::refusal(status, said("title"), with_token)
        )),
    }
}

fn failed(text: &str) -> ExitCode {
    complain(text);
    ExitCode::FAILURE
}
