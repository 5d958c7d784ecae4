//! Several processes of one gateway: a successor is started beside the running one, and takes its place.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use super::Gateway;
use super::cli::{Exit, cli_in};
use super::process::{Process, binary, kill};
use crate::config::Config;
use crate::wait::{self, DEADLINE};

/// One more process of a gateway; it ends with this value.
#[derive(Debug)]
pub struct Instance {
    process: Process,
}

impl Gateway {
    /// `gateway run FILE --upgrade` with the configuration of this gateway and these variables besides; waits for nothing.
    pub fn successor(&self, variables: &[(&str, &str)]) -> Instance {
        self.successor_with(&self.place.file(), variables)
    }

    /// The same with another configuration, which the running process does not see: written to a file beside its own.
    pub fn successor_of(&mut self, config: impl Into<Config>) -> Instance {
        let file = self.place.dir().join("successor.toml");
        let config = config.into().completed();
        let text = self.place.write_to(&file, &config);
        if let Ok(parsed) = text.parse() {
            self.parsed = parsed;
        }
        self.successor_with(&file, &[])
    }

    fn successor_with(&self, file: &std::path::Path, variables: &[(&str, &str)]) -> Instance {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let variables: Vec<_> = variables.iter().map(owned).collect();
        Instance {
            process: Process::succeed(&self.place, file, &variables),
        }
    }

    /// From now on the gateway is this process; the former one.
    pub fn succeed(&mut self, successor: Instance) -> Instance {
        let process = std::mem::replace(&mut self.process, successor.process);
        Instance { process }
    }

    /// The binary under test.
    pub fn binary() -> PathBuf {
        binary()
    }

    /// `gateway upgrade FILE`, run to its end.
    pub fn upgrade_command(&self) -> Exit {
        let file = self.place.file();
        cli_in(self.place.dir(), &["upgrade", &file.to_string_lossy()])
    }
}

impl Instance {
    /// Everything it wrote to stdout and stderr so far.
    pub fn log(&self) -> String {
        self.process.said()
    }

    /// Waits until the log holds `text`.
    pub fn wait_log(&self, text: &str) {
        let found = wait::try_until(DEADLINE, || self.log().contains(text).then_some(()));
        assert!(
            found.is_some(),
            "{text:?} is not in the log:\n{}",
            self.log()
        );
    }

    /// Waits for it to end by itself.
    pub fn wait_exit(&mut self, deadline: Duration) -> ExitStatus {
        wait::until_some(deadline, "an instance to exit", || self.process.ended())
    }

    /// How it ended: waits for that, too.
    pub fn exit(&mut self) -> Exit {
        self.wait_exit(DEADLINE);
        self.process.exit()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Is it still there?
    pub fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// A process that somebody else started; it ends with this value.
#[derive(Debug)]
pub struct Stranger(pub u32);

impl Stranger {
    /// Sends a signal by its name; whether there was anybody.
    pub fn signal(&self, name: &str) -> bool {
        kill(self.0, name)
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}
