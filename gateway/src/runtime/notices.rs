//! Zones that tell other gateways what is forgotten, and hear it from them.
//!
//! Each zone with a store follows a log there. Whoever has lost the thread, because the store was gone for too long or has
//! forgotten the log itself, marks all that it keeps stale: better asked once more than given wrongly.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use plugins::contract::services::{Count, Family, Meter, StoreError, Tasks};

use crate::cache::notice::{Notice, VERSION};
use crate::cache::purge::{self, Target};
use crate::cache::zone::Zone;
use crate::config::model::CacheZoneConfig;
use crate::store::Stores;
use crate::store::redis::Redis;
use crate::store::redis::log::Position;

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
        let notice = Notice {
            from: SELF.clone(),
            target: target.clone(),
            soft,
        };
        let notice = notice.encode();
        let mut untold = Vec::new();
        for follower in &self.0 {
            if follower.tell(&notice).await.is_err() {
                untold.push(follower.zone.name.clone());
            }
        }
        untold
    }
}

impl Follower {
    fn new(zone: &'static Zone, store: &Arc<Redis>, meter: &dyn Meter) -> Self {
        let count = |result: &str| meter.counter(&NOTICES, &[&zone.name, result]);
        Self {
            zone,
            store: store.clone(),
            log: format!("gateway:cache:{VERSION}:{}", zone.name),
            position: Mutex::new(None),
            is_following: AtomicBool::new(false),
            counts: Counts {
                told: count("told"),
                untold: count("untold"),
                applied: count("applied"),
                malformed: count("malformed"),
                missed: count("missed"),
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

    /// Reads to the end of the log; an error is tried again with the next look.
    async fn catch_up(&self) -> Result<(), StoreError> {
        loop {
            let from = self.position.lock().clone();
            let page = self.store.read_on(&self.log, from.as_ref()).await?;
            *self.position.lock() = Some(page.position);
            if page.gap {
                self.lost_the_thread();
            }
            for entry in page.entries.iter().filter(|entry| !entry.is_empty()) {
                self.hear(entry);
            }
            if !page.more {
                return Ok(());
            }
        }
    }

    fn lost_the_thread(&self) {
        let stale = purge::expire_all(self.zone);
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
                let count = purge::purge_in(self.zone, &notice.target, notice.soft);
                self.counts.applied.add_one();
                tracing::info!(zone = %self.zone.name, target = ?notice.target, count, "Purged elsewhere");
            }
        }
    }
}

/// Follows a log as long as somebody has the follower.
async fn follow(follower: Weak<Follower>) {
    while let Some(follower) = follower.upgrade() {
        if let Err(error) = follower.catch_up().await {
            // A store that is down says so itself.
            tracing::debug!(zone = %follower.zone.name, %error, "The log of purges was not read");
        }
        drop(follower);
        tokio::time::sleep(LOOK).await;
    }
}
