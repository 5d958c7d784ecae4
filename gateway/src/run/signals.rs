//! Signals: HUP reloads, USR1 opens the access log again, TERM, INT and QUIT end. A second one ends at once.

use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::proxy::Shared;
use crate::runtime::reload::{Reloader, Trigger};

/// Returns when a signal asks us to end.
pub(super) async fn until_stopped(reloader: &Arc<Reloader>, shared: &Shared) {
    let mut hang_up = listen(SignalKind::hangup());
    let mut user = listen(SignalKind::user_defined1());
    let mut end = Ending::new();
    loop {
        tokio::select! {
            () = received(&mut hang_up) => {
                let reloader = reloader.clone();
                // Whatever comes of it is logged and counted; meanwhile other signals are heard.
                tokio::spawn(async move { drop(reloader.reload(Trigger::Signal).await) });
            }
            () = received(&mut user) => shared.access_log.reopen(),
            () = end.received() => return,
        }
    }
}

/// Returns when a signal asks us again.
pub(super) async fn again() {
    Ending::new().received().await;
}

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
