//! Who answers for names: the hosts file, then DNS servers, asked by hickory.
//!
//! Nothing is remembered here: an answer says how long it holds, and whoever asked asks again when that is over.

mod family;
mod service;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use tokio::time::timeout;

use crate::config::model::TargetHost;
use crate::observe::metrics::Metrics;

/// Longest wait for one look-up; the hosts of a service are a second one.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for one server.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);
/// A name with more addresses than this is used by its first ones.
const ADDRESSES_MAX: usize = 256;
/// After a failure nobody waits longer than this before it is tried again.
pub(super) const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// The resolver of the configuration that serves now.
pub struct Names {
    resolver: ArcSwapOption<TokioResolver>,
    metrics: Arc<Metrics>,
}

/// What a name stands for.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// The host itself, or those that the records of a service name; one of them at least has an address.
    pub hosts: Vec<Host>,
    /// For how long this holds.
    pub holds: Duration,
}

/// A host and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// `host:port` as a record of a service says it; `None`: the one that was asked for.
    pub named: Option<Arc<str>>,
    /// Its addresses in the order in which they take turns; none while it cannot be looked up.
    pub addresses: Vec<SocketAddr>,
    /// Hosts of a larger number serve when those of smaller ones cannot.
    pub priority: u16,
    /// Its share among those of its priority.
    pub weight: u16,
}

impl Host {
    /// The one that was asked for.
    pub(super) fn itself(addresses: Vec<SocketAddr>) -> Self {
        Self {
            named: None,
            addresses,
            priority: 0,
            weight: 1,
        }
    }
}

impl Found {
    /// Every address.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.hosts.iter().flat_map(|host| &host.addresses).copied()
    }
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

    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
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
        match host {
            TargetHost::Address(address) => Ok(Found {
                hosts: vec![Host::itself(vec![*address])],
                holds: Duration::MAX,
            }),
            TargetHost::Name { name, port } => {
                let (addresses, holds) = in_time(addresses(&resolver, name)).await?;
                let addresses = addresses.into_iter().map(|ip| (ip, *port).into()).collect();
                let hosts = vec![Host::itself(addresses)];
                Ok(Found { hosts, holds })
            }
            TargetHost::Service { name } => service::hosts(&resolver, name).await,
        }
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, LookupError>>) -> Result<T, LookupError> {
    let answered = timeout(LOOKUP_TIMEOUT, asked).await;
    answered.unwrap_or(Err(LookupError::TimedOut))
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
    // `family` says which of them are used.
    options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
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

/// The addresses of a host and for how long they hold.
async fn addresses(
    resolver: &TokioResolver,
    name: &str,
) -> Result<(Vec<IpAddr>, Duration), LookupError> {
    let found = resolver.lookup_ip(name).await?;
    let mut addresses = family::usable(found.iter(), family::has_way);
    addresses.truncate(ADDRESSES_MAX);
    if addresses.is_empty() {
        return Err(LookupError::Empty);
    }
    Ok((addresses, left(found.valid_until())))
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
        let addresses: Vec<_> = found.addresses().collect();
        assert_eq!(addresses, ["127.0.0.1:80".parse().unwrap()]);
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
}
