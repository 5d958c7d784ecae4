//! Files that are read together with the configuration: certificates and keys.
//!
//! Each is read once for a load. They count for its fingerprint and are watched, so a new certificate is a new
//! configuration.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;

/// More than any chain of certificates needs.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A million consumers need less.
const LARGE_BYTES_MAX: u64 = 1 << 30;

/// SHA-256.
pub type Digest = [u8; 32];

/// The files of one load.
#[derive(Debug, Default)]
pub(super) struct Files {
    read: BTreeMap<PathBuf, io::Result<Arc<[u8]>>>,
    /// Too large to be kept.
    large: BTreeMap<PathBuf, Option<Digest>>,
}

impl Files {
    /// The content of a file; text for people where it cannot be read.
    pub(super) fn read(&mut self, path: &Path) -> Result<Arc<[u8]>, String> {
        let read = self
            .read
            .entry(path.to_owned())
            .or_insert_with(|| read(path, FILE_BYTES_MAX).map(Arc::from));
        match read {
            Ok(bytes) => Ok(bytes.clone()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The text of a file that may be large, and its digest.
    pub(super) fn read_large(&mut self, path: &Path) -> Result<(String, Digest), String> {
        let read = read(path, LARGE_BYTES_MAX).map_err(|error| error.to_string());
        let digest = read.as_ref().ok().map(|bytes| digest(&[bytes]));
        self.large.insert(path.to_owned(), digest);
        let text = String::from_utf8(read?).map_err(|_| "it is not UTF-8".to_owned())?;
        Ok((text, digest.unwrap_or_default()))
    }

    /// Every file that was asked for, with the digest of what is in it; `None` where it cannot be read.
    pub(super) fn digests(self) -> BTreeMap<PathBuf, Option<Digest>> {
        let read = self.read.into_iter();
        read.map(|(path, read)| (path, read.ok().map(|bytes| digest(&[&bytes]))))
            .chain(self.large)
            .collect()
    }
}

/// The digest of what a file holds now.
pub fn digest_of(path: &Path) -> Option<Digest> {
    Some(digest(&[&read(path, LARGE_BYTES_MAX).ok()?]))
}

/// The SHA-256 of parts; where one ends and the next begins makes a difference.
pub fn digest(parts: &[&[u8]]) -> Digest {
    let mut digest = [0; 32];
    if let Some(suite) = TLS13_AES_128_GCM_SHA256.tls13() {
        let mut hash = suite.common.hash_provider.start();
        for part in parts {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
            hash.update(&length.to_be_bytes());
            hash.update(part);
        }
        let hash = hash.finish();
        for (to, from) in digest.iter_mut().zip(hash.as_ref()) {
            *to = *from;
        }
    }
    digest
}

fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(max + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > max) {
        let message = format!("it is larger than {} MiB", max >> 20);
        return Err(io::Error::other(message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_depends_on_every_part_and_its_end() {
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
        assert_ne!(digest(&[b"a"]), digest(&[b"a", b""]));
        assert_eq!(digest(&[b"a"]), digest(&[b"a"]));
        assert_ne!(digest(&[]), [0; 32]);
    }
}
