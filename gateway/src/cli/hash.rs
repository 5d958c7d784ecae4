//! `gateway hash api-key|password`: what a configuration holds instead of keys and passwords.
//!
//! Secrets come from standard input only: an argument would show in every list of processes.

use std::io::{self, BufRead, IsTerminal, Read};
use std::process::ExitCode;

use clap::Subcommand;
use plugins::auth::hash::{self, KeyHash};

use super::{answer, complain};

/// The longest key or password that is read.
const BYTES_MAX: u64 = 4096;

/// Arguments of `hash`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a new API key and print it with its hash; with --stdin, only hash the one on standard input
    ApiKey {
        /// Hash the key on the first line of standard input
        #[arg(long)]
        stdin: bool,
    },
    /// Hash the password on the first line of standard input
    Password,
}

pub(super) fn run(args: &Args) -> ExitCode {
    match made(&args.what) {
        Ok(text) => answer(&text),
        Err(wrong) => {
            complain(&format!("error: {wrong}\n"));
            ExitCode::FAILURE
        }
    }
}

fn made(what: &What) -> Result<String, String> {
    match what {
        What::ApiKey { stdin: false } => {
            let key = hash::new_key().map_err(|error| error.to_string())?;
            if io::stdout().is_terminal() {
                complain("The key, which is shown only now, and its hash for `api-keys`:\n");
            }
            Ok(format!("{key}\n{}\n", KeyHash::of(&key)))
        }
        What::ApiKey { stdin: true } => Ok(format!("{}\n", KeyHash::of(&line("key")?))),
        What::Password => {
            let hash = hash::hash_password(&line("password")?);
            hash.map(|hash| format!("{hash}\n"))
                .map_err(|error| error.to_string())
        }
    }
}

/// The first line of standard input, without its end.
fn line(what: &str) -> Result<String, String> {
    if io::stdin().is_terminal() {
        complain(&format!("Type the {what}; it is shown while you type:\n"));
    }
    let mut text = String::new();
    let mut input = io::stdin().lock().take(BYTES_MAX + 2);
    let read = input.read_line(&mut text);
    read.map_err(|error| format!("cannot read the {what}: {error}"))?;
    let text = text.trim_end_matches(['\n', '\r']);
    match u64::try_from(text.len()) {
        Ok(0) | Err(_) => Err(format!("there is no {what} on standard input")),
        Ok(length) if length > BYTES_MAX => Err(format!("the {what} is longer than 4 KiB")),
        Ok(_) => Ok(text.to_owned()),
    }
}
