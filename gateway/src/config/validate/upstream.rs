//! `[upstream.NAME]`

pub(super) mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plugins::contract::place::{At, Span};
use plugins::contract::report::Report;
use plugins::contract::value::Value;

use super::{Context, bounds, health, plain};
use crate::config::leaf::{CookieName, HostChoice, HostPort};
use crate::config::model::{
    Balance, Config, FallbackConfig, Forwarded, HostPolicy, StickyCookie, TargetConfig, TargetHost,
    UpstreamConfig, UpstreamId, UpstreamTls,
};
use crate::config::raw::{
    Either, RawBalance, RawForwarded, RawStickyCookie, RawTarget, RawUpstream,
};

pub(super) fn all(
    raw: BTreeMap<String, At<RawUpstream>>,
    context: &mut Context<'_>,
) -> Vec<UpstreamConfig> {
    raw.into_iter()
        .map(|(name, table)| {
            let span = table.span();
            upstream(&name, span, table.into_inner(), context)
        })
        .collect()
}

fn upstream(name: &str, span: Span, raw: RawUpstream, context: &mut Context<'_>) -> UpstreamConfig {
    if raw.targets.is_empty() {
        context
            .report
            .error(
                raw.targets.span(),
                "upstream.no-targets",
                format!("[upstream.{name}] has no targets"),
            )
            .help("name at least one: targets = [\"10.0.0.1:9000\"]");
    }
    let tls = tls::tls(name, raw.tls, context);
    let protocol = tls::protocol(raw.protocol.as_ref(), tls.is_some(), context.report);
    let balance = balance(raw.balance.as_ref(), raw.hash_on, context);
    let sticky_cookie = raw.sticky_cookie.map(|leaf| sticky_cookie(leaf, context));
    let whole = !context.damage.has("upstream", name);
    let report = &mut *context.report;
    services(&raw.targets, tls.as_ref(), raw.host.as_ref(), report);
    let host = raw
        .host
        .map_or(HostPolicy::Client, |host| host.into_inner().0);
    let place = raw.targets.span();
    let targets = targets(raw.targets.into_inner(), report);
    if !targets.is_empty() && targets.iter().all(|target| target.backup) {
        report
            .error(
                place,
                "upstream.only-backups",
                format!("every target of [upstream.{name}] is a backup"),
            )
            .help("leave `backup` out where requests go first");
    }
    let slow_start = bounds::SLOW_START.duration(raw.slow_start.as_ref(), report);
    UpstreamConfig {
        name: Arc::from(name),
        span,
        tls,
        protocol,
        targets,
        balance,
        sticky_cookie,
        slow_start: Some(slow_start).filter(|time| !time.is_zero()),
        panic_threshold: raw.panic_threshold.map_or(0.0, |share| share.fraction()),
        connections_max: raw
            .connections_max
            .map(|max| bounds::UPSTREAM_REQUESTS.take(Some(&max), report)),
        connect_timeout: bounds::CONNECT_TIMEOUT.duration(raw.connect_timeout.as_ref(), report),
        read_timeout: bounds::READ_TIMEOUT.duration(raw.read_timeout.as_ref(), report),
        write_timeout: bounds::WRITE_TIMEOUT.duration(raw.write_timeout.as_ref(), report),
        idle_timeout: bounds::UPSTREAM_IDLE.duration(raw.idle_timeout.as_ref(), report),
        health: health::health(raw.health.as_ref(), &host, whole, report),
        outlier: health::outlier(raw.outlier.as_ref(), report),
        breaker: health::breaker(raw.breaker.as_ref(), report),
        host,
        resolve_every: bounds::RESOLVE_EVERY.duration(raw.resolve_every.as_ref(), report),
        forwarded: match plain(raw.forwarded.as_ref()) {
            None | Some(RawForwarded::Legacy) => Forwarded::Legacy,
            Some(RawForwarded::Ietf) => Forwarded::Ietf,
            Some(RawForwarded::Both) => Forwarded::Both,
            Some(RawForwarded::None) => Forwarded::None,
        },
    }
}

/// `balance` and `hash-on` belong together.
fn balance(
    raw: Option<&At<RawBalance>>,
    hash_on: Option<At<Value>>,
    context: &mut Context<'_>,
) -> Balance {
    let balance = match plain(raw) {
        None | Some(RawBalance::RoundRobin) => Balance::RoundRobin,
        Some(RawBalance::Random) => Balance::Random,
        Some(RawBalance::LeastRequest) => Balance::LeastRequest,
        Some(RawBalance::Ewma) => Balance::Ewma,
        Some(RawBalance::Hash) => return hash(raw, hash_on, context),
    };
    if let Some(value) = hash_on {
        context
            .report
            .error(
                value.span(),
                "upstream.hash-on",
                format!(
                    "`hash-on` says nothing to `balance = \"{}\"`",
                    balance.name()
                ),
            )
            .help("write balance = \"hash\", or remove `hash-on`");
    }
    balance
}

fn hash(
    raw: Option<&At<RawBalance>>,
    hash_on: Option<At<Value>>,
    context: &mut Context<'_>,
) -> Balance {
    if let Some(value) = hash_on {
        context.value(&value, &value.span(), None);
        return Balance::Hash(value.into_inner());
    }
    context
        .report
        .error(
            raw.map(At::span).unwrap_or_default(),
            "upstream.hash-on",
            "`balance = \"hash\"` needs `hash-on`",
        )
        .help("name the value that decides: hash-on = \"client.ip\" or \"header.x-tenant\"");
    Balance::Hash(Value::ClientIp)
}

fn sticky_cookie(
    leaf: At<Either<CookieName, RawStickyCookie>>,
    context: &mut Context<'_>,
) -> StickyCookie {
    let span = leaf.span();
    let (name, key, max_age) = match leaf.into_inner() {
        Either::Short(name) => (name, None, None),
        Either::Long(table) => (table.name.into_inner(), table.key, table.max_age),
    };
    StickyCookie {
        name: name.0.into(),
        key: key.map(|key| context.secret(key)),
        max_age: max_age.map(|age| bounds::COOKIE_AGE.duration(Some(&age), context.report)),
        span,
    }
}

/// A service has no host of its own that a certificate or a `Host` could name.
fn services(
    targets: &[At<Either<HostPort, RawTarget>>],
    tls: Option<&UpstreamTls>,
    host: Option<&At<HostChoice>>,
    report: &mut Report,
) {
    let is_service = |target: &&At<Either<HostPort, RawTarget>>| {
        let address = match &***target {
            Either::Short(address) => address,
            Either::Long(table) => &table.address,
        };
        matches!(address.host, TargetHost::Service { .. })
    };
    let Some(service) = targets.iter().find(is_service) else {
        return;
    };
    if tls.is_some_and(|tls| tls.server_name.is_none()) {
        let message = "TLS to a service needs the name that its certificates have";
        report
            .error(service.span(), "upstream.service", message)
            .help("add it: tls = { server-name = \"orders.internal\" }");
    }
    if let Some(host) = host.filter(|host| host.0 == HostPolicy::Target) {
        let message = "the targets of a service have no `Host` of their own";
        report
            .error(host.span(), "upstream.service", message)
            .related(service.span(), "the service")
            .help("write \"client\" or a host name");
    }
}

fn targets(raw: Vec<At<Either<HostPort, RawTarget>>>, report: &mut Report) -> Vec<TargetConfig> {
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    raw.into_iter()
        .map(|item| {
            let span = item.span();
            let (address, weight, backup) = match item.into_inner() {
                Either::Short(address) => (At::new(address, span.clone()), None, None),
                Either::Long(table) => (table.address, table.weight, table.backup),
            };
            let same = address.text.to_ascii_lowercase();
            if let Some(first) = seen.insert(same, address.span()) {
                report
                    .error(
                        address.span(),
                        "upstream.target-twice",
                        format!("the target `{}` is named twice", address.text),
                    )
                    .related(first, "first named here")
                    .help("remove one; `weight` gives a target a larger share");
            }
            let address = address.into_inner();
            TargetConfig {
                address: Arc::from(address.text),
                host: address.host,
                weight: bounds::WEIGHT.take(weight.as_ref(), report),
                backup: plain(backup.as_ref()).unwrap_or(false),
                span,
            }
        })
        .collect()
}

/// Warns about upstreams that no route names.
pub(super) fn warn_unused(config: &Config, report: &mut Report) {
    let mut used = BTreeSet::new();
    for route in &config.routes {
        used.extend(route.action.upstreams());
        used.extend(route.mirror);
        if let Some(FallbackConfig::Upstream(id)) = &route.fallback {
            used.insert(*id);
        }
    }
    for (index, upstream) in config.upstreams.iter().enumerate() {
        if !used.contains(&UpstreamId(index)) {
            report
                .warn(
                    upstream.span.clone(),
                    "upstream.unused",
                    format!("no route uses [upstream.{}]", upstream.name),
                )
                .help("name it in a route, or remove it");
        }
    }
}
