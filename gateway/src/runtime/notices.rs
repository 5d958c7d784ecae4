//! Zones that tell other gateways what is forgotten, and hear it from them.
//!
//! Each zone with a store follows a log there. Whoever has lost the thread, because the store was gone for too long or has
//! forgotten the log itself, marks all that it keeps stale: better asked once more than given wrongly.
//!
//! What requests change waits a moment, in a queue with a limit, and is told with the next look at the log: no request waits
//! for a store.

mod changes;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use plugins::contract::services::{Count, Family, Meter, StoreError, Tasks};

use crate::cache::disk::format::sum;
use crate::cache::disk::heard::Heard;
use crate::cache::notice::{BYTES_MAX, Notice, VERSION, What};
use crate::cache::purge::{self, Target};
use crate::cache::zone::Zone;
use crate::config::model::CacheZoneConfig;
use crate::store::Stores;
use crate::store::redis::Redis;
use crate::store::redis::log::Position;
use changes::Changes;

/// How often a log is looked at.
const LOOK: Duration = Duration::from_millis(200);

static NOTICES: Family = Family {
    name: "gateway_cache_notices_total",
    help: "What a zone told other gateways or heard from them about answers to forget.",
    labels: &["zone", "result"],
};

/// This process among those that share a log.
static SELF: LazyLock<Box<str>> =
    LazyLock::new(|| format!("{:032x}", rand::random::<u128>()).into());

/// The zones of a snapshot that have a store.
#[derive(Default)]
pub struct Followers(Vec<Arc<Follower>>);

struct Follower {
    zone: &'static Zone,
    store: Arc<Redis>,
    log: String,
    /// Which log that is, for a directory that outlives us.
    log_sum: u32,
    changes: Changes,
    position: Mutex<Option<Position>>,
    is_following: AtomicBool,
    counts: Counts,
}

struct Counts {
    told: Count,
    untold: Count,
    applied: Count,
    malformed: Count,
    missed: Count,
    dropped: Count,
}

impl Followers {
    /// One for each zone with a store; those whose store did not change go on where they are.
    pub fn compile(
        zones: &[&'static Zone],
        configs: &[CacheZoneConfig],
        stores: &Stores,
        meter: &dyn Meter,
        previous: Option<&Self>,
    ) -> Self {
        let follower = |zone: &&'static Zone| {
            let config = configs.iter().find(|config| config.name == zone.name)?;
            let store = stores.get(config.store.as_ref()?)?;
            let before = previous.and_then(|previous| {
                previous
                    .0
                    .iter()
                    .find(|old| std::ptr::eq(old.zone, *zone) && Arc::ptr_eq(&old.store, store))
            });
            Some(before.map_or_else(|| Arc::new(Follower::new(zone, store, meter)), Arc::clone))
        };
        Self(zones.iter().filter_map(follower).collect())
    }

    /// Starts those that are new.
    pub fn activate(&self, tasks: &dyn Tasks) {
        for follower in &self.0 {
            if !follower.is_following.swap(true, Ordering::Relaxed) {
                tasks.spawn(Box::pin(follow(Arc::downgrade(follower))));
            }
        }
    }

    /// Whether anybody is told anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells all others what was forgotten here; the names of zones whose store did not take it.
    pub async fn tell(&self, target: &Target, soft: bool) -> Vec<Arc<str>> {
        let target = target.clone();
        let notice = encoded(What::Purged { target, soft });
        let mut untold = Vec::new();
        for follower in &self.0 {
            if follower.tell(&notice).await.is_err() {
                untold.push(follower.zone.name.clone());
            }
        }
        untold
    }

    /// Has all others told, soon, that a request has changed what is at a URL.
    pub fn changed(&self, url: &str, query: Option<&str>) {
        for follower in &self.0 {
            if !follower.changes.add(purge::joined(url, query).into()) {
                follower.dropped(1);
            }
        }
    }

    /// Tells what waits to be told; before the end.
    pub async fn tell_changes(&self) {
        for follower in &self.0 {
            follower.tell_changes().await;
        }
    }
}

fn encoded(what: What) -> Vec<u8> {
    let from = SELF.clone();
    Notice { from, what }.encode()
}

impl Follower {
    fn new(zone: &'static Zone, store: &Arc<Redis>, meter: &dyn Meter) -> Self {
        let count = |result: &str| meter.counter(&NOTICES, &[&zone.name, result]);
        let log = format!("gateway:cache:{VERSION}:{}", zone.name);
        let config = &store.settings().config;
        let log_is = format!("{:?} {} {log}", config.nodes, config.database);
        Self {
            zone,
            store: store.clone(),
            log,
            log_sum: sum(log_is.as_bytes()),
            changes: Changes::default(),
            position: Mutex::new(None),
            is_following: AtomicBool::new(false),
            counts: Counts {
                told: count("told"),
                untold: count("untold"),
                applied: count("applied"),
                malformed: count("malformed"),
                missed: count("missed"),
                dropped: count("dropped"),
            },
        }
    }

    async fn tell(&self, notice: &[u8]) -> Result<(), StoreError> {
        let told = self.store.append(&self.log, notice).await;
        match &told {
            Ok(()) => self.counts.told.add_one(),
            Err(_) => self.counts.untold.add_one(),
        }
        told
    }

    /// Tells what requests have changed. What the store does not take is told with the next look.
    async fn tell_changes(&self) {
        loop {
            let batch = self.changes.take();
            if batch.is_empty() {
                return;
            }
            let count = batch.len();
            let notice = encoded(What::Changed(batch.clone()));
            if notice.len() > BYTES_MAX {
                self.dropped(count);
            } else if self.store.append(&self.log, &notice).await.is_err() {
                return self.dropped(self.changes.give_back(batch));
            } else {
                self.counts.told.add_one();
            }
        }
    }

    /// Others are not going to hear of so many changes.
    fn dropped(&self, count: usize) {
        for _ in 0..count {
            self.counts.dropped.add_one();
        }
    }

    /// Reads to the end of the log; an error is tried again with the next look.
    async fn catch_up(&self) -> Result<(), StoreError> {
        // A directory that another process uses is as good as that process knows; it says so when we get it.
        let mut disk = self.zone.disk();
        let has_another = disk.take_if(|disk| !disk.is_ours()).is_some();
        if let Some(place) = disk.as_ref().and_then(|disk| disk.left_off(self.log_sum)) {
            *self.position.lock() = place.and_then(|place| Position::read(&place));
        }
        loop {
            let from = self.position.lock().clone();
            let page = self.store.read_on(&self.log, from.as_ref()).await?;
            let place = page.position.bytes().to_vec();
            *self.position.lock() = Some(page.position);
            if page.gap {
                self.lost_the_thread(!has_another);
            }
            for entry in page.entries.iter().filter(|entry| !entry.is_empty()) {
                self.hear(entry);
            }
            if page.more {
                continue;
            }
            if let Some(disk) = disk {
                let log = self.log_sum;
                disk.heard(&Heard { log, place });
            }
            return Ok(());
        }
    }

    fn lost_the_thread(&self, with_files: bool) {
        let stale = purge::expire_all(self.zone, with_files);
        if stale > 0 {
            self.counts.missed.add_one();
            let zone = &self.zone.name;
            tracing::warn!(%zone, stale, "Purges may have been missed; kept answers are stale now");
        }
    }

    fn hear(&self, entry: &[u8]) {
        match Notice::decode(entry) {
            None => {
                self.counts.malformed.add_one();
                let zone = &self.zone.name;
                tracing::warn!(%zone, "The log of purges holds what is no purge");
            }
            Some(notice) if notice.from == *SELF => {}
            Some(notice) => {
                self.counts.applied.add_one();
                self.apply(notice.what);
            }
        }
    }

    fn apply(&self, what: What) {
        let zone = &self.zone.name;
        match what {
            What::Purged { target, soft } => {
                let count = purge::purge_in(self.zone, &target, soft);
                tracing::info!(%zone, ?target, count, "Purged elsewhere");
            }
            What::Changed(urls) => {
                tracing::debug!(%zone, count = urls.len(), "Changed elsewhere");
                for url in &urls {
                    let (url, query) = match url.split_once('?') {
                        Some((url, query)) => (url, Some(query)),
                        None => (&**url, None),
                    };
                    purge::changed(&[self.zone], url, query);
                }
            }
        }
    }
}

/// Follows a log as long as somebody has the follower.
async fn follow(follower: Weak<Follower>) {
    while let Some(follower) = follower.upgrade() {
        follower.tell_changes().await;
        if let Err(error) = follower.catch_up().await {
            // A store that is down says so itself.
            tracing::debug!(zone = %follower.zone.name, %error, "The log of purges was not read");
        }
        drop(follower);
        tokio::time::sleep(LOOK).await;
    }
}
