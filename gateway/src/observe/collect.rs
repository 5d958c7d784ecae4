//! Writes the metrics in the text format of Prometheus.
//!
//! The crate's own vectors hash label values without a separator and merge series whose labels differ, so we use it for
//! gathering and encoding only.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Counter as CounterProto, Gauge, Histogram as HistogramProto};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::histogram::{Histogram, Reading};
use super::metrics::{Metrics, lock};
use crate::cache::zone::{self, Census, Zone};
use crate::upstream::retry::Hindrance;

/// A number that is read when somebody asks: labels and value.
pub type Sample = (Vec<(&'static str, String)>, f64);

/// A family of gauges or counters that is read when somebody asks.
pub struct Source {
    /// Name with prefix and unit.
    pub name: &'static str,
    /// One sentence.
    pub help: &'static str,
    /// Gauge or counter.
    pub kind: MetricType,
    /// Reads it.
    pub read: Box<dyn Fn() -> Vec<Sample> + Send + Sync>,
}

/// Gathers everything into the text of `/metrics`.
pub struct Exposition {
    registry: prometheus::Registry,
}

struct Families {
    metrics: Arc<Metrics>,
    sources: Vec<Source>,
    descriptions: Vec<Desc>,
}

impl Exposition {
    /// Metrics of the data path and further sources.
    pub fn new(metrics: Arc<Metrics>, sources: Vec<Source>) -> Result<Self, prometheus::Error> {
        let registry = prometheus::Registry::new();
        // The registry wants one description to tell collectors apart; the families carry their own.
        let name = "gateway_metrics".to_owned();
        let description = Desc::new(
            name,
            "All metrics".to_owned(),
            Vec::new(),
            std::collections::HashMap::new(),
        )?;
        registry.register(Box::new(Families {
            metrics,
            sources,
            descriptions: vec![description],
        }))?;
        Ok(Self { registry })
    }

    /// The text of `/metrics`.
    pub fn text(&self) -> String {
        prometheus::TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }
}

impl Collector for Families {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut families = self.routes();
        families.push(self.upstream_seconds());
        families.push(self.attempts());
        families.push(self.retries());
        families.push(self.hedges());
        families.extend(self.targets());
        families.extend(self.breakers());
        families.push(self.mirrors());
        families.extend(self.counted());
        families.extend(self.caches());
        families.push(self.reloads());
        families.push(self.lookups());
        families.push(self.dropped());
        families.extend(self.sources.iter().map(from_source));
        families.retain(|family| !family.get_metric().is_empty());
        families
    }
}

impl Families {
    fn routes(&self) -> Vec<MetricFamily> {
        let (mut requests, mut seconds, mut hops, mut refusals) = (vec![], vec![], vec![], vec![]);
        for (status, count) in self.metrics.unrouted.read() {
            requests.push(counter(
                &[("route", ""), ("status", &status_label(status))],
                count,
            ));
        }
        for (name, route) in &*lock(&self.metrics.routes) {
            for (status, count) in route.requests.read() {
                requests.push(counter(
                    &[("route", name), ("status", &status_label(status))],
                    count,
                ));
            }
            seconds.extend(histogram(&[("route", name)], &route.seconds));
            hops.extend(histogram(&[("route", name)], &route.hop));
            for kind in &route.refusals {
                let plugin = kind.refusal.code.split('.').next().unwrap_or_default();
                for (mode, count) in [
                    ("enforce", kind.enforced.read()),
                    ("shadow", kind.shadowed.read()),
                ] {
                    let labels = [
                        ("route", &**name),
                        ("plugin", plugin),
                        ("code", kind.refusal.code),
                        ("mode", mode),
                    ];
                    refusals.extend((count > 0).then(|| counter(&labels, count)));
                }
            }
        }
        vec![
            family(
                "gateway_requests_total",
                "Requests by route and status.",
                MetricType::COUNTER,
                requests,
            ),
            family(
                "gateway_request_seconds",
                "From the first byte of a request to the last of its answer.",
                MetricType::HISTOGRAM,
                seconds,
            ),
            family(
                "gateway_hop_seconds",
                "The gateway's own share of a request: without waiting for the upstream.",
                MetricType::HISTOGRAM,
                hops,
            ),
            family(
                "gateway_refusals_total",
                "Requests that a policy refused, or would have refused in shadow.",
                MetricType::COUNTER,
                refusals,
            ),
        ]
    }

    fn upstream_seconds(&self) -> MetricFamily {
        let handles = lock(&self.metrics.upstream_seconds);
        let samples = handles.iter().filter_map(|((route, upstream), handle)| {
            histogram(&[("route", route), ("upstream", upstream)], handle)
        });
        let help = "From picking a target to the last byte of its response.";
        family(
            "gateway_upstream_seconds",
            help,
            MetricType::HISTOGRAM,
            samples.collect(),
        )
    }

    fn attempts(&self) -> MetricFamily {
        let mut samples = Vec::new();
        for ((upstream, target), handle) in &*lock(&self.metrics.targets) {
            for (count, (_, result)) in handle.read_pairs().filter(|(count, _)| count.read() > 0) {
                let labels = [
                    ("upstream", &**upstream),
                    ("target", target),
                    ("result", result),
                ];
                samples.push(counter(&labels, count.read()));
            }
        }
        family(
            "gateway_upstream_attempts_total",
            "Attempts at targets by result.",
            MetricType::COUNTER,
            samples,
        )
    }

    fn mirrors(&self) -> MetricFamily {
        let mut samples = Vec::new();
        for (route, handle) in &*lock(&self.metrics.mirrors) {
            for (count, (_, result)) in handle.read_pairs().filter(|(count, _)| count.read() > 0) {
                samples.push(counter(
                    &[("route", route), ("result", result)],
                    count.read(),
                ));
            }
        }
        family(
            "gateway_mirror_total",
            "Copies of requests for a mirror by result.",
            MetricType::COUNTER,
            samples,
        )
    }

    /// What plugins count: the map is in the order of the names, so a family's samples stand together.
    fn counted(&self) -> Vec<MetricFamily> {
        let mut families: Vec<MetricFamily> = Vec::new();
        for ((name, values), (meant, count)) in &*lock(&self.metrics.counted) {
            let values = values.iter().map(AsRef::as_ref);
            let labels: Vec<_> = meant.labels.iter().copied().zip(values).collect();
            let sample = counter(&labels, count.read());
            match families.last_mut().filter(|last| last.name() == *name) {
                Some(last) => last.mut_metric().push(sample),
                None => families.push(family(name, meant.help, MetricType::COUNTER, vec![sample])),
            }
        }
        families
    }

    fn caches(&self) -> [MetricFamily; 4] {
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

    fn retries(&self) -> MetricFamily {
        let mut samples = Vec::new();
        for (upstream, handle) in &*lock(&self.metrics.retries) {
            let hindered = Hindrance::ALL.iter().zip(&handle.hindered);
            let results = hindered.map(|(hindrance, count)| (hindrance.name(), count));
            for (result, count) in results
                .chain([("made", &handle.made)])
                .filter(|(_, count)| count.read() > 0)
            {
                samples.push(counter(
                    &[("upstream", upstream), ("result", result)],
                    count.read(),
                ));
            }
        }
        family(
            "gateway_upstream_retries_total",
            "Failed attempts that a retry policy covers: repeated (made), or what hindered it.",
            MetricType::COUNTER,
            samples,
        )
    }

    fn hedges(&self) -> MetricFamily {
        let mut samples = Vec::new();
        for (upstream, handle) in &*lock(&self.metrics.retries) {
            for (result, count) in [("won", &handle.hedges_won), ("lost", &handle.hedges_lost)] {
                let labels = [("upstream", &**upstream), ("result", result)];
                samples.extend((count.read() > 0).then(|| counter(&labels, count.read())));
            }
        }
        family(
            "gateway_upstream_hedges_total",
            "Requests that a second target got as well: its answer was served (won) or not (lost).",
            MetricType::COUNTER,
            samples,
        )
    }

    fn targets(&self) -> [MetricFamily; 2] {
        let (mut checks, mut ejections) = (vec![], vec![]);
        for ((upstream, target), handle) in &*lock(&self.metrics.targets) {
            for (result, count) in [
                ("passed", &handle.checks_passed),
                ("failed", &handle.checks_failed),
            ] {
                let labels = [
                    ("upstream", &**upstream),
                    ("target", target),
                    ("result", result),
                ];
                checks.extend((count.read() > 0).then(|| counter(&labels, count.read())));
            }
            let labels = [("upstream", &**upstream), ("target", target)];
            let count = handle.ejections.read();
            ejections.extend((count > 0).then(|| counter(&labels, count)));
        }
        let kind = MetricType::COUNTER;
        let names = [
            "gateway_upstream_checks_total",
            "gateway_upstream_ejections_total",
        ];
        let helps = [
            "Health checks of targets by result.",
            "Times that a target was ejected because its requests failed.",
        ];
        [
            family(names[0], helps[0], kind, checks),
            family(names[1], helps[1], kind, ejections),
        ]
    }

    fn breakers(&self) -> [MetricFamily; 2] {
        let (mut opened, mut refused) = (vec![], vec![]);
        for (upstream, handle) in &*lock(&self.metrics.breakers) {
            opened.push(counter(&[("upstream", upstream)], handle.opened.read()));
            refused.push(counter(&[("upstream", upstream)], handle.refused.read()));
        }
        let kind = MetricType::COUNTER;
        let names = [
            "gateway_upstream_breaker_opened_total",
            "gateway_upstream_breaker_refused_total",
        ];
        let helps = [
            "Times that the breaker of an upstream opened.",
            "Attempts that the breaker of an upstream refused.",
        ];
        [
            family(names[0], helps[0], kind, opened),
            family(names[1], helps[1], kind, refused),
        ]
    }

    fn reloads(&self) -> MetricFamily {
        let results = [
            ("ok", &self.metrics.reloads_applied),
            ("failed", &self.metrics.reloads_refused),
        ];
        let samples = results
            .iter()
            .map(|(result, count)| counter(&[("result", result)], count.read()));
        let help = "Reloads of the configuration by result.";
        family(
            "gateway_config_reloads_total",
            help,
            MetricType::COUNTER,
            samples.collect(),
        )
    }

    fn lookups(&self) -> MetricFamily {
        let results = [
            ("found", &self.metrics.lookups_found),
            ("failed", &self.metrics.lookups_failed),
        ];
        let samples = results
            .iter()
            .map(|(result, count)| counter(&[("result", result)], count.read()));
        family(
            "gateway_lookups_total",
            "Names of targets that were looked up, by result.",
            MetricType::COUNTER,
            samples.collect(),
        )
    }

    fn dropped(&self) -> MetricFamily {
        let samples = vec![counter(&[], self.metrics.access_log_dropped.read())];
        let help = "Access-log lines dropped because the writer could not keep up.";
        family(
            "gateway_access_log_dropped_total",
            help,
            MetricType::COUNTER,
            samples,
        )
    }
}

fn from_source(source: &Source) -> MetricFamily {
    let metric = |(labels, value): Sample| {
        let labels: Vec<_> = labels
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let mut metric = Metric::from_label(pairs(&labels));
        if source.kind == MetricType::COUNTER {
            metric.set_counter(counter_of(value));
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
        metric
    };
    family(
        source.name,
        source.help,
        source.kind,
        (source.read)().into_iter().map(metric).collect(),
    )
}

fn status_label(status: Option<u16>) -> String {
    status.map_or_else(|| "other".to_owned(), |status| status.to_string())
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
    let pair = |(name, value): &(&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the text format knows only floats; 2^53 is far away"
)]
fn counter(labels: &[(&str, &str)], value: u64) -> Metric {
    let mut metric = Metric::from_label(pairs(labels));
    metric.set_counter(counter_of(value as f64));
    metric
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the text format knows only floats; 2^53 bytes is far away"
)]
fn level(labels: &[(&str, &str)], value: u64) -> Metric {
    let mut metric = Metric::from_label(pairs(labels));
    let mut gauge = Gauge::default();
    gauge.set_value(value as f64);
    metric.set_gauge(gauge);
    metric
}

fn counter_of(value: f64) -> CounterProto {
    let mut counter = CounterProto::default();
    counter.set_value(value);
    counter
}

/// `None` for a histogram without samples: ten thousand silent routes must not fill the page.
fn histogram(labels: &[(&str, &str)], histogram: &Histogram) -> Option<Metric> {
    let reading = histogram.read();
    (reading.count > 0).then(|| {
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_histogram(histogram_of(&reading));
        metric
    })
}

fn histogram_of(reading: &Reading) -> HistogramProto {
    let mut histogram = HistogramProto::default();
    let bucket = |(bound, count): &(u64, u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(seconds(*bound));
        bucket.set_cumulative_count(*count);
        bucket
    };
    histogram.set_bucket(reading.buckets.iter().map(bucket).collect());
    histogram.set_sample_count(reading.count);
    histogram.set_sample_sum(seconds(reading.sum));
    histogram
}

#[expect(
    clippy::cast_precision_loss,
    reason = "nanoseconds as seconds need no more than 53 bits"
)]
fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn keeps_series_apart_whose_labels_join_to_the_same_text() {
        let metrics = Arc::new(Metrics::default());
        let name = |text: &str| -> Arc<str> { text.into() };
        let one = metrics.upstream_seconds(&name("ab"), &name("c"));
        let two = metrics.upstream_seconds(&name("a"), &name("bc"));
        one.observe(Duration::from_millis(1));
        two.observe(Duration::from_millis(1));
        let text = Exposition::new(metrics.clone(), Vec::new()).unwrap().text();
        assert!(
            text.contains(r#"gateway_upstream_seconds_count{route="ab",upstream="c"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"gateway_upstream_seconds_count{route="a",upstream="bc"} 1"#),
            "{text}"
        );
    }

    #[test]
    fn escapes_nothing_away_and_counts_statuses() {
        let metrics = Arc::new(Metrics::default());
        let route = metrics.route(&"orders".into());
        route.finished(200, Duration::from_millis(3), Duration::from_micros(20));
        let text = Exposition::new(metrics.clone(), Vec::new()).unwrap().text();
        assert!(
            text.contains(r#"gateway_requests_total{route="orders",status="200"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"gateway_hop_seconds_bucket{route="orders",le="0.000025"} 1"#),
            "{text}"
        );
        assert!(
            text.contains(r#"gateway_config_reloads_total{result="ok"} 0"#),
            "{text}"
        );
    }
}
