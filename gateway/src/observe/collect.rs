//! Writes the metrics in the text format of Prometheus.
//!
//! The crate's own vectors hash label values without a separator and merge series whose labels differ, so we use it for
//! gathering and encoding only.

mod caches;
mod disk;
mod family;
mod upstreams;

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::{Gauge, Metric, MetricFamily, MetricType};

use super::metrics::{Metrics, lock};
use family::{counter, counter_of, family, histogram, pairs, status_label};

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
        families.extend(disk::families());
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
        let help =
            "Access-log lines that were lost: the writer could not keep up, or could not write.";
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
