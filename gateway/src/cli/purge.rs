//! `gateway purge`: asks a running gateway, by its admin listener, to forget kept answers.

use std::process::ExitCode;

use serde_json::Value;
use url::form_urlencoded::Serializer;

use super::post::{Answer, Whom};
use super::{answer, complain};

/// Arguments of `purge`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    what: What,
    /// Mark them stale instead: they serve on while new ones are fetched, where the route allows
    #[arg(long)]
    soft: bool,
    #[command(flatten)]
    whom: Whom,
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
    match args.whom.post(&path(args)) {
        Ok(reply) => told(&reply),
        Err(code) => code,
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
fn told(reply: &Answer) -> ExitCode {
    let body: Value = serde_json::from_str(&reply.body).unwrap_or(Value::Null);
    let purged = body.get("purged").and_then(Value::as_u64);
    if let (200, Some(count)) = (reply.status, purged) {
        return answer(&format!("purged: {count}\n"));
    }
    let refusal = reply.refusal(body.get("title").and_then(Value::as_str));
    complain(&format!("error: {refusal}\n"));
    ExitCode::FAILURE
}
