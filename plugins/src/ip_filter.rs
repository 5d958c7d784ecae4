//! Lets a route be reached only from listed networks.
//!
//! ```toml
//! [route.reports]
//! match = "GET /reports/**"
//! upstream = "reports"
//! ip-filter = { allow = ["10.0.0.0/8", "2001:db8::/32"], deny = ["10.9.0.0/16"] }
//! ```
//!
//! `deny` wins over `allow`; where `allow` is present, everybody else is refused. Judges the client's address behind
//! trusted proxies, never a raw `X-Forwarded-For`. Refuses with 403 `ip-filter.denied`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;

use crate::contract::mode::{Date, RawMode};
use crate::contract::prelude::*;
use crate::leaf;

static DENIED: Refusal = Refusal {
    status: 403,
    code: "ip-filter.denied",
    title: "Requests from this address are not accepted here.",
};

/// The compiled filter.
pub struct IpFilter {
    allow: Option<Ranges>,
    deny: Ranges,
}

/// `ip-filter` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawIpFilter {
    /// Networks whose clients may pass; everybody else is refused.
    allow: Option<At<Vec<At<Network>>>>,
    /// Networks whose clients are refused, also where `allow` names them.
    deny: Option<At<Vec<At<Network>>>>,
    /// `"shadow"` counts and logs what would be refused; needs `shadow-until`.
    mode: Option<At<RawMode>>,
    /// The day from which a shadowed filter refuses again.
    shadow_until: Option<At<Date>>,
}

/// `ip-filter` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct IpFilterConfig {
    allow: Option<Vec<Network>>,
    deny: Vec<Network>,
    mode: Mode,
}

/// A network, `"10.0.0.0/8"` or `"2001:db8::/32"`, or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

leaf!(
    Network,
    "ip-network",
    "a network or an address: \"10.0.0.0/8\", \"2001:db8::1\""
);

impl Network {
    /// The network itself; an IPv4-mapped one is given as IPv4.
    pub fn net(self) -> IpNet {
        self.0
    }
}

impl FromStr for Network {
    type Err = LeafError;

    fn from_str(text: &str) -> Result<Self, LeafError> {
        let wrong = || {
            LeafError::new(format!("`{text}` is not a network"))
                .help("write \"10.0.0.0/8\", \"2001:db8::/32\" or one address")
        };
        let net = match text.parse::<IpNet>() {
            Ok(net) => net,
            Err(_) => IpNet::from(text.parse::<IpAddr>().map_err(|_| wrong())?),
        };
        if net.trunc() != net {
            let help = format!("write \"{}\"", net.trunc());
            return Err(
                LeafError::new(format!("`{text}` has bits set beyond its prefix")).help(help),
            );
        }
        Ok(Self(net))
    }
}

impl Plugin for IpFilter {
    const NAME: &'static str = "ip-filter";
    const REFUSALS: &'static [&'static Refusal] = &[&DENIED];
    type Raw = RawIpFilter;
    type Config = IpFilterConfig;
    type State = ();
    type Shared = ();

    fn validate(raw: At<RawIpFilter>, report: &mut Report) -> Option<IpFilterConfig> {
        let table = raw.span();
        let raw = raw.into_inner();
        if raw.allow.is_none() && raw.deny.is_none() {
            report
                .error(
                    table.clone(),
                    "ip-filter.empty",
                    "this `ip-filter` filters nothing",
                )
                .help("add `allow`, `deny` or both");
        }
        if let Some(allow) = raw.allow.as_ref().filter(|allow| allow.is_empty()) {
            report
                .error(
                    allow.span(),
                    "ip-filter.nobody",
                    "`allow` is empty, so nobody could pass",
                )
                .help("name a network, or remove the key");
        }
        let nets = |list: At<Vec<At<Network>>>| {
            list.into_inner().into_iter().map(At::into_inner).collect()
        };
        Some(IpFilterConfig {
            mode: Mode::until(raw.mode, raw.shadow_until, table, report),
            allow: raw.allow.map(nets),
            deny: raw.deny.map(nets).unwrap_or_default(),
        })
    }

    fn mode(config: &IpFilterConfig) -> Mode {
        config.mode
    }

    fn compile(
        config: &IpFilterConfig,
        _build: &mut Build<'_, Self>,
    ) -> Result<Self, CompileError> {
        Ok(Self {
            allow: config.allow.as_deref().map(Ranges::new),
            deny: Ranges::new(&config.deny),
        })
    }

    async fn on_request(&self, request: &RequestView<'_>, _state: &mut ()) -> Flow {
        if self.admits(request.client) {
            Flow::Continue
        } else {
            Flow::refuse(&DENIED)
        }
    }
}

impl IpFilter {
    /// A client without an address (a unix socket) passes only where nothing must be allowed.
    fn admits(&self, client: Option<IpAddr>) -> bool {
        let Some(client) = client else {
            return self.allow.is_none();
        };
        !self.deny.contains(client)
            && self
                .allow
                .as_ref()
                .is_none_or(|allow| allow.contains(client))
    }
}

/// Networks as sorted ranges: the look-up is a binary search, whatever their number.
#[derive(Default)]
pub struct Ranges {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Ranges {
    /// Sorts and merges networks. IPv4-mapped networks count as IPv4.
    pub fn new(networks: &[Network]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network.0 {
                IpNet::V4(net) => v4.push((net.network().to_bits(), net.broadcast().to_bits())),
                IpNet::V6(net) => {
                    let (first, last) = (net.network(), net.broadcast());
                    match (mapped(first), mapped(last)) {
                        (Some(first), Some(last)) => v4.push((first.to_bits(), last.to_bits())),
                        _ => v6.push((first.to_bits(), last.to_bits())),
                    }
                }
            }
        }
        Self {
            v4: merged(v4),
            v6: merged(v6),
        }
    }

    /// Whether some network holds the address. An IPv4-mapped address counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => holds(&self.v4, address.to_bits()),
            IpAddr::V6(address) => holds(&self.v6, address.to_bits()),
        }
    }
}

fn mapped(address: Ipv6Addr) -> Option<Ipv4Addr> {
    address.to_ipv4_mapped()
}

fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match merged.last_mut() {
            Some(open) if first <= open.1 => open.1 = open.1.max(last),
            _ => merged.push((first, last)),
        }
    }
    merged
}

fn holds<T: Ord + Copy>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    after
        .checked_sub(1)
        .and_then(|index| ranges.get(index))
        .is_some_and(|(_, last)| address <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::testing::{TestRequest, admit, compiled, complaints, config};

    fn ranges(networks: &[&str]) -> Ranges {
        let networks: Vec<Network> = networks.iter().map(|text| text.parse().unwrap()).collect();
        Ranges::new(&networks)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn finds_addresses_in_overlapping_networks() {
        let ranges = ranges(&["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "2001:db8::/32"]);
        for inside in [
            "10.0.0.0",
            "10.255.255.255",
            "10.1.2.3",
            "192.0.2.7",
            "2001:db8::9",
            "::ffff:10.0.0.1",
        ] {
            assert!(ranges.contains(address(inside)), "{inside}");
        }
        for outside in [
            "9.255.255.255",
            "11.0.0.0",
            "192.0.2.8",
            "2001:db9::",
            "::10.0.0.1",
        ] {
            assert!(!ranges.contains(address(outside)), "{outside}");
        }
    }

    #[test]
    fn deny_wins_and_allow_excludes_the_rest() {
        let filter = IpFilter {
            allow: Some(ranges(&["10.0.0.0/8"])),
            deny: ranges(&["10.9.0.0/16"]),
        };
        assert!(filter.admits(Some(address("10.1.1.1"))));
        assert!(!filter.admits(Some(address("10.9.1.1"))));
        assert!(!filter.admits(Some(address("192.0.2.1"))));
        assert!(
            !filter.admits(None),
            "a client without an address is in no network"
        );
    }

    #[test]
    fn refuses_the_client_and_not_what_a_header_says() {
        let config = config::<IpFilter>("allow = ['10.0.0.0/8', '2001:db8::/32']");
        let filter = compiled::<IpFilter>(&config);
        let from = |address: &str| TestRequest::get("http://example.com/").from(address);
        for inside in ["10.0.0.1", "2001:db8::1", "::ffff:10.0.0.1"] {
            assert!(matches!(admit(&filter, &from(inside)), Flow::Continue));
        }
        let forged = from("192.0.2.1").header("x-forwarded-for", "10.0.0.1");
        for outside in [
            forged,
            TestRequest::get("http://example.com/").from_nowhere(),
        ] {
            let flow = admit(&filter, &outside);
            assert!(matches!(flow, Flow::Reply(reply) if reply.refusal == Some(&DENIED)));
        }
    }

    #[test]
    fn complains_about_filters_that_cannot_be_meant() {
        assert_eq!(complaints::<IpFilter>(""), ["ip-filter.empty"]);
        assert_eq!(complaints::<IpFilter>("allow = []"), ["ip-filter.nobody"]);
        let shadow = "deny = ['10.0.0.0/8']\nmode = 'shadow'";
        assert_eq!(
            complaints::<IpFilter>(shadow),
            ["policy.shadow-without-end"]
        );
        let alone = "deny = ['10.0.0.0/8']\nshadow-until = '2027-01-31'";
        assert_eq!(complaints::<IpFilter>(alone), ["policy.shadow-until-alone"]);
    }

    #[test]
    fn refuses_a_network_with_bits_beyond_its_prefix() {
        let error = "10.1.0.0/8".parse::<Network>().unwrap_err();
        assert_eq!(error.help.unwrap(), "write \"10.0.0.0/8\"");
        assert!("10.0.0.0/33".parse::<Network>().is_err());
        assert!("localhost".parse::<Network>().is_err());
    }
}
