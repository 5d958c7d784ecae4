//! Hashes that are the same on every instance and after every restart, and so never change.

use std::net::IpAddr;

/// FNV-1a with the finaliser of `SplitMix64`, so that texts which differ in one digit spread over everything.
pub fn stable(bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}

/// The same of an address.
pub fn address(address: IpAddr) -> u64 {
    match address {
        IpAddr::V4(address) => stable(&address.octets()),
        IpAddr::V6(address) => stable(&address.octets()),
    }
}

/// Spreads a number over all bits.
pub(super) fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_never_changes() {
        assert_eq!(
            stable(b"user-1"),
            0xc499_b5f8_a721_df58,
            "other instances count on it"
        );
    }
}
