//! `health`, `outlier` and `breaker` of `[upstream.NAME]`

use http::{HeaderName, HeaderValue};
use plugins::contract::place::{At, Span};
use plugins::contract::report::Report;

use super::{bounds, respond};
use crate::config::model::{
    BreakerConfig, CheckConfig, HealthConfig, HostPolicy, HttpCheckConfig, OutlierConfig,
};
use crate::config::raw::{RawBreaker, RawHealth, RawOutlier};

/// `host`: what the upstream says of its `Host`. `whole`: whether the table is as it was written.
pub(super) fn health(
    raw: Option<&At<RawHealth>>,
    host: &HostPolicy,
    whole: bool,
    report: &mut Report,
) -> Option<HealthConfig> {
    let raw = raw?;
    let every = bounds::CHECK_EVERY.duration(raw.every.as_ref(), report);
    Some(HealthConfig {
        check: check(raw, host, whole, report)?,
        every,
        timeout: match &raw.timeout {
            None => bounds::CHECK_TIMEOUT.duration(None, report).min(every),
            Some(written) => {
                let timeout = bounds::CHECK_TIMEOUT.duration(Some(written), report);
                if timeout > every {
                    let message = "a check may not take longer than the time between checks";
                    report
                        .error(written.span(), "upstream.health-timeout", message)
                        .help("make `timeout` shorter or `every` longer");
                }
                timeout
            }
        },
        healthy_after: bounds::HEALTHY_AFTER.take(raw.healthy_after.as_ref(), report),
        unhealthy_after: bounds::UNHEALTHY_AFTER.take(raw.unhealthy_after.as_ref(), report),
    })
}

fn check(
    raw: &At<RawHealth>,
    host: &HostPolicy,
    whole: bool,
    report: &mut Report,
) -> Option<CheckConfig> {
    let headers = headers(raw, report);
    let host = self::host(raw, host, report);
    match (&raw.path, &raw.tcp, &raw.grpc) {
        (Some(path), None, None) => Some(CheckConfig::Http(HttpCheckConfig {
            path: path.0.clone(),
            status: match &raw.status {
                None => vec![200..=299],
                Some(ranges) => ranges.iter().map(|range| range.0.clone()).collect(),
            },
            host,
            headers: headers?,
            body: raw.body.as_deref().cloned(),
        })),
        (None, Some(tcp), None) => {
            if !**tcp {
                let complaint = report.error(tcp.span(), "upstream.health-tcp", "`tcp` is `true`");
                complaint.help("remove `health` to check nothing");
            }
            foreign(raw, "tcp", report);
            Some(CheckConfig::Tcp)
        }
        (None, None, Some(service)) => {
            foreign(raw, "grpc", report);
            Some(CheckConfig::Grpc {
                service: String::clone(service),
                host,
                headers: headers?,
            })
        }
        // The one that is missing may have been a mistake of its own.
        (None, None, None) if !whole => None,
        _ => {
            let message = "a check needs exactly one of `path`, `tcp` and `grpc`";
            report
                .error(raw.span(), "upstream.health-kind", message)
                .help("write for example health = { path = \"/healthz\" }");
            None
        }
    }
}

/// Complains of keys that have no meaning for a kind of check.
fn foreign(raw: &RawHealth, kind: &str, report: &mut Report) {
    let header = raw.headers.iter().flatten().next();
    let asks = kind == "grpc";
    let keys: [(&str, Option<Span>); 4] = [
        ("status", raw.status.as_ref().map(At::span)),
        ("body", raw.body.as_ref().map(At::span)),
        ("host", raw.host.as_ref().filter(|_| !asks).map(At::span)),
        (
            "headers",
            header.filter(|_| !asks).map(|(_, value)| value.span()),
        ),
    ];
    for (key, span) in keys {
        if let Some(span) = span {
            let message = format!("`{key}` means nothing to a `{kind}` check");
            let complaint = report.error(span, "upstream.health-key", message);
            complaint.help(format!("remove `{key}`, or check a `path`"));
        }
    }
}

fn host(raw: &RawHealth, upstream: &HostPolicy, report: &mut Report) -> HostPolicy {
    let Some(written) = &raw.host else {
        return upstream.clone();
    };
    if written.0 == HostPolicy::Client {
        let message = "a check has no client whose host it could take";
        let complaint = report.error(written.span(), "upstream.health-host", message);
        complaint.help("write \"target\" or a host name");
    }
    written.0.clone()
}

fn headers(raw: &RawHealth, report: &mut Report) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let mut fields = Vec::new();
    let mut sound = true;
    for (name, value) in raw.headers.iter().flatten() {
        match respond::field(name, value, "upstream.health-header", report) {
            Some((name, _)) if name == http::header::HOST => {
                let message = "`host` is a key of its own";
                let complaint = report.error(value.span(), "upstream.health-header", message);
                complaint.help("write host = \"…\" beside `headers`");
                sound = false;
            }
            Some(field) => fields.push(field),
            None => sound = false,
        }
    }
    sound.then_some(fields)
}

pub(super) fn outlier(raw: Option<&At<RawOutlier>>, report: &mut Report) -> Option<OutlierConfig> {
    let raw = raw?;
    Some(OutlierConfig {
        consecutive_failures: bounds::CONSECUTIVE_FAILURES
            .take(raw.consecutive_failures.as_ref(), report),
        failure_rate: raw
            .failure_rate
            .as_ref()
            .map(|written| bounds::FAILURE_RATE.take(Some(written), report)),
        ejection_time: bounds::EJECTION_TIME.duration(raw.ejection_time.as_ref(), report),
        ejected_max: bounds::EJECTED_MAX.take(raw.ejected_max.as_ref(), report),
    })
}

pub(super) fn breaker(raw: Option<&At<RawBreaker>>, report: &mut Report) -> Option<BreakerConfig> {
    let raw = raw?;
    Some(BreakerConfig {
        failure_rate: bounds::FAILURE_RATE.take(raw.failure_rate.as_ref(), report),
        requests_min: bounds::REQUESTS_MIN.take(raw.requests_min.as_ref(), report),
        window: bounds::BREAKER_WINDOW.duration(raw.window.as_ref(), report),
        open_for: bounds::OPEN_FOR.duration(raw.open_for.as_ref(), report),
    })
}
