//! The zones of this process by name.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use super::Zone;

static ZONES: Mutex<BTreeMap<String, &'static Zone>> = Mutex::new(BTreeMap::new());

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

/// Gives zones the size they are to have and empties those that are not named.
pub fn keep_only(wanted: &[(&str, usize)]) {
    for zone in zones() {
        let size = wanted.iter().find(|(name, _)| *name == &*zone.name);
        zone.resize(size.map_or(0, |(_, size)| *size));
    }
}

/// All of them.
pub fn zones() -> Vec<&'static Zone> {
    ZONES.lock().values().copied().collect()
}
