//! Small texts that every request needs, written without the machinery of `fmt` and without the heap.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};

/// The longest address: IPv6 with an IPv4 tail.
const ADDRESS_MAX: usize = 45;

/// An address as people write it.
#[derive(Debug, Clone, Copy)]
pub struct AddressText {
    bytes: [u8; ADDRESS_MAX],
    len: usize,
}

impl AddressText {
    /// Writes an address.
    pub fn of(address: IpAddr) -> Self {
        let mut text = Self {
            bytes: [0; ADDRESS_MAX],
            len: 0,
        };
        match address {
            IpAddr::V4(address) => text.octets(address),
            // RFC 5952 has too many rules to write them twice.
            IpAddr::V6(address) => {
                let mut rest = text.bytes.as_mut_slice();
                let written = write!(rest, "{address}");
                debug_assert!(written.is_ok(), "every address fits");
                text.len = ADDRESS_MAX - rest.len();
            }
        }
        text
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    fn octets(&mut self, address: Ipv4Addr) {
        for (index, octet) in address.octets().into_iter().enumerate() {
            if index > 0 {
                self.push(b'.');
            }
            if octet >= 100 {
                self.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                self.push(b'0' + octet / 10 % 10);
            }
            self.push(b'0' + octet % 10);
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_addresses() {
        for text in [
            "0.0.0.0",
            "192.0.2.1",
            "255.255.255.255",
            "::1",
            "10.0.100.9",
            "2001:db8::a:0:0:1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "::ffff:255.255.255.255",
        ] {
            let written = AddressText::of(text.parse().unwrap());
            assert_eq!(written.as_bytes(), text.as_bytes());
        }
    }
}
