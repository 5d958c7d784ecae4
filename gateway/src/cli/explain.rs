//! `gateway explain FILE REQUEST`: the story of one request, told by the code that would serve it. Opens no socket.
//!
//! ```text
//! arguments ─question─▶ Question ─tell─▶ Story ─text─▶ for people, or JSON
//! ```

mod ask;
mod cache;
mod candidates;
mod client;
mod declared;
mod forward;
mod head;
mod heard;
mod reply;
mod retry;
mod settings;
mod story;
mod tell;
mod text;

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::{Format, WRONG, answer, colour, complain};
use crate::config::{self, render};
use crate::runtime::Snapshot;
use crate::runtime::compile::compile;
use crate::runtime::outside::Outside;
use crate::runtime::reload::ReloadError;
use ask::Question;
use story::Story;

const REQUEST: &str = "\"METHOD URL\", for example \"GET https://api.example.com/orders/7\"; \
    GET may be left out, the URL may be a path";

/// Arguments of `explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[arg(value_name = "REQUEST", help = REQUEST)]
    request: String,
    /// A header field of the request, 'name: value'; a body is declared by 'content-length: N'
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The address that connects: the client, or a proxy before the gateway. 127.0.0.1 if left out
    #[arg(long, value_name = "ADDRESS")]
    from: Option<IpAddr>,
    /// The listener that it connects to; needed only where there are several
    #[arg(long, value_name = "NAME")]
    listener: Option<String>,
    /// The claims of a token, a JSON object, which count as verified: no key is needed
    #[arg(long, value_name = "FILE")]
    jwt: Option<PathBuf>,
    /// How the story is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match explained(args) {
        Ok(story) => answer(&match args.format {
            Format::Text => text::render(&story),
            Format::Json => format!(
                "{}\n",
                serde_json::to_string_pretty(&story).unwrap_or_default()
            ),
        }),
        Err(wrong) => {
            complain(&wrong);
            ExitCode::from(WRONG)
        }
    }
}

fn explained(args: &Args) -> Result<Story, String> {
    let mut question = Question::new(&args.request, &args.headers, args.from).map_err(as_error)?;
    let claims = args.jwt.as_deref().map(declared::read).transpose();
    question.claims = claims.map_err(as_error)?;
    let snapshot = snapshot(&args.file)?;
    let listener = question.listener(&snapshot.loaded.config.listeners, args.listener.as_deref());
    let listener = listener.map_err(as_error)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    let runtime = runtime.map_err(as_error)?;
    runtime
        .block_on(tell::tell(&snapshot, listener, &question))
        .map_err(as_error)
}

fn snapshot(file: &std::path::Path) -> Result<Snapshot, String> {
    let loaded = config::load(file)
        .map_err(|failure| render::text(&failure.report, &failure.sources, colour()))?;
    let loaded = Arc::new(loaded);
    compile(loaded.clone(), &Outside::nothing(), None).map_err(|error| {
        format!(
            "{}\n",
            ReloadError::Compile { error, loaded }.render().trim_end()
        )
    })
}

fn as_error(message: impl std::fmt::Display) -> String {
    format!("error: {message}\n")
}
