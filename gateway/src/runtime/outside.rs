//! What plugins get from outside: the daemon's clock, client, runtime, counters and files, or nothing at all.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use plugins::contract::file::FileRef;
use plugins::contract::place::At;
use plugins::contract::secret::{Secret, SecretRef};
use plugins::contract::services::{Boxed, Clock, Files, Nothing, Outbound, Services, Store, Tasks};
use tokio::runtime::Handle;

use crate::client::call::Caller;
use crate::config::Loaded;
use crate::config::env::ProcessEnv;
use crate::config::source::SourceFile;
use crate::observe::metrics::Metrics;
use crate::upstream::names::Names;

/// What there is for every configuration of this process.
pub struct Outside {
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Whether anybody is spoken to.
    pub is_live: bool,
    clock: Arc<dyn Clock>,
    outbound: Arc<dyn Outbound>,
    tasks: Arc<dyn Tasks>,
}

/// The clocks of the machine.
struct Clocks {
    start: Instant,
}

/// The runtime of the daemon: not a worker's, which serves requests.
struct Spawner(Handle);

/// The files of one configuration.
struct NamedFiles(Arc<Loaded>);

impl Outside {
    /// For the daemon; tasks run on this runtime.
    pub fn live(metrics: Arc<Metrics>, names: Arc<Names>, runtime: Handle) -> Self {
        Self {
            metrics,
            is_live: true,
            clock: Arc::new(Clocks {
                start: Instant::now(),
            }),
            outbound: Arc::new(Caller::new(names)),
            tasks: Arc::new(Spawner(runtime)),
        }
    }

    /// For `check` and `explain`: speaks to nobody, starts nothing.
    pub fn nothing() -> Self {
        Self {
            metrics: Arc::default(),
            is_live: false,
            clock: Arc::new(Clocks {
                start: Instant::now(),
            }),
            outbound: Arc::new(Nothing),
            tasks: Arc::new(Nothing),
        }
    }

    /// What the plugins of one configuration are handed.
    pub fn services(
        &self,
        loaded: &Arc<Loaded>,
        stores: Arc<BTreeMap<String, Arc<dyn Store>>>,
    ) -> Services {
        Services {
            clock: self.clock.clone(),
            outbound: self.outbound.clone(),
            tasks: self.tasks.clone(),
            meter: self.metrics.clone(),
            files: Arc::new(NamedFiles(loaded.clone())),
            stores,
            consumers: loaded.config.consumers.clone(),
        }
    }
}

impl Clock for Clocks {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }
}

impl Tasks for Spawner {
    fn spawn(&self, task: Boxed<'static, ()>) {
        // Nobody waits for it: it ends by itself.
        drop(self.0.spawn(task));
    }
}

impl NamedFiles {
    /// The directory of the file that says this.
    fn directory(&self, at: usize) -> PathBuf {
        let source = self.0.sources.file(at);
        source.map(SourceFile::directory).unwrap_or_default()
    }
}

impl Files for NamedFiles {
    fn read(&self, file: &At<FileRef>, max: u64) -> Result<Vec<u8>, String> {
        let path = self.directory(file.span().start).join(file.path());
        let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        let mut bytes = Vec::new();
        let opened = File::open(&path).map_err(failed)?;
        let limit = max.saturating_add(1);
        opened.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length <= max) {
            return Ok(bytes);
        }
        Err(format!("{} is larger than {max} bytes", path.display()))
    }

    fn secret(&self, secret: &At<SecretRef>) -> Result<Secret, String> {
        let directory = self.directory(secret.span().start);
        let secret = (**secret).clone().relative_to(&directory);
        secret
            .resolve(&ProcessEnv)
            .map_err(|error| error.to_string())
    }
}
