//! The zones of this process by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Zone;
use crate::cache::disk::Disk;

static ZONES: Mutex<BTreeMap<String, &'static Zone>> = Mutex::new(BTreeMap::new());

/// What a zone is to be.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// How much memory it may use.
    pub memory: usize,
    /// Which directory it may use, and how much of it.
    pub disk: Option<(&'a Path, u64)>,
    /// Whether it hears from other gateways what they forget.
    pub follows: bool,
}

/// The zone of this name, made when it is named first. Pingora wants storage that lives for ever, so it is never freed.
pub fn obtain(name: &str, limit: usize) -> &'static Zone {
    let mut zones = ZONES.lock();
    if let Some(zone) = zones.get(name) {
        return zone;
    }
    let zone: &'static Zone = Box::leak(Box::new(Zone::new(name, limit)));
    zones.insert(name.to_owned(), zone);
    zone
}

/// Gives zones what they are to have and empties those that are not named; what these have on disk stays there.
pub fn keep_only(wanted: &[Wanted<'_>]) {
    for zone in zones() {
        let wanted = wanted.iter().find(|wanted| wanted.name == &*zone.name);
        let follows = wanted.is_some_and(|wanted| wanted.follows);
        zone.use_disk(wanted.and_then(|wanted| wanted.disk), follows);
        zone.resize(wanted.map_or(0, |wanted| wanted.memory));
    }
}

/// Uses no directory any more, so that another process may; those whose last files are still being written.
pub fn close_disks() -> Vec<Arc<Disk>> {
    let close = |zone: &'static Zone| {
        let disk = zone.disk()?;
        zone.leave_disk(&disk);
        Some(disk)
    };
    zones().into_iter().filter_map(close).collect()
}

/// All of them.
pub fn zones() -> Vec<&'static Zone> {
    ZONES.lock().values().copied().collect()
}
