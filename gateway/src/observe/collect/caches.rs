//! What is counted of caches.

use prometheus::proto::{Metric, MetricFamily, MetricType};

use super::super::cache::{CacheResult, REASONS, Waited};
use super::super::metrics::{Counter, Metrics, lock};
use super::Families;
use super::family::{counter, family, level};
use crate::cache::zone::{self, Census, Zone};

impl Families {
    pub(super) fn caches(&self) -> Vec<MetricFamily> {
        let mut all = routes(&self.metrics);
        all.extend(zones());
        all
    }
}

fn routes(metrics: &Metrics) -> Vec<MetricFamily> {
    let (mut results, mut reasons, mut waited, mut bytes) = (vec![], vec![], vec![], vec![]);
    for ((route, zone), handle) in &*lock(&metrics.caches) {
        let labels = [("route", &**route), ("zone", &**zone)];
        for (((_, result), count), by_reason) in CacheResult::ALL
            .iter()
            .zip(&handle.results)
            .zip(&handle.reasons)
        {
            let result = [labels[0], labels[1], ("result", result)];
            results.extend(some(&result, count));
            for (reason, count) in REASONS.iter().zip(by_reason) {
                let reason = [result[0], result[1], result[2], ("reason", reason)];
                reasons.extend(some(&reason, count));
            }
        }
        for ((_, how), count) in Waited::ALL.iter().zip(&handle.waited) {
            waited.extend(some(&[labels[0], labels[1], ("result", how)], count));
        }
        bytes.extend(some(&labels, &handle.given_bytes));
    }
    let counters = |name, help, samples| family(name, help, MetricType::COUNTER, samples);
    vec![
        counters(
            "gateway_cache_total",
            "Requests on routes that keep answers, by what the cache did.",
            results,
        ),
        counters(
            "gateway_cache_reasons_total",
            "Why the cache was left out, an answer not given or not kept, or a stale one given.",
            reasons,
        ),
        counters(
            "gateway_cache_coalesced_total",
            "Requests that waited for another to fetch what both want, by what came of it.",
            waited,
        ),
        counters(
            "gateway_cache_given_bytes_total",
            "Content that was given from kept answers.",
            bytes,
        ),
    ]
}

fn some(labels: &[(&str, &str)], count: &Counter) -> Option<Metric> {
    (count.read() > 0).then(|| counter(labels, count.read()))
}

/// What a zone says of itself.
type Read = fn(&Census) -> u64;

/// Makes a sample of a number.
type Sample = fn(&[(&str, &str)], u64) -> Metric;

static LEVELS: [(&str, &str, Read); 3] = [
    (
        "gateway_cache_bytes",
        "Memory in use for kept answers.",
        |census| whole(census.bytes),
    ),
    (
        "gateway_cache_limit_bytes",
        "Memory that kept answers may use.",
        |census| whole(census.limit),
    ),
    ("gateway_cache_entries", "Kept answers.", |census| {
        whole(census.entries)
    }),
];

static COUNTS: [(&str, &str, Read); 4] = [
    (
        "gateway_cache_stored_total",
        "Answers that were put in, confirmed ones again.",
        |census| census.stored,
    ),
    (
        "gateway_cache_evictions_total",
        "Kept answers that had to go for others.",
        |census| census.evictions,
    ),
    (
        "gateway_cache_purged_total",
        "Kept answers that an operator took out or marked stale.",
        |census| census.purged,
    ),
    (
        "gateway_cache_changed_total",
        "Kept answers that went because a request changed what they are about.",
        |census| census.changed,
    ),
];

fn zones() -> impl Iterator<Item = MetricFamily> {
    let zones: Vec<(&Zone, Census)> = zone::zones()
        .into_iter()
        .map(|zone| (zone, zone.census()))
        .collect();
    let each = move |read: Read, sample: Sample| {
        let sample =
            |(zone, census): &(&Zone, Census)| sample(&[("zone", &zone.name)], read(census));
        zones.iter().map(sample).collect::<Vec<_>>()
    };
    let levels = LEVELS
        .iter()
        .map(|row| (row, MetricType::GAUGE, level as Sample));
    let counts = COUNTS
        .iter()
        .map(|row| (row, MetricType::COUNTER, counter as Sample));
    levels
        .chain(counts)
        .map(move |(&(name, help, read), kind, sample)| {
            family(name, help, kind, each(read, sample))
        })
}

fn whole(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
