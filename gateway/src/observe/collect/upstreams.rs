//! What is counted of upstreams, their targets and the attempts at them.

use prometheus::proto::{MetricFamily, MetricType};

use super::super::metrics::lock;
use super::Families;
use super::family::{counter, family, histogram};
use crate::upstream::retry::Hindrance;

impl Families {
    pub(super) fn upstream_seconds(&self) -> MetricFamily {
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

    pub(super) fn attempts(&self) -> MetricFamily {
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

    pub(super) fn mirrors(&self) -> MetricFamily {
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

    pub(super) fn retries(&self) -> MetricFamily {
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

    pub(super) fn hedges(&self) -> MetricFamily {
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

    pub(super) fn targets(&self) -> [MetricFamily; 2] {
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

    pub(super) fn breakers(&self) -> [MetricFamily; 2] {
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
}
