//! `[server]`, `[admin]` and `[access-log]`.

use plugins::contract::place::At;

use super::{Context, bounds, plain};
use crate::config::leaf::{ListenAddress, LogEntry};
use crate::config::model::{
    AccessLogConfig, AccessLogPath, Address, AdminConfig, LimitKeys, LogFields, LogValue,
    ServerConfig,
};
use crate::config::raw::{RawAccessLog, RawAdmin, RawLimitKeys, RawServer};

pub(super) fn server(raw: Option<At<RawServer>>, context: &mut Context<'_>) -> ServerConfig {
    let raw = raw.map(At::into_inner).unwrap_or_default();
    let report = &mut *context.report;
    let workers = raw.workers.as_ref();
    ServerConfig {
        workers: workers.map(|workers| bounds::WORKERS.count(Some(workers), report)),
        shutdown_grace: bounds::SHUTDOWN_GRACE.duration(raw.shutdown_grace.as_ref(), report),
        connections_max: bounds::SERVER_CONNECTIONS.count(raw.connections_max.as_ref(), report),
        upstream_idle_max: bounds::UPSTREAM_IDLE_MAX.count(raw.upstream_idle_max.as_ref(), report),
        resolvers: raw
            .resolvers
            .map(At::into_inner)
            .unwrap_or_default()
            .into_iter()
            .map(|server| server.into_inner().0)
            .collect(),
        control_socket: raw.control_socket.map(|path| path.into_inner().0),
    }
}

pub(super) fn access_log(
    raw: Option<At<RawAccessLog>>,
    context: &mut Context<'_>,
) -> AccessLogConfig {
    let raw = raw.map(At::into_inner).unwrap_or_default();
    let fields = raw.fields.map(|entries| log_fields(entries, context));
    AccessLogConfig {
        path: raw
            .path
            .map_or(AccessLogPath::Stdout, |path| path.into_inner().0),
        sample: raw.sample.map_or(1.0, |share| share.fraction()),
        query: plain(raw.query.as_ref()).unwrap_or(false),
        fields: fields.unwrap_or_else(LogFields::all),
    }
}

fn log_fields(entries: At<Vec<At<LogEntry>>>, context: &mut Context<'_>) -> LogFields {
    let mut known = Vec::new();
    let mut values: Vec<LogValue> = Vec::new();
    let mut seen: Vec<LogEntry> = Vec::new();
    for entry in entries.into_inner() {
        let span = entry.span();
        let entry = entry.into_inner();
        if seen.contains(&entry) {
            let message = "the field is named twice";
            context.report.error(span, "config.value", message);
            continue;
        }
        seen.push(entry.clone());
        match entry {
            LogEntry::Known(field) => known.push(field),
            LogEntry::Value(name, value) => values.push(LogValue {
                key: format!(",{}:", serde_json::Value::from(&*name))
                    .into_bytes()
                    .into(),
                name,
                value,
            }),
        }
    }
    LogFields::only(known, values.into())
}

pub(super) fn admin(raw: Option<At<RawAdmin>>, context: &mut Context<'_>) -> Option<AdminConfig> {
    let raw = raw?;
    let span = raw.span();
    let raw = raw.into_inner();
    let tokens = raw.tokens.map(At::into_inner);
    let (read, write) = tokens.map_or((None, None), |tokens| (tokens.read, tokens.write));
    let open = read.is_none() && write.is_none() && !context.damage.any("admin");
    // Probes tell nothing and ask for no token.
    let guarded = [Some(&raw.address), raw.metrics.as_ref()];
    for address in guarded.into_iter().flatten().filter(|_| open) {
        if is_private(&address.0) {
            continue;
        }
        context
            .report
            .error(
                address.span(),
                "admin.open",
                "the admin listener would be open to everybody",
            )
            .label("not loopback, and there are no tokens")
            .help("add tokens = { read = \"env:NAME\", write = \"env:NAME\" }, or listen at 127.0.0.1");
    }
    let tls = raw.tls.and_then(|table| {
        let hsts = table.hsts.as_ref().map(At::span);
        if let Some(span) = hsts {
            context
                .report
                .error(
                    span,
                    "admin.hsts",
                    "browsers are not told to come back to [admin]",
                )
                .help("remove `hsts`");
        }
        super::tls::tls(table, context)
    });
    let address = |leaf: Option<At<ListenAddress>>| leaf.map(|leaf| leaf.into_inner().0);
    Some(AdminConfig {
        limit_keys: match raw.limit_keys.map(At::into_inner) {
            None | Some(RawLimitKeys::Plain) => LimitKeys::Plain,
            Some(RawLimitKeys::Hashed) => LimitKeys::Hashed,
        },
        address: raw.address.into_inner().0,
        span,
        read_token: read.map(|token| context.secret(token)),
        write_token: write.map(|token| context.secret(token)),
        probes: address(raw.probes),
        metrics: address(raw.metrics),
        tls,
    })
}

/// Whether only this machine reaches an address.
fn is_private(address: &Address) -> bool {
    match address {
        Address::Tcp(address) => address.ip().to_canonical().is_loopback(),
        Address::Unix(_) => true,
    }
}
