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
    File(LogFile),
}

/// A file of lines.
#[derive(Debug)]
pub struct LogFile {
    path: PathBuf,
    file: File,
    /// Whether it ends within a line: a write failed halfway, on a full disk for instance.
    torn: bool,
}

impl Destination {
    /// Opens a file for appending.
    pub fn file(path: &Path) -> io::Result<Self> {
        LogFile::open(path).map(Self::File)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Off => Ok(()),
            Self::Stdout => io::stdout().lock().write_all(bytes),
            Self::File(file) => file.write(bytes),
        }
    }

    fn reopen(&mut self) -> io::Result<()> {
        if let Self::File(file) = self {
            *file = LogFile::open(&file.path)?;
        }
        Ok(())
    }
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: OpenOptions::new().create(true).append(true).open(path)?,
            torn: false,
        })
    }

    /// Writes whole lines. What follows half a line begins a new one.
    fn write(&mut self, mut lines: &[u8]) -> io::Result<()> {
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        while !lines.is_empty() {
            let written = match self.file.write(lines) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                written => written?,
            };
            let (done, rest) = lines.split_at(written.min(lines.len()));
            self.torn = done.last().map_or(self.torn, |last| *last != b'\n');
            lines = rest;
        }
        Ok(())
    }
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
    /// Whether the last write failed: a full disk must not fill the daemon's own log.
    failing: AtomicBool,
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
            failing: AtomicBool::new(false),
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
            if self.reopen.swap(false, Ordering::AcqRel)
                && let Err(error) = lock(&self.destination).reopen()
            {
                tracing::warn!(%error, "Cannot open the access log again; the old file is written on");
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
        let written = lock(&self.destination).write(&spare);
        self.wrote(&spare, written);
        spare.clear();
        // What a burst has made large is given back.
        spare.shrink_to(SPARE_MAX);
        true
    }

    /// Counts lines that are lost, and tells when writing begins to fail and when it works again.
    fn wrote(&self, lines: &[u8], written: io::Result<()>) {
        match written {
            Ok(()) if self.failing.swap(false, Ordering::Relaxed) => {
                tracing::info!("The access log is written again");
            }
            Ok(()) => {}
            Err(error) => {
                let lines = lines.split_inclusive(|byte| *byte == b'\n').count();
                self.metrics.access_log_dropped.add(lines as u64);
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(%error, "Cannot write the access log");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_cannot_be_written_are_counted_each() {
        let metrics = Arc::new(Metrics::default());
        let log = AccessLog::start(1, metrics.clone()).unwrap();
        let path = std::env::temp_dir().join(format!("gateway-access-log-{}", std::process::id()));
        drop(File::create(&path).unwrap());
        // Open for reading only: no write can succeed.
        let unwritable = Destination::File(LogFile {
            path: path.clone(),
            file: File::open(&path).unwrap(),
            torn: false,
        });
        log.redirect(unwritable);
        lock(&log.shared.buffers[0].filling).extend_from_slice(b"{}\n{}\n{}\n");
        log.shared.drain();
        assert_eq!(metrics.access_log_dropped.read(), 3);
        log.redirect(Destination::file(&path).unwrap());
        lock(&log.shared.buffers[0].filling).extend_from_slice(b"{}\n");
        log.close();
        assert_eq!(metrics.access_log_dropped.read(), 3);
        assert_eq!(std::fs::read(&path).unwrap(), b"{}\n");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn what_follows_half_a_line_begins_a_new_one() {
        let path = std::env::temp_dir().join(format!("gateway-torn-log-{}", std::process::id()));
        std::fs::write(&path, "{\"half\"").unwrap();
        let mut log = LogFile::open(&path).unwrap();
        log.torn = true;
        log.write(b"{}\n").unwrap();
        log.write(b"{}\n").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"half\"\n{}\n{}\n");
        std::fs::remove_file(&path).unwrap();
    }
}
