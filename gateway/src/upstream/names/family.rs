//! Which addresses of a host are used, and in which order: those of both families, in turn (after RFC 8305), without
//! those that this machine has no way to (the first rule of RFC 6724).
//!
//! Who connects goes to the next address where one takes no connection.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Sorted within a family, so that an answer in another order is no change. IPv4 first, for who asks once only.
pub(super) fn usable(
    found: impl Iterator<Item = IpAddr>,
    has_way: impl Fn(Ipv6Addr) -> bool,
) -> Vec<IpAddr> {
    let (mut four, mut six) = (Vec::new(), Vec::new());
    for address in found {
        match address {
            IpAddr::V4(address) => four.push(address),
            IpAddr::V6(address) => six.push(address),
        }
    }
    for_each_once(&mut four);
    for_each_once(&mut six);
    if !four.is_empty() {
        // A machine's own name: both lead to it, and whoever listens there often listens at one of them only.
        let itself = four.contains(&Ipv4Addr::LOCALHOST);
        six.retain(|address| !(itself && address.is_loopback()) && has_way(*address));
    }
    let (mut four, mut six) = (four.into_iter(), six.into_iter());
    let mut all = Vec::with_capacity(four.len() + six.len());
    loop {
        let (one, other) = (four.next(), six.next());
        if one.is_none() && other.is_none() {
            return all;
        }
        all.extend(one.map(IpAddr::V4));
        all.extend(other.map(IpAddr::V6));
    }
}

fn for_each_once<T: Ord>(addresses: &mut Vec<T>) {
    addresses.sort_unstable();
    addresses.dedup();
}

/// Whether packets to there would leave at all. Nothing is sent: the system only looks for a route.
pub(super) fn has_way(address: Ipv6Addr) -> bool {
    let connected =
        UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).and_then(|socket| socket.connect((address, 9)));
    connected.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(found: &[&str], way: bool) -> Vec<String> {
        let found = found.iter().map(|text| text.parse().unwrap());
        let used = usable(found, |_| way);
        used.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn families_take_turns() {
        let found = [
            "2001:db8::2",
            "10.0.0.2",
            "2001:db8::1",
            "10.0.0.1",
            "10.0.0.3",
            "10.0.0.1",
        ];
        let expected = [
            "10.0.0.1",
            "2001:db8::1",
            "10.0.0.2",
            "2001:db8::2",
            "10.0.0.3",
        ];
        assert_eq!(used(&found, true), expected);
    }

    #[test]
    fn a_family_without_a_way_is_left_out_where_there_is_another() {
        assert_eq!(used(&["2001:db8::1", "10.0.0.1"], false), ["10.0.0.1"]);
        assert_eq!(used(&["2001:db8::1"], false), ["2001:db8::1"]);
        assert!(used(&[], true).is_empty());
    }

    #[test]
    fn a_machine_itself_has_one_address() {
        assert_eq!(used(&["::1", "127.0.0.1"], true), ["127.0.0.1"]);
        assert_eq!(used(&["::1", "127.0.0.2"], true), ["127.0.0.2", "::1"]);
        assert_eq!(used(&["::1"], true), ["::1"]);
    }
}
