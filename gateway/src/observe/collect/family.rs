//! Numbers → families of metrics as the crate wants them.

use prometheus::proto::{Bucket, Counter as CounterProto, Gauge, Histogram as HistogramProto};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use super::super::histogram::{Histogram, Reading};

pub(super) fn status_label(status: Option<u16>) -> String {
    status.map_or_else(|| "other".to_owned(), |status| status.to_string())
}

pub(super) fn family(
    name: &str,
    help: &str,
    kind: MetricType,
    metrics: Vec<Metric>,
) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics);
    family
}

pub(super) fn pairs(labels: &[(&str, &str)]) -> Vec<LabelPair> {
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
pub(super) fn counter(labels: &[(&str, &str)], value: u64) -> Metric {
    let mut metric = Metric::from_label(pairs(labels));
    metric.set_counter(counter_of(value as f64));
    metric
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the text format knows only floats; 2^53 bytes is far away"
)]
pub(super) fn level(labels: &[(&str, &str)], value: u64) -> Metric {
    let mut metric = Metric::from_label(pairs(labels));
    let mut gauge = Gauge::default();
    gauge.set_value(value as f64);
    metric.set_gauge(gauge);
    metric
}

pub(super) fn counter_of(value: f64) -> CounterProto {
    let mut counter = CounterProto::default();
    counter.set_value(value);
    counter
}

/// `None` for a histogram without samples: ten thousand silent routes must not fill the page.
pub(super) fn histogram(labels: &[(&str, &str)], histogram: &Histogram) -> Option<Metric> {
    let reading = histogram.read();
    (reading.count > 0).then(|| {
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_histogram(histogram_of(&reading));
        metric
    })
}

pub(super) fn histogram_of(reading: &Reading) -> HistogramProto {
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
pub(super) fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
