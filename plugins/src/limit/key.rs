//! The identity of who is counted, in a fixed number of bytes.
//!
//! A key of up to 47 bytes is kept as it is; of a longer one its SHA-256 stands for it (two keys with one digest are
//! not known to exist). Parts are framed by their lengths, so that ("ab", "c") and ("a", "bc") differ. Keys are
//! compared whole: a collision of their hashes in the table joins nobody.

use std::fmt;
use std::net::IpAddr;

use aws_lc_rs::digest;

/// The longest key that is kept as it is.
const INLINE: usize = 47;
/// Marks a digest; a length is below.
const DIGEST: u8 = 0xfe;
/// Marks no key at all.
const NONE: u8 = 0xff;

/// Who is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    bytes: [u8; INLINE],
    /// The length, or what else the bytes are.
    mark: u8,
}

impl Key {
    /// No key: what a free place in a table holds. No builder makes it.
    pub(super) const NONE: Self = Self {
        bytes: [0; INLINE],
        mark: NONE,
    };

    /// The framed parts; `None` where the key was so long that only its digest is known.
    pub fn framed(&self) -> Option<&[u8]> {
        self.bytes.get(..usize::from(self.mark))
    }

    /// What identifies it: the framed parts, or the digest.
    pub fn identity(&self) -> &[u8] {
        self.framed().unwrap_or(&self.bytes)
    }
}

/// For people: texts as they are, addresses as networks, a digest in hexadecimal.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(mut rest) = self.framed() else {
            f.write_str("sha256:")?;
            return self
                .bytes
                .iter()
                .take(8)
                .try_for_each(|byte| write!(f, "{byte:02x}"));
        };
        let mut first = true;
        while let Some((part, tail)) = part(rest) {
            if !first {
                f.write_str(" ")?;
            }
            first = false;
            rest = tail;
            write!(f, "{part}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

const TEXT: u8 = b't';
const V4: u8 = b'4';
const V6: u8 = b'6';
const NOBODY: u8 = b'-';

/// Takes the first part off, as text for people.
fn part(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    match *tag {
        TEXT => {
            let (length, rest) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
            let text = rest.get(..length)?;
            let text = String::from_utf8_lossy(text).escape_debug().to_string();
            Some((text, rest.get(length..)?))
        }
        V4 => {
            let (octets, rest) = rest.split_first_chunk::<4>()?;
            Some((IpAddr::from(*octets).to_string(), rest))
        }
        V6 => {
            let (prefix, rest) = rest.split_first_chunk::<8>()?;
            let bits = u128::from(u64::from_be_bytes(*prefix)) << 64;
            Some((format!("{}/64", std::net::Ipv6Addr::from_bits(bits)), rest))
        }
        _ => Some(("-".into(), rest)),
    }
}

/// Puts a key together without allocating.
pub struct KeyBuilder {
    buffer: [u8; 128],
    length: usize,
    /// What did not fit into the buffer is in here already.
    spilled: Option<digest::Context>,
}

impl Default for KeyBuilder {
    fn default() -> Self {
        Self {
            buffer: [0; 128],
            length: 0,
            spilled: None,
        }
    }
}

impl KeyBuilder {
    /// Adds a text.
    pub fn text(&mut self, text: &str) -> &mut Self {
        // A head is far smaller than 4 GiB; whatever is longer is still told apart by its digest.
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.bytes(&[TEXT]);
        self.bytes(&length.to_le_bytes());
        self.bytes(text.as_bytes());
        self
    }

    /// Adds an address by the network that one client usually has: IPv4 /32, IPv6 /64. IPv4-mapped is IPv4.
    pub fn address(&mut self, address: IpAddr) -> &mut Self {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                self.bytes(&[V4]);
                self.bytes(&address.octets());
            }
            IpAddr::V6(address) => {
                let [prefix @ .., _, _, _, _, _, _, _, _] = address.octets();
                self.bytes(&[V6]);
                self.bytes(&prefix);
            }
        }
        self
    }

    /// Adds what all who have no address share: clients on a unix socket.
    pub fn nobody(&mut self) -> &mut Self {
        self.bytes(&[NOBODY]);
        self
    }

    /// The key.
    pub fn finish(self) -> Key {
        let used = self.buffer.get(..self.length).unwrap_or_default();
        let mut bytes = [0; INLINE];
        if let (None, Some(place)) = (&self.spilled, bytes.get_mut(..self.length)) {
            place.copy_from_slice(used);
            let mark = u8::try_from(self.length).unwrap_or(DIGEST);
            return Key { bytes, mark };
        }
        let mut context = self.spilled.unwrap_or_else(sha256);
        context.update(used);
        for (place, byte) in bytes.iter_mut().zip(context.finish().as_ref()) {
            *place = *byte;
        }
        Key {
            bytes,
            mark: DIGEST,
        }
    }

    fn bytes(&mut self, mut bytes: &[u8]) {
        loop {
            let free = self.buffer.get_mut(self.length..).unwrap_or_default();
            let fits = free.len().min(bytes.len());
            for (place, byte) in free.iter_mut().zip(bytes) {
                *place = *byte;
            }
            self.length += fits;
            bytes = bytes.get(fits..).unwrap_or_default();
            if bytes.is_empty() {
                return;
            }
            let context = self.spilled.get_or_insert_with(sha256);
            context.update(&self.buffer);
            self.length = 0;
        }
    }
}

fn sha256() -> digest::Context {
    digest::Context::new(&digest::SHA256)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[&str]) -> Key {
        let mut builder = KeyBuilder::default();
        for part in parts {
            builder.text(part);
        }
        builder.finish()
    }

    fn address(text: &str) -> Key {
        let mut builder = KeyBuilder::default();
        builder.address(text.parse().unwrap());
        builder.finish()
    }

    #[test]
    fn frames_parts_by_their_lengths() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_ne!(key(&["ab"]), key(&["ab", ""]));
        assert_ne!(key(&[]), Key::NONE);
        assert_eq!(key(&["ab", "c"]), key(&["ab", "c"]));
    }

    #[test]
    fn an_address_is_its_network_and_no_text() {
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("192.0.2.1"), address("192.0.2.2"));
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_ne!(address("192.0.2.1"), key(&["192.0.2.1"]));
    }

    #[test]
    fn long_keys_differ_wherever_they_differ() {
        let long = "x".repeat(10 << 10);
        for length in [41, 42, 43, 47, 48, 122, 123, 124, 128, 129, 256, 10 << 10] {
            let text = long.get(..length).unwrap();
            let last = format!("{}y", &text[..length - 1]);
            let first = format!("y{}", &text[1..]);
            assert_eq!(key(&[text]), key(&[text]), "{length}");
            assert_ne!(key(&[text]), key(&[&last]), "{length}");
            assert_ne!(key(&[text]), key(&[&first]), "{length}");
            assert_eq!(key(&[text]).framed().is_some(), length <= 42, "{length}");
        }
    }

    #[test]
    fn prints_for_people() {
        assert_eq!(key(&["keys", "ann\n"]).to_string(), "keys ann\\n");
        assert_eq!(address("2001:db8::1").to_string(), "2001:db8::/64");
        assert_eq!(address("192.0.2.1").to_string(), "192.0.2.1");
        assert!(key(&[&"x".repeat(99)]).to_string().starts_with("sha256:"));
    }
}
