//! What zones have on disk, and what happened to it.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::proto::{MetricFamily, MetricType};

use super::family::{counter, family, level};
use crate::cache::disk::{Census, Counts};
use crate::cache::zone;

pub(super) fn families() -> Vec<MetricFamily> {
    let zones = zone::zones();
    let disks: Vec<_> = zones
        .iter()
        .filter_map(|zone| Some((&*zone.name, zone.disk()?)))
        .collect();
    let levels = |name, help, read: fn(&Census) -> u64| {
        let sample = disks
            .iter()
            .map(|(zone, disk)| level(&[("zone", zone)], read(&disk.census())));
        family(name, help, MetricType::GAUGE, sample.collect())
    };
    let counters = |name, help, read: fn(&Counts) -> &AtomicU64| {
        let sample = disks.iter().map(|(zone, disk)| {
            let count = read(&disk.counts).load(Ordering::Relaxed);
            counter(&[("zone", zone)], count)
        });
        family(name, help, MetricType::COUNTER, sample.collect())
    };
    let failures = disks.iter().flat_map(|(zone, disk)| {
        let counts = &disk.counts;
        [
            ("read", &counts.read_failed),
            ("refused", &counts.refused),
            ("torn", &counts.torn),
            ("write", &counts.write_failed),
        ]
        .map(|(kind, count)| {
            let labels = [("zone", *zone), ("kind", kind)];
            counter(&labels, count.load(Ordering::Relaxed))
        })
    });
    vec![
        levels(
            "gateway_cache_disk_bytes",
            "Disk in use for kept answers; each file is rounded up to 4 KiB.",
            |census| census.bytes,
        ),
        levels(
            "gateway_cache_disk_entries",
            "Kept answers on disk that are known.",
            |census| census.objects,
        ),
        levels(
            "gateway_cache_disk_loaded",
            "Whether all answers that a start has found on disk are known (1).",
            |census| u64::from(census.loaded),
        ),
        counters(
            "gateway_cache_disk_hits_total",
            "Answers that were read from disk.",
            |counts| &counts.hits,
        ),
        counters(
            "gateway_cache_disk_evictions_total",
            "Kept answers on disk that had to go for others.",
            |counts| &counts.evictions,
        ),
        family(
            "gateway_cache_disk_failures_total",
            "Writes and reads that failed, answers that were not written (refused), files that were not what was written and are deleted (torn).",
            MetricType::COUNTER,
            failures.collect(),
        ),
    ]
}
