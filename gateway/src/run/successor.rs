//! A new process of our own program, started as we were: same name, directory, environment and standard streams, so that it
//! stays in the service, the container or the terminal that we are in.

use std::ffi::OsString;
use std::io;
use std::process::{Command, ExitStatus};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use crate::runtime::reload::Source;

/// A process that shall take over.
pub(super) struct Successor {
    process: u32,
    end: oneshot::Receiver<io::Result<ExitStatus>>,
}

impl Successor {
    /// Starts what now has the name by which we were started.
    pub(super) fn start(source: &Source) -> io::Result<Self> {
        let Source::File(file) = source else {
            return Err(io::Error::other("there is no configuration file"));
        };
        // Not the path of our own executable: that one may have been replaced, which is the point.
        let name: OsString = std::env::args_os()
            .next()
            .ok_or_else(|| io::Error::other("this process has no name"))?;
        let mut child = Command::new(name)
            .arg("run")
            .arg(file)
            .arg("--upgrade")
            .spawn()?;
        let process = child.id();
        tracing::info!(process, "Started a new process");
        let (tell, end) = oneshot::channel();
        thread::Builder::new()
            .name("successor".into())
            // Nobody listens any more once it serves; it is waited for all the same, so that no zombie is left of one that fails.
            .spawn(move || drop(tell.send(child.wait())))?;
        Ok(Self { process, end })
    }

    /// Returns when it has ended, with how.
    pub(super) async fn ended(&mut self) -> String {
        match (&mut self.end).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_gone) => "its end was missed".to_owned(),
        }
    }

    /// Ends it.
    pub(super) fn kill(&self) {
        let process = i32::try_from(self.process).ok().and_then(Pid::from_raw);
        if let Some(Err(error)) = process.map(|process| kill_process(process, Signal::KILL)) {
            tracing::warn!(%error, process = self.process, "Cannot end the new process");
        }
    }
}
