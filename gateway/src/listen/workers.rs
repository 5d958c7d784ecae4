//! The threads that serve. Each has its own single-threaded runtime and its own app, so that upstream pools and futures stay
//! on one core and nothing is shared but counters.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Reception;
use super::accept::{self, Post};
use super::census::Census;
use super::gate::Gate;
use super::live::Listener;
use super::socket::Bound;

/// A listener for a worker to serve.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) bound: Bound,
    pub(super) listener: Arc<Listener>,
    pub(super) gate: Arc<Gate>,
    pub(super) census: Arc<Census>,
}

/// The running workers. They end, with whatever connections are left, when this and every `Listeners` on it are dropped.
#[derive(Debug)]
pub struct Workers {
    desks: Vec<UnboundedSender<Opening>>,
    handles: Vec<Handle>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts `count` workers whose threads bear this name; `make` is called on each with its number and makes what it
    /// serves.
    pub fn start<R, F>(name: &str, count: usize, make: F) -> io::Result<Self>
    where
        R: Reception,
        F: Fn(usize) -> Arc<R> + Clone + Send + 'static,
    {
        let mut workers = Self {
            desks: Vec::new(),
            handles: Vec::new(),
            threads: Vec::new(),
        };
        for number in 0..count.max(1) {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let (desk, openings) = unbounded_channel();
            let make = make.clone();
            workers.desks.push(desk);
            workers.handles.push(runtime.handle().clone());
            let work = move || work(&runtime, openings, || make(number));
            let thread = thread::Builder::new()
                .name(format!("{name}-{number}"))
                .spawn(work)?;
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// The workers' runtimes, for tasks that belong beside their requests.
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }

    pub(super) fn desks(&self) -> Vec<UnboundedSender<Opening>> {
        self.desks.clone()
    }

    /// Waits for the threads to end, once every `Listeners` on them is dropped.
    pub fn join(mut self) {
        self.desks.clear();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("A worker ended by a panic");
            }
        }
    }
}

fn work<R: Reception>(
    runtime: &Runtime,
    mut openings: UnboundedReceiver<Opening>,
    make: impl Fn() -> Arc<R>,
) {
    runtime.block_on(async move {
        let reception = make();
        while let Some(Opening {
            bound,
            listener,
            gate,
            census,
        }) = openings.recv().await
        {
            let (reception, watch) = (Arc::clone(&reception), gate.watch());
            let post = Arc::new(Post {
                reception,
                listener,
                gate,
                watch,
                census,
            });
            tokio::spawn(async move {
                if let Err(error) = accept::run(bound, post).await {
                    tracing::error!(%error, "A worker cannot serve a listener");
                }
            });
        }
    });
}
