//! `gateway hash api-key|password`: what a configuration holds instead of keys and passwords.
//!
//! Secrets come from standard input only: an argument would show in every list of processes.

use std::io::{self, BufRead, IsTerminal, Read};
use std::process::ExitCode;

use clap::Subcommand;
use plugins::auth::hash::{self, KeyHash};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

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
    /// Hash a password: typed on a terminal, which does not show it, or on the first line of standard input
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

/// A terminal that does not show what is typed, until this value is gone.
struct Hidden(Termios);

impl Hidden {
    /// `None` where standard input is no terminal.
    fn start() -> io::Result<Option<Self>> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let before = tcgetattr(io::stdin())?;
        let mut modes = before.clone();
        modes.local_modes.remove(LocalModes::ECHO);
        // The end of the line is shown: what comes next starts on a new one.
        modes.local_modes.insert(LocalModes::ECHONL);
        tcsetattr(io::stdin(), OptionalActions::Flush, &modes)?;
        Ok(Some(Self(before)))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that has gone away needs no echo.
        tcsetattr(io::stdin(), OptionalActions::Flush, &self.0).ok();
    }
}

/// The first line of standard input, without its end. A terminal does not show it.
fn line(what: &str) -> Result<String, String> {
    let hidden = Hidden::start().map_err(|error| format!("cannot hide the {what}: {error}"))?;
    if hidden.is_some() {
        complain(&format!("Type the {what}; it is not shown: "));
    }
    let mut text = String::new();
    let mut input = io::stdin().lock().take(BYTES_MAX + 2);
    let read = input.read_line(&mut text);
    drop(hidden);
    read.map_err(|error| format!("cannot read the {what}: {error}"))?;
    let text = text.trim_end_matches(['\n', '\r']);
    match u64::try_from(text.len()) {
        Ok(0) | Err(_) => Err(format!("there is no {what} on standard input")),
        Ok(length) if length > BYTES_MAX => Err(format!("the {what} is longer than 4 KiB")),
        Ok(_) => Ok(text.to_owned()),
    }
}
