//! `gateway purge`: asks a running gateway, by its admin listener, to forget kept answers.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::post::{self, Address, TOKEN};
use super::{WRONG, answer, complain};

/// Arguments of `purge`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    what: What,
    /// Mark them stale instead: they serve on while new ones are fetched, where the route allows
    #[arg(long)]
    soft: bool,
    /// The admin listener; a token for it comes from `GATEWAY_ADMIN_TOKEN`
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9090")]
    admin: String,
    /// Whom to trust where the URL is `https`: certificates in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

/// Which answers.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct What {
    /// Those to this URL, in all variants: <https://api.example.com/orders/7>
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Those to all URLs that begin so: <https://api.example.com/orders/>
    #[arg(long, value_name = "URL")]
    prefix: Option<String>,
    /// Those that their origin gave this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
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
    match post::post(&address, &path(args), token.as_deref(), args.ca.as_deref()) {
        Ok(reply) => told(reply.status, &reply.body, token.is_some()),
        Err(error) => failed(&format!(
            "cannot ask the gateway at {}: {error}",
            args.admin
        )),
    }
}

fn path(args: &Args) -> String {
    let What { url, prefix, tag } = &args.what;
    let mut query = Serializer::new(String::new());
    for (key, value) in [("url", url), ("prefix", prefix), ("tag", tag)] {
        if let Some(value) = value {
            query.append_pair(key, value);
        }
    }
    if args.soft {
        query.append_pair("soft", "true");
    }
    format!("/purge?{}", query.finish())
}

/// Says what the gateway answered.
fn told(status: u16, body: &str, with_token: bool) -> ExitCode {
    let body: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    match (status, body.get("purged").and_then(Value::as_u64)) {
        (200, Some(count)) => answer(&format!("purged: {count}\n")),
        _ => failed(&post::refusal(
            status,
            body.get("title").and_then(Value::as_str),
            with_token,
        )),
    }
}

fn failed(text: &str) -> ExitCode {
    complain(&format!("error: {text}\n"));
    ExitCode::FAILURE
}
