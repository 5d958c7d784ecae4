//! Addresses against each other: nothing is bound twice, and no upstream is the admin listener.

use std::net::{IpAddr, SocketAddr};

use plugins::contract::place::Span;

use super::Context;
use crate::config::model::{Address, AdminConfig, ListenerConfig, TargetHost, UpstreamConfig};

pub(super) fn check(
    listeners: &[ListenerConfig],
    upstreams: &[UpstreamConfig],
    admin: Option<&AdminConfig>,
    context: &mut Context<'_>,
) {
    let listening = listeners
        .iter()
        .map(|one| (format!("[listener.{}]", one.name), &one.address, &one.span));
    let mut all: Vec<(String, &Address, &Span)> = listening.collect();
    if let Some(admin) = admin {
        let mut add = |what: &str, address| all.push((what.to_owned(), address, &admin.span));
        add("[admin]", &admin.address);
        if let Some(address) = &admin.probes {
            add("`probes` of [admin]", address);
        }
        if let Some(address) = &admin.metrics {
            add("`metrics` of [admin]", address);
        }
    }
    // The one written later is the one that was added.
    all.sort_by_key(|(_, _, span)| span.start);
    for (index, (what, address, span)) in all.iter().enumerate() {
        let clash = all
            .iter()
            .take(index)
            .find(|(_, other, _)| overlap(address, other));
        if let Some((other, _, first)) = clash {
            let complaint = context.report.error(
                (*span).clone(),
                "config.address-twice",
                format!("{what} and {other} listen at the same address"),
            );
            complaint.label(format!("{address}"));
            if first != span {
                complaint.related((*first).clone(), "the first is here");
            }
            complaint.help("give one of them another port");
        }
    }
    if let Some(admin) = admin {
        loops(upstreams, admin, context);
    }
}

/// Whether two sockets cannot be open at once. Port 0 is a new one each time.
fn overlap(a: &Address, b: &Address) -> bool {
    match (a, b) {
        (Address::Tcp(a), Address::Tcp(b)) => {
            let same_ip = a.ip() == b.ip()
                || (a.is_ipv4() == b.is_ipv4()
                    && (a.ip().is_unspecified() || b.ip().is_unspecified()));
            a.port() == b.port() && a.port() != 0 && same_ip
        }
        (Address::Unix(a), Address::Unix(b)) => a == b,
        (Address::Tcp(_), Address::Unix(_)) | (Address::Unix(_), Address::Tcp(_)) => false,
    }
}

/// Refuses targets that are the admin listener: requests through the gateway would come from loopback.
fn loops(upstreams: &[UpstreamConfig], admin: &AdminConfig, context: &mut Context<'_>) {
    let addresses = [
        Some(&admin.address),
        admin.probes.as_ref(),
        admin.metrics.as_ref(),
    ];
    for address in addresses.into_iter().flatten() {
        let Address::Tcp(address) = address else {
            continue;
        };
        for target in upstreams.iter().flat_map(|upstream| &upstream.targets) {
            if reaches(&target.host, address) {
                context
                    .report
                    .error(
                        target.span.clone(),
                        "upstream.admin",
                        format!("the target `{}` is the admin listener", target.address),
                    )
                    .related(admin.span.clone(), format!("listens at {address}"))
                    .help("the admin listener is never reached through the gateway");
            }
        }
    }
}

fn reaches(target: &TargetHost, address: &SocketAddr) -> bool {
    let here = address.ip().is_unspecified() || address.ip().is_loopback();
    match target {
        TargetHost::Address(target) => {
            let ip = target.ip().to_canonical();
            let same = ip == address.ip() || (here && is_here(ip, address));
            target.port() == address.port() && same
        }
        TargetHost::Name { name, port } => {
            let local = name == "localhost" || name.ends_with(".localhost");
            *port == address.port() && local && here
        }
        TargetHost::Service { .. } => false,
    }
}

/// Whether an address of this machine leads to a socket that listens here.
fn is_here(target: IpAddr, listening: &SocketAddr) -> bool {
    target.is_unspecified() || (target.is_loopback() && listening.ip().is_unspecified())
}
