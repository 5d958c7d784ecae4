//! `[upstream.NAME]`

mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use plugins::contract::place::{At, Span};
use plugins::contract::report::Report;

use super::{Context, bounds, plain};
use crate::config::leaf::HostPort;
use crate::config::model::{
    Action, Balance, Config, Dispatch, Forwarded, HostPolicy, TargetConfig, UpstreamConfig,
    UpstreamId,
};
use crate::config::raw::{Either, RawBalance, RawForwarded, RawTarget, RawUpstream};

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
    let report = &mut *context.report;
    UpstreamConfig {
        name: Arc::from(name),
        span,
        targets: targets(raw.targets.into_inner(), report),
        balance: match plain(raw.balance.as_ref()) {
            None | Some(RawBalance::RoundRobin) => Balance::RoundRobin,
            Some(RawBalance::Random) => Balance::Random,
        },
        tls,
        protocol,
        connect_timeout: bounds::CONNECT_TIMEOUT.duration(raw.connect_timeout.as_ref(), report),
        read_timeout: bounds::READ_TIMEOUT.duration(raw.read_timeout.as_ref(), report),
        write_timeout: bounds::WRITE_TIMEOUT.duration(raw.write_timeout.as_ref(), report),
        idle_timeout: bounds::UPSTREAM_IDLE.duration(raw.idle_timeout.as_ref(), report),
        host: raw
            .host
            .map_or(HostPolicy::Client, |host| host.into_inner().0),
        resolve_every: bounds::RESOLVE_EVERY.duration(raw.resolve_every.as_ref(), report),
        forwarded: match plain(raw.forwarded.as_ref()) {
            None | Some(RawForwarded::Legacy) => Forwarded::Legacy,
            Some(RawForwarded::Ietf) => Forwarded::Ietf,
            Some(RawForwarded::Both) => Forwarded::Both,
            Some(RawForwarded::None) => Forwarded::None,
        },
    }
}

fn targets(raw: Vec<At<Either<HostPort, RawTarget>>>, report: &mut Report) -> Vec<TargetConfig> {
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    raw.into_iter()
        .map(|item| {
            let span = item.span();
            let (address, weight) = match item.into_inner() {
                Either::Short(address) => (At::new(address, span.clone()), None),
                Either::Long(table) => (table.address, table.weight),
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
                span,
            }
        })
        .collect()
}

/// Warns about upstreams that no route names.
pub(super) fn warn_unused(config: &Config, report: &mut Report) {
    let mut used = BTreeSet::new();
    for route in &config.routes {
        match &route.action {
            Action::Upstream(Dispatch::Always(id)) => drop(used.insert(*id)),
            Action::Upstream(Dispatch::By { map, otherwise, .. }) => {
                used.extend(map.values().chain(otherwise));
            }
            Action::Split(split) => used.extend(split.arms.iter().map(|(id, _)| *id)),
            Action::Redirect { .. } | Action::Respond(_) => {}
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
