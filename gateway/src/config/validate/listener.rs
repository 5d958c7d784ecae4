//! `[listener.NAME]`

use std::collections::BTreeMap;
use std::sync::Arc;

use plugins::contract::place::{At, Span};
use plugins::contract::report::Report;

use super::{Context, bounds, plain, tls};
use crate::config::model::{H2Config, ListenerConfig};
use crate::config::raw::{Either, RawH2, RawListener, RawRedirectHttps, RawTolerance};
use crate::routing::path::{PathPolicy, Tolerance};

/// The port of `https`.
const HTTPS: u16 = 443;

pub(super) fn all(
    raw: BTreeMap<String, At<RawListener>>,
    context: &mut Context<'_>,
) -> Vec<ListenerConfig> {
    if raw.is_empty() && !context.damage.any("listener") {
        context
            .report
            .error_nowhere("listener.none", "there is no listener")
            .help("add [listener.public] with address = \"0.0.0.0:8080\"");
    }
    raw.into_iter()
        .map(|(name, table)| {
            let span = table.span();
            listener(&name, span, table.into_inner(), context)
        })
        .collect()
}

fn listener(name: &str, span: Span, raw: RawListener, context: &mut Context<'_>) -> ListenerConfig {
    let report = &mut *context.report;
    let header_bytes_max = bounds::HEADER_BYTES.bytes(raw.header_bytes_max.as_ref(), report);
    let uri_max = bounds::URI.bytes(raw.uri_max.as_ref(), report);
    if let Some(written) = raw.uri_max.as_ref().filter(|_| uri_max > header_bytes_max) {
        report
            .error(
                written.span(),
                "listener.uri-max",
                "`uri-max` is larger than the whole head may be",
            )
            .help(format!(
                "`header-bytes-max` is {header_bytes_max} bytes: raise it, or lower `uri-max`"
            ));
    }
    let networks = raw.trusted_proxies.map(At::into_inner).unwrap_or_default();
    for network in networks.iter().filter(|one| one.net().prefix_len() == 0) {
        report
            .warn(
                network.span(),
                "listener.trusts-everybody",
                "everybody is a trusted proxy, so every client can claim any address",
            )
            .help("name the networks of your proxies");
    }
    if let Some(written) = raw.proxy_protocol.as_ref().filter(|one| ***one)
        && networks.is_empty()
    {
        report
            .error(
                written.span(),
                "listener.proxy-protocol",
                "nobody may connect: `proxy-protocol` is for trusted proxies, and there are none",
            )
            .help("add `trusted-proxies` with the networks of your proxies");
    }
    let redirect_https = redirect(raw.redirect_https, raw.tls.is_some(), report);
    let tls = raw.tls.and_then(|table| tls::tls(table, context));
    let report = &mut *context.report;
    let h2 = h2(raw.h2.map(At::into_inner), report);
    ListenerConfig {
        name: Arc::from(name),
        span,
        address: raw.address.into_inner().0,
        tls,
        redirect_https,
        http2: plain(raw.http2.as_ref()).unwrap_or(true),
        trusted_proxies: networks.into_iter().map(At::into_inner).collect(),
        proxy_protocol: plain(raw.proxy_protocol.as_ref()).unwrap_or(false),
        connections_per_ip_max: bounds::IP_CONNECTIONS
            .count(raw.connections_per_ip_max.as_ref(), report),
        connections_max: bounds::LISTENER_CONNECTIONS.count(raw.connections_max.as_ref(), report),
        header_timeout: bounds::HEADER_TIMEOUT.duration(raw.header_timeout.as_ref(), report),
        body_timeout: bounds::BODY_TIMEOUT.duration(raw.body_timeout.as_ref(), report),
        body_rate_min: bounds::BODY_RATE
            .take(raw.body_rate_min.as_ref(), report)
            .bytes(),
        idle_timeout: bounds::IDLE_TIMEOUT.duration(raw.idle_timeout.as_ref(), report),
        header_bytes_max,
        headers_max: bounds::HEADERS.count(raw.headers_max.as_ref(), report),
        uri_max,
        path_policy: PathPolicy {
            encoded_slash: tolerance(raw.encoded_slash.as_ref()),
            path_params: tolerance(raw.path_params.as_ref()),
        },
        h2,
    }
}

fn h2(raw: Option<RawH2>, report: &mut Report) -> H2Config {
    let raw = raw.unwrap_or_default();
    H2Config {
        streams_max: bounds::H2_STREAMS.take(raw.streams_max.as_ref(), report),
        stream_window: bounds::H2_STREAM_WINDOW.bytes(raw.stream_window.as_ref(), report),
        connection_window: bounds::H2_CONNECTION_WINDOW
            .bytes(raw.connection_window.as_ref(), report),
    }
}

fn redirect(
    written: Option<At<Either<bool, RawRedirectHttps>>>,
    has_tls: bool,
    report: &mut Report,
) -> Option<u16> {
    let written = written?;
    let span = written.span();
    let port = match written.into_inner() {
        Either::Short(false) => return None,
        Either::Short(true) => HTTPS,
        Either::Long(table) => table.port.map_or(HTTPS, At::into_inner),
    };
    if has_tls {
        report
            .error(
                span,
                "listener.redirect-https",
                "a listener with `tls` has nothing to redirect",
            )
            .help("put `redirect-https` on the plaintext listener");
    }
    Some(port)
}

fn tolerance(raw: Option<&At<RawTolerance>>) -> Tolerance {
    match plain(raw) {
        None | Some(RawTolerance::Refuse) => Tolerance::Refuse,
        Some(RawTolerance::Keep) => Tolerance::Keep,
    }
}
