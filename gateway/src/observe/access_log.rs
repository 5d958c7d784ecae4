//! The access log: one JSON line a request, written off the hot path.
//!
//! A worker formats its line into its own buffer; one thread collects the buffers and writes. A buffer has a limit: what
//! does not fit is dropped and counted, a request never waits for a disk.

pub mod clock;
pub mod line;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle, Thread};
use std::time::Duration;

use super::metrics::{Metrics, lock};
use crate::config::model::LogFields;
use line::Line;

/// Bytes that may wait in the buffer of one worker.
const BUFFER_MAX: usize = 4 << 20;
/// Bytes of room that an emptied buffer keeps.
const SPARE_MAX: usize = 256 << 10;
/// Between two rounds of the writer while there is work: many lines leave in one write.
const PAUSE: Duration = Duration::from_millis(10);

/// Where lines go.
#[derive(Debug)]
pub enum Destination {
    /// Nowhere.
    Off,
    /// Standard output.
    Stdout,
    /// A file that can be opened again under the same name.
    File(PathBuf, File),
}

impl Destination {
    /// Opens a file for appending.
    pub fn file(path: &Path) -> io::Result<Self> {
        Ok(Self::File(path.to_owned(), append(path)?))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Off => Ok(()),
            Self::Stdout => io::stdout().lock().write_all(bytes),
            Self::File(_, file) => file.write_all(bytes),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File(path, file) = self {
            *file = append(path)?;
        }
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// The buffers, the writer and its destination.
pub struct AccessLog {
    shared: Arc<Shared>,
    writer: Thread,
    join: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    buffers: Box<[Buffer]>,
    destination: Mutex<Destination>,
    metrics: Arc<Metrics>,
    reopen: AtomicBool,
    closed: AtomicBool,
}

/// The lines of one worker: what it fills, and the empty one that takes its place while the writer empties it. Two that
/// change places need no growing once they are large enough.
#[derive(Default)]
struct Buffer {
    filling: Mutex<Vec<u8>>,
    spare: Mutex<Vec<u8>>,
}

impl AccessLog {
    /// Starts the writer with one buffer a worker and one for everything else.
    pub fn start(workers: usize, metrics: Arc<Metrics>) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            buffers: (0..=workers).map(|_| Buffer::default()).collect(),
            destination: Mutex::new(Destination::Off),
            metrics,
            reopen: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        });
        let of_thread = shared.clone();
        let join = thread::Builder::new()
            .name("access-log".into())
            .spawn(move || of_thread.run())?;
        Ok(Self {
            shared,
            writer: join.thread().clone(),
            join: Mutex::new(Some(join)),
        })
    }

    /// Adds a line to a worker's buffer.
    pub fn write(&self, worker: usize, line: &Line<'_>, fields: &LogFields) {
        let Some(buffer) = self
            .shared
            .buffers
            .get(worker)
            .or(self.shared.buffers.last())
        else {
            return;
        };
        let mut buffer = lock(&buffer.filling);
        if buffer.len() >= BUFFER_MAX {
            self.shared.metrics.access_log_dropped.add_one();
            return;
        }
        let was_empty = buffer.is_empty();
        line.write_to(fields, &mut buffer);
        drop(buffer);
        if was_empty {
            self.writer.unpark();
        }
    }

    /// Sends the following lines elsewhere; lines before it still go to the old place.
    pub fn redirect(&self, destination: Destination) {
        self.shared.drain();
        *lock(&self.shared.destination) = destination;
    }

    /// Opens the file again under its name, after a log rotation has moved it.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.writer.unpark();
    }

    /// Writes what is left and ends the writer.
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        self.writer.unpark();
        if let Some(join) = lock(&self.join).take()
            && join.join().is_err()
        {
            tracing::error!("The access log's writer has panicked");
        }
    }
}

impl Shared {
    fn run(&self) {
        loop {
            let closed = self.closed.load(Ordering::Acquire);
            if self.reopen.swap(false, Ordering::AcqRel) {
                self.complain(
                    lock(&self.destination).reopen(),
                    "Cannot open the access log again",
                );
            }
            let wrote = self.drain();
            match (wrote, closed) {
                (true, _) => thread::sleep(PAUSE),
                (false, true) => return,
                (false, false) => thread::park(),
            }
        }
    }

    /// Writes all buffers; says whether there was anything.
    fn drain(&self) -> bool {
        let mut wrote = false;
        for buffer in &self.buffers {
            wrote |= self.empty(buffer);
        }
        wrote
    }

    /// Writes one buffer; says whether there was anything. Holding the spare one keeps two that drain apart.
    fn empty(&self, buffer: &Buffer) -> bool {
        let mut spare = lock(&buffer.spare);
        std::mem::swap(&mut *spare, &mut *lock(&buffer.filling));
        if spare.is_empty() {
            return false;
        }
        self.complain(
            lock(&self.destination).write(&spare),
            "Cannot write the access log",
        );
        spare.clear();
        // What a burst has made large is given back.
        spare.shrink_to(SPARE_MAX);
        true
    }

    fn complain(&self, result: io::Result<()>, what: &'static str) {
        if let Err(error) = result {
            self.metrics.access_log_dropped.add_one();
            tracing::warn!(%error, "{what}");
        }
    }
}
