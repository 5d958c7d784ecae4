//! What is counted of caches.

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::super::metrics::lock;
use super::Families;
use super::family::{counter, family, level};
use crate::cache::zone::{self, Census, Zone};

impl Families {
    pub(super) fn caches(&self) -> [MetricFamily; 4] {
        let mut results = Vec::new();
        for (route, handle) in &*lock(&self.metrics.caches) {
            for (count, (_, result)) in handle.read_pairs().filter(|(count, _)| count.read() > 0) {
                results.push(counter(
                    &[("route", route), ("result", result)],
                    count.read(),
                ));
            }
        }
        let zones = zone::zones();
        let each = |read: fn(&Census) -> u64, sample: fn(&[(&str, &str)], u64) -> Metric| {
            let sample = |zone: &&Zone| sample(&[("zone", &zone.name)], read(&zone.census()));
            zones.iter().map(sample).collect::<Vec<_>>()
        };
        let bytes = each(
            |census| u64::try_from(census.bytes).unwrap_or(u64::MAX),
            level,
        );
        let entries = each(
            |census| u64::try_from(census.entries).unwrap_or(u64::MAX),
            level,
        );
        let evictions = each(|census| census.evictions, counter);
        [
            family(
                "gateway_cache_total",
                "Requests on routes that keep answers, by what the cache did.",
                MetricType::COUNTER,
                results,
            ),
            family(
                "gateway_cache_bytes",
                "Memory in use for kept answers.",
                MetricType::GAUGE,
                bytes,
            ),
            family(
                "gateway_cache_entries",
                "Kept answers.",
                MetricType::GAUGE,
                entries,
            ),
            family(
                "gateway_cache_evictions_total",
                "Kept answers that had to go for others.",
                MetricType::COUNTER,
                evictions,
            ),
        ]
    }
}
