//! The threads that read files of kept answers. Few, started when the first is needed; who asks waits for a bounded time, and is
//! refused at once where too many wait already.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::format::Torn;

/// How much is read at once.
pub const PIECE: usize = 256 << 10;

/// How many read at the same time.
const THREADS: usize = 4;

/// How many may wait.
const WAITING_MAX: usize = 1024;

/// How long one may wait.
const DEADLINE: Duration = Duration::from_secs(3);

/// Why nothing was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// Too many read.
    #[error("too many answers are being read")]
    Busy,
    /// It took too long.
    #[error("the disk is too slow")]
    Late,
    /// The system said no.
    #[error("{0}")]
    System(io::ErrorKind),
    /// It was not what was written.
    #[error("{0}")]
    Torn(#[from] Torn),
}

impl Unread {
    /// Whether the next try would be in vain, too.
    pub fn is_final(self) -> bool {
        match self {
            Self::Busy | Self::Late => false,
            Self::Torn(_) => true,
            Self::System(kind) => {
                matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
            }
        }
    }
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        Self::System(error.kind())
    }
}

type Job = Box<dyn FnOnce() + Send>;

struct Pool {
    jobs: Mutex<VecDeque<Job>>,
    wake: Condvar,
}

static POOL: OnceLock<Arc<Pool>> = OnceLock::new();

fn pool() -> &'static Pool {
    POOL.get_or_init(|| {
        let pool = Arc::new(Pool {
            jobs: Mutex::default(),
            wake: Condvar::new(),
        });
        for _ in 0..THREADS {
            let for_thread = pool.clone();
            let thread = std::thread::Builder::new().name("cache-read".to_owned());
            if let Err(error) = thread.spawn(move || for_thread.work()) {
                tracing::error!(%error, "Cannot start a thread that reads kept answers");
            }
        }
        pool
    })
}

impl Pool {
    fn work(&self) {
        loop {
            let mut jobs = self.jobs.lock();
            let job = loop {
                match jobs.pop_front() {
                    Some(job) => break job,
                    None => self.wake.wait(&mut jobs),
                }
            };
            drop(jobs);
            job();
        }
    }

    fn push(&self, job: Job) -> bool {
        let mut jobs = self.jobs.lock();
        if jobs.len() >= WAITING_MAX {
            return false;
        }
        jobs.push_back(job);
        drop(jobs);
        self.wake.notify_one();
        true
    }
}

/// Runs a job that reads.
pub async fn run<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, Unread> + Send + 'static,
) -> Result<T, Unread> {
    let (done, told) = oneshot::channel();
    let job = Box::new(move || {
        // Who does not wait any more needs no answer, and no work.
        if !done.is_closed() {
            drop(done.send(job()));
        }
    });
    if !pool().push(job) {
        return Err(Unread::Busy);
    }
    match tokio::time::timeout(DEADLINE, told).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Unread::System(io::ErrorKind::Other)),
        Err(_) => Err(Unread::Late),
    }
}

/// A piece of content of a file that is still being written by this very process.
pub(in crate::cache) async fn piece(
    file: Arc<File>,
    from: usize,
    to: usize,
) -> Result<Bytes, Unread> {
    run(move || {
        let mut buffer = vec![0; to.saturating_sub(from)];
        file.read_exact_at(&mut buffer, (super::format::START + from) as u64)?;
        Ok(buffer.into())
    })
    .await
}
