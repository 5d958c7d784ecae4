//! The upgrade without a gap, from both sides: what a successor takes at its start, and how the running process hands over.
//!
//! Trusts who may connect to the control socket: the same user, or root. Promises that a successor which fails, dies or is
//! late changes nothing, and that sockets change hands only between two reloads.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::successor::Successor;
use super::{RunError, notify};
use crate::admin::{AdminListeners, Control};
use crate::cache::zone;
use crate::listen::{Caller, Door, HandoverError, Inherited, Lent, Listeners, Takeover, Wish};
use crate::runtime::reload::{Reloader, Source};

/// From the start of a successor until it serves: it has a configuration to compile.
const UPGRADE: Duration = Duration::from_mins(1);

/// How a daemon comes by its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// It binds them.
    Alone,
    /// It takes those of the process that runs already.
    Upgrade,
}

/// What a starting process was given.
pub(super) struct Inheritance {
    takeover: Option<Takeover>,
    pub(super) sockets: Arc<Inherited>,
}

impl Inheritance {
    /// Takes the sockets of the running process, if that is how we start.
    pub(super) async fn claim(start: Start, control: Option<&Path>) -> Result<Self, RunError> {
        if start == Start::Alone {
            return Ok(Self {
                takeover: None,
                sockets: Arc::default(),
            });
        }
        let path = control.ok_or_else(no_control_socket)?;
        match Takeover::begin(path).await {
            Ok((takeover, inherited)) => {
                tracing::info!(sockets = inherited.count(), "Took over the sockets");
                Ok(Self {
                    takeover: Some(takeover),
                    sockets: Arc::new(inherited),
                })
            }
            Err(error) => Err(RunError::Start(format!(
                "cannot take over from the process at {}: {error}",
                path.display()
            ))),
        }
    }

    /// Tells the former process that we serve. An error: it does not let go, and we must.
    pub(super) async fn settle(self) -> Result<(), HandoverError> {
        if let Some(takeover) = self.takeover {
            takeover.ready().await?;
        }
        self.sockets.discard();
        Ok(())
    }
}

/// The cure for an upgrade without a control socket.
pub fn no_control_socket() -> RunError {
    RunError::Config(
        "error: an upgrade needs [server] control-socket\n  help: add control-socket = \"/run/gateway/control.sock\" and restart once\n"
            .into(),
    )
}

/// A process that serves, with all that it has open.
pub(super) struct House {
    pub(super) source: Source,
    pub(super) door: Option<Door>,
    pub(super) reloader: Arc<Reloader>,
    pub(super) listeners: Arc<Listeners>,
    pub(super) control: Arc<Control>,
    pub(super) admin: Arc<AdminListeners>,
}

impl House {
    /// Returns once a successor serves in our place.
    pub(super) async fn until_handed_over(&self) {
        let Some(door) = &self.door else {
            return std::future::pending().await;
        };
        loop {
            let caller = door.caller().await;
            let handed_over = match caller.wish() {
                Wish::Take => self.give(door, caller).await.is_some(),
                Wish::Upgrade => self.upgrade(door, caller).await,
            };
            if handed_over {
                return;
            }
        }
    }

    /// Another process has every socket: accepts no more, and touches no file of a socket.
    pub(super) fn leave(&self) {
        if let Some(door) = &self.door {
            door.hand_over();
        }
        self.control.handed_over();
        // The successor waits for the directories of zones. Their last writes end by themselves.
        drop(zone::close_disks());
        self.admin.last_call();
        self.listeners.last_call();
    }

    /// The process that we should have replaced serves on: finishes what was begun here.
    pub(super) async fn give_up(&self, grace: Duration) {
        self.leave();
        self.listeners
            .wait_idle(super::LAST_CALL.min(grace / 2))
            .await;
        self.listeners.drain_all();
        self.listeners.wait_idle(grace / 2).await;
    }

    /// Gives our sockets to a successor; its process once it serves.
    async fn give(&self, door: &Door, mut successor: Caller) -> Option<u32> {
        let _no_reload_meanwhile = self.reloader.hold().await;
        let process = successor.process();
        tracing::info!(process, "A new process asks for the sockets");
        match self.try_give(door, &mut successor).await {
            Ok(()) => {
                tracing::info!(process, "The new process serves");
                Some(process.unwrap_or_default())
            }
            Err(error) => {
                tracing::error!(process, %error, "The upgrade failed, this process serves on");
                notify::main_process(std::process::id());
                None
            }
        }
    }

    async fn try_give(&self, door: &Door, successor: &mut Caller) -> Result<(), HandoverError> {
        let sockets = match self.sockets(door) {
            Ok(sockets) => sockets,
            Err(error) => {
                successor.refuse("the sockets cannot be lent").await;
                return Err(error.into());
            }
        };
        successor.give(&sockets).await?;
        // Before we end: a service whose main process is gone is over.
        if let Some(process) = successor.process() {
            notify::main_process(process);
        }
        successor.draining().await
    }

    fn sockets(&self, door: &Door) -> std::io::Result<Vec<Lent>> {
        let mut sockets = self.listeners.lend()?;
        sockets.extend(self.admin.lend()?);
        sockets.push(door.lend()?);
        Ok(sockets)
    }

    /// Starts a successor and waits for what becomes of it; whether it serves.
    async fn upgrade(&self, door: &Door, mut asker: Caller) -> bool {
        let mut successor = match Successor::start(&self.source) {
            Ok(successor) => successor,
            Err(error) => {
                tracing::error!(%error, "Cannot start a new process");
                asker
                    .refuse(&format!("cannot start a new process: {error}"))
                    .await;
                return false;
            }
        };
        let late = sleep_until(Instant::now() + UPGRADE);
        tokio::pin!(late);
        let failure = loop {
            tokio::select! {
                mut caller = door.caller() => match caller.wish() {
                    Wish::Upgrade => caller.refuse("an upgrade is under way").await,
                    Wish::Take => if let Some(process) = self.give(door, caller).await {
                        asker.done(process).await;
                        return true;
                    }
                },
                end = successor.ended() => break format!("the new process ended: {end}; the log says why"),
                () = &mut late => {
                    successor.kill();
                    break "the new process was not ready in time".to_owned();
                }
            }
        };
        tracing::error!(failure, "The upgrade failed, this process serves on");
        asker.refuse(&failure).await;
        false
    }
}
