//! `[overload]`

use plugins::contract::mode::Mode;
use plugins::contract::place::At;
use plugins::contract::report::Report;

use super::{Context, bounds};
use crate::config::model::{OverloadConfig, ServerConfig};
use crate::config::raw::RawOverload;

pub(super) fn overload(
    raw: Option<At<RawOverload>>,
    server: &ServerConfig,
    context: &mut Context<'_>,
) -> Option<OverloadConfig> {
    let raw = raw?;
    let table = raw.span();
    let raw = raw.into_inner();
    let whole = !context.damage.any("overload");
    let report = &mut *context.report;
    if raw.lag.is_none() && raw.memory.is_none() && raw.connections.is_none() && whole {
        report
            .error(
                table,
                "overload.nothing",
                "[overload] says nothing that could be too much",
            )
            .help("write for example lag = \"100ms\", or memory = \"2GiB\"");
    }
    let (lag, memory) = (raw.lag.as_ref(), raw.memory.as_ref());
    Some(OverloadConfig {
        lag: lag.map(|lag| bounds::OVERLOAD_LAG.duration(Some(lag), report)),
        memory: memory.map(|memory| bounds::OVERLOAD_MEMORY.take(Some(memory), report).bytes()),
        connections: raw
            .connections
            .map(|connections| self::connections(&connections, server, report)),
        plans: raw
            .plans
            .map_or_else(Vec::new, |named| plans(named, report)),
        shed_status: shed_status(raw.shed_status.as_ref(), report),
        retry_after: bounds::OVERLOAD_RETRY_AFTER.duration(raw.retry_after.as_ref(), report),
        mode: Mode::open_ended(raw.mode),
    })
}

/// Beyond what the server accepts at all nobody is answered.
fn connections(written: &At<u32>, server: &ServerConfig, report: &mut Report) -> usize {
    let connections = bounds::OVERLOAD_CONNECTIONS.count(Some(written), report);
    if connections >= server.connections_max {
        report
            .error(
                written.span(),
                "overload.connections",
                "so many connections are never open",
            )
            .label(format!(
                "[server] connections-max is {}",
                server.connections_max
            ))
            .help("write less here, or raise connections-max of [server]");
    }
    connections
}

fn plans(named: At<Vec<At<String>>>, report: &mut Report) -> Vec<String> {
    let span = named.span();
    let named = named.into_inner();
    if named.len() < 2 {
        report
            .error(span, "overload.plans", "an order needs two plans at least")
            .help("write plans = [\"free\", \"premium\"]: who goes first stands first");
    }
    let mut plans: Vec<String> = Vec::new();
    for plan in named {
        if plans.contains(&*plan) {
            report
                .error(plan.span(), "overload.plans", "this plan is there twice")
                .help("remove one of them");
        }
        plans.push(plan.into_inner());
    }
    plans
}

fn shed_status(written: Option<&At<u32>>, report: &mut Report) -> u16 {
    match written.map(|status| (**status, status.span())) {
        None | Some((503, _)) => 503,
        Some((429, _)) => 429,
        Some((_, span)) => {
            report
                .error(
                    span,
                    "overload.shed-status",
                    "who is turned away gets a 503 or a 429",
                )
                .help("write 503 or 429");
            503
        }
    }
}
