//! Who answers for names: the hosts file, then DNS servers, asked by hickory.
//!
//! Nothing is remembered here: an answer says how long it holds, and whoever asked asks again when that is over.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, RecordType};
use tokio::time::timeout;

use super::balance::schedule;
use crate::config::model::TargetHost;
use crate::observe::metrics::Metrics;

/// Longest wait for one look-up, with all that it takes.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for one server.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);
/// A name with more addresses than this is used by its first ones.
const ADDRESSES_MAX: usize = 256;
/// The largest share of one record of a service: more would only make the round longer.
const SHARE_MAX: u32 = 16;

/// The resolver of the configuration that serves now.
pub struct Names {
    resolver: ArcSwapOption<TokioResolver>,
    metrics: Arc<Metrics>,
}

/// What a name stands for.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Addresses in the order in which they take turns; one with a larger share occurs more often.
    pub addresses: Vec<SocketAddr>,
    /// For how long this holds.
    pub holds: Duration,
}

/// Why a name stands for nothing.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// Nobody can be asked.
    #[error("no name server is known")]
    NobodyToAsk,
    /// Nobody answered.
    #[error("no answer within {} s", LOOKUP_TIMEOUT.as_secs())]
    TimedOut,
    /// The answer was no.
    #[error(transparent)]
    Refused(#[from] NetError),
    /// The name exists, and stands for nothing.
    #[error("it has no address")]
    Empty,
}

impl Names {
    /// Knows nobody to ask until it is configured.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            resolver: ArcSwapOption::empty(),
            metrics,
        }
    }

    /// Asks these servers from now on; none: those of the system. Reads the hosts file and the system's settings anew.
    pub fn configure(&self, servers: &[SocketAddr]) {
        match resolver(servers) {
            Ok(resolver) => self.resolver.store(Some(Arc::new(resolver))),
            // Whoever has no names needs no resolver; those who do are told at each look-up.
            Err(error) => tracing::warn!(%error, "Cannot read the system's settings for names"),
        }
    }

    /// Looks a target's name up.
    pub async fn look_up(&self, host: &TargetHost) -> Result<Found, LookupError> {
        let found = self.ask(host).await;
        match &found {
            Ok(_) => self.metrics.lookups_found.add_one(),
            Err(_) => self.metrics.lookups_failed.add_one(),
        }
        found
    }

    async fn ask(&self, host: &TargetHost) -> Result<Found, LookupError> {
        let resolver = self.resolver.load_full();
        let resolver = resolver.ok_or(LookupError::NobodyToAsk)?;
        let asked = async {
            match host {
                TargetHost::Address(address) => Ok(Found {
                    addresses: vec![*address],
                    holds: Duration::MAX,
                }),
                TargetHost::Name { name, port } => host_addresses(&resolver, name, *port).await,
                TargetHost::Service { name } => service_addresses(&resolver, name).await,
            }
        };
        timeout(LOOKUP_TIMEOUT, asked)
            .await
            .map_err(|_elapsed| LookupError::TimedOut)?
    }
}

fn resolver(servers: &[SocketAddr]) -> Result<TokioResolver, NetError> {
    let mut builder = if servers.is_empty() {
        TokioResolver::builder_tokio()?
    } else {
        let servers = servers.iter().copied().map(server).collect();
        let config = ResolverConfig::from_name_servers(servers);
        TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
    };
    set_up(builder.options_mut());
    builder.build()
}

fn set_up(options: &mut ResolverOpts) {
    // IPv6 where there is no IPv4: a container without IPv6 must not try every other request in vain.
    options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
    options.timeout = SERVER_TIMEOUT;
    options.attempts = 2;
    // We ask when an answer is over, or when the operator wants to know anew.
    options.cache_size = 0;
}

fn server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}

/// Sorted, so that an answer in another order is no change.
async fn host_addresses(
    resolver: &TokioResolver,
    name: &str,
    port: u16,
) -> Result<Found, LookupError> {
    let found = resolver.lookup_ip(name).await?;
    let mut addresses: Vec<IpAddr> = found.iter().collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses.truncate(ADDRESSES_MAX);
    if addresses.is_empty() {
        return Err(LookupError::Empty);
    }
    Ok(Found {
        addresses: addresses.into_iter().map(|ip| (ip, port).into()).collect(),
        holds: left(found.valid_until()),
    })
}

/// The records of the first priority of which some host has an address; those behind it are for when it has none.
async fn service_addresses(resolver: &TokioResolver, name: &str) -> Result<Found, LookupError> {
    let answer = resolver.lookup(name, RecordType::SRV).await?;
    let mut holds = left(answer.valid_until());
    let mut priorities: BTreeMap<u16, Vec<&SRV>> = BTreeMap::new();
    for record in answer.answers() {
        if let RData::SRV(service) = &record.data {
            priorities
                .entry(service.priority)
                .or_default()
                .push(service);
        }
    }
    for services in priorities.values_mut() {
        services.sort_by_key(|service| (service.target.to_string(), service.port));
        let mut shares = Vec::new();
        for service in services.iter() {
            let host = service.target.to_string();
            // A host that cannot be looked up leaves its share to the others.
            if let Ok(found) = host_addresses(resolver, &host, service.port).await {
                holds = holds.min(found.holds);
                let weight = u32::from(service.weight);
                shares.extend(found.addresses.into_iter().map(|address| (address, weight)));
            }
        }
        if !shares.is_empty() {
            let addresses = by_share(&shares);
            return Ok(Found { addresses, holds });
        }
    }
    Err(LookupError::Empty)
}

/// Addresses in turn, each as often as its weight says compared with the largest.
fn by_share(weighted: &[(SocketAddr, u32)]) -> Vec<SocketAddr> {
    let largest = weighted.iter().map(|(_, weight)| *weight).max();
    let largest = largest.unwrap_or_default().max(1);
    let share = |(_, weight): &(SocketAddr, u32)| {
        let scaled = weight.saturating_mul(SHARE_MAX).div_ceil(largest);
        scaled.max(1)
    };
    let shares: Vec<u32> = weighted.iter().map(share).collect();
    let address = |index: &u32| {
        let found = weighted.get(usize::try_from(*index).ok()?);
        found.map(|(address, _)| *address)
    };
    let turns = schedule::smooth(&shares);
    turns
        .iter()
        .take(ADDRESSES_MAX)
        .filter_map(address)
        .collect()
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let names = Names::new(Arc::new(Metrics::default()));
        names.configure(&["127.0.0.1:1".parse().unwrap()]);
        names
    }

    #[tokio::test]
    async fn the_machine_knows_its_own_name() {
        let host = TargetHost::Name {
            name: "localhost".to_owned(),
            port: 80,
        };
        let found = names().look_up(&host).await.unwrap();
        assert_eq!(found.addresses, ["127.0.0.1:80".parse().unwrap()]);
    }

    #[tokio::test]
    async fn nobody_is_asked_before_somebody_is_named() {
        let names = Names::new(Arc::new(Metrics::default()));
        let host = TargetHost::Name {
            name: "a.invalid".to_owned(),
            port: 80,
        };
        let error = names.look_up(&host).await.unwrap_err();
        assert!(matches!(error, LookupError::NobodyToAsk));
        assert_eq!(names.metrics.lookups_failed.read(), 1);
    }

    #[test]
    fn shares_follow_the_weights() {
        let (a, b): (SocketAddr, SocketAddr) =
            ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:1".parse().unwrap());
        assert_eq!(by_share(&[(a, 0), (b, 0)]), [a, b]);
        assert_eq!(
            by_share(&[(a, 30), (b, 10)])
                .iter()
                .filter(|one| **one == a)
                .count(),
            8
        );
        let turns = by_share(&[(a, 65_535), (b, 0)]);
        assert_eq!(turns.iter().filter(|one| **one == b).count(), 1);
    }
}
