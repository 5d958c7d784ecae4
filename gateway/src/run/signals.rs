//! Signals: HUP reloads, USR1 opens the access log again, TERM, INT and QUIT end. A second one ends at once.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::proxy::Shared;
use crate::runtime::reload::{Reloader, Trigger};

/// All signals that mean something. From its making on, none of them kills the process any more.
pub(super) struct Signals {
    hang_up: Option<Signal>,
    user: Option<Signal>,
    end: Ending,
}

impl Signals {
    pub(super) fn listen() -> Self {
        Self {
            hang_up: listen(SignalKind::hangup()),
            user: listen(SignalKind::user_defined1()),
            end: Ending::new(),
        }
    }

    /// Returns when a signal asks us to end.
    pub(super) async fn until_stopped(&mut self, reloader: &Arc<Reloader>, shared: &Shared) {
        loop {
            tokio::select! {
                () = received(&mut self.hang_up) => {
                    let reloader = reloader.clone();
                    // Whatever comes of it is logged and counted; meanwhile other signals are heard.
                    tokio::spawn(async move { drop(reloader.reload(Trigger::Signal).await) });
                }
                () = received(&mut self.user) => shared.access_log.reopen(),
                () = self.end.received() => return,
            }
        }
    }

    /// Returns when a further signal asks us to end.
    pub(super) async fn end(&mut self) {
        self.end.received().await;
    }
}

/// The signals that end.
struct Ending([Option<Signal>; 3]);

impl Ending {
    fn new() -> Self {
        Self(
            [
                SignalKind::terminate(),
                SignalKind::interrupt(),
                SignalKind::quit(),
            ]
            .map(listen),
        )
    }

    /// Returns when one of them arrives.
    async fn received(&mut self) {
        let [term, int, quit] = &mut self.0;
        tokio::select! {
            () = received(term) => {}
            () = received(int) => {}
            () = received(quit) => {}
        }
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    match signal(kind) {
        Ok(signal) => Some(signal),
        Err(error) => {
            tracing::error!(%error, ?kind, "Cannot listen to a signal");
            None
        }
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
