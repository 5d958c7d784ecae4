//! Small texts that every request needs, written without the machinery of `fmt`.

use std::io::Write;
use std::net::IpAddr;

/// Appends an address as people write it.
pub fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        IpAddr::V6(address) => {
            // RFC 5952 has too many rules to write them twice.
            let written = write!(out, "{address}");
            debug_assert!(written.is_ok(), "writing to a vector cannot fail");
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
            "2001:db8::a:0:0:1",
        ] {
            let mut out = Vec::new();
            address(&mut out, text.parse().unwrap());
            assert_eq!(out, text.as_bytes());
        }
    }
}
