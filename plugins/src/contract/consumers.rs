//! All consumers of a configuration, found by any of their credentials in one step, however many they are.

use std::collections::hash_map::Entry as Slot;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ahash::AHashMap;
use subtle::ConstantTimeEq;

use super::identity::Consumer;
use super::place::At;

/// SHA-256 of an API key.
pub type KeyDigest = [u8; 32];

/// A consumer with its credentials.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ConsumerConfig {
    /// What the chain sees of it.
    pub consumer: Consumer,
    /// Its API keys.
    pub api_keys: Vec<KeyDigest>,
    /// Its password, hashed (`$argon2id$…`).
    pub password: Option<Box<str>>,
    /// Subjects of tokens: the provider whose tokens they are, where it is said, and the subject.
    pub subjects: Vec<(Option<Box<str>>, Box<str>)>,
    /// The part of a client's certificate that names it.
    pub certificate: Option<Box<str>>,
}

/// Whom a policy names.
#[derive(Debug, Clone, Default)]
pub struct Mentioned {
    /// Consumers.
    pub consumers: Vec<At<String>>,
    /// Groups.
    pub groups: Vec<At<String>>,
}

/// All consumers. Made once for a configuration; requests only look up.
pub struct Directory {
    generation: u64,
    entries: Vec<Entry>,
    names: AHashMap<Arc<str>, u32>,
    keys: AHashMap<KeyDigest, u32>,
    subjects: AHashMap<Box<str>, Vec<Named>>,
    certificates: AHashMap<Box<str>, u32>,
}

/// Whose tokens name a consumer, if that is said, and which consumer.
type Named = (Option<Box<str>>, u32);

struct Entry {
    consumer: Arc<Consumer>,
    password: Option<Box<str>>,
}

/// Two consumers cannot be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twice {
    /// What both have.
    pub what: Credential,
    /// The one that had it first, counted from 0 in the order in which they were added.
    pub first: usize,
}

/// What tells consumers apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// Their names.
    Name,
    /// This one of the `api-keys`, counted from 0.
    ApiKey(usize),
    /// `jwt-subject`
    Subject,
    /// `certificate`
    Certificate,
}

impl Default for Directory {
    fn default() -> Self {
        static GENERATIONS: AtomicU64 = AtomicU64::new(1);
        Self {
            generation: GENERATIONS.fetch_add(1, Ordering::Relaxed),
            entries: Vec::new(),
            names: AHashMap::new(),
            keys: AHashMap::new(),
            subjects: AHashMap::new(),
            certificates: AHashMap::new(),
        }
    }
}

impl Directory {
    /// An empty one with room for so many consumers.
    pub fn with_capacity(consumers: usize) -> Self {
        Self {
            entries: Vec::with_capacity(consumers),
            names: AHashMap::with_capacity(consumers),
            keys: AHashMap::with_capacity(consumers),
            ..Self::default()
        }
    }

    /// Adds a consumer, or says why it cannot be told from another; then it is not complete in here.
    pub fn add(&mut self, config: ConsumerConfig) -> Result<(), Twice> {
        let index = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        let name = config.consumer.name.clone();
        self.entries.push(Entry {
            consumer: Arc::new(config.consumer),
            password: config.password,
        });
        taken(self.names.entry(name), index, Credential::Name)?;
        for (at, key) in config.api_keys.into_iter().enumerate() {
            taken(self.keys.entry(key), index, Credential::ApiKey(at))?;
        }
        for (provider, subject) in config.subjects {
            let others = self.subjects.entry(subject).or_default();
            let same = |(of, _): &&Named| of.is_none() || provider.is_none() || *of == provider;
            if let Some((_, first)) = others.iter().find(same) {
                return Err(twice(*first, Credential::Subject));
            }
            others.push((provider, index));
        }
        if let Some(certificate) = config.certificate {
            taken(
                self.certificates.entry(certificate),
                index,
                Credential::Certificate,
            )?;
        }
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether somebody is in this group. Looks at all of them: for a load, not for a request.
    pub fn has_group(&self, group: &str) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| entry.consumer.groups.iter().any(|own| **own == *group))
    }

    /// Another number for other consumers: whoever keeps an identity across reloads keeps this beside it.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        let entries = self.entries.iter();
        entries.map(|entry| &*entry.consumer.name)
    }

    /// The consumer of this name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Consumer>> {
        self.consumer(self.names.get(name))
    }

    /// The consumer who has the key with this SHA-256.
    pub fn by_api_key(&self, digest: &[u8]) -> Option<&Arc<Consumer>> {
        let (known, index) = self.keys.get_key_value(digest)?;
        // A look-up may tell by its time how far digests agree, and nobody can choose a digest; still.
        let same = bool::from(known.as_slice().ct_eq(digest));
        self.consumer(Some(index).filter(|_| same))
    }

    /// The consumer whom a token of this provider names. Who says of no provider may come from any.
    pub fn by_subject(&self, provider: &str, subject: &str) -> Option<&Arc<Consumer>> {
        let fits = |of: &Option<Box<str>>| of.as_deref().is_none_or(|of| of == provider);
        let mut candidates = self.subjects.get(subject)?.iter();
        let found = candidates.find(|(of, _)| fits(of));
        self.consumer(found.map(|(_, index)| index))
    }

    /// The consumer whom this part of a certificate names.
    pub fn by_certificate(&self, part: &str) -> Option<&Arc<Consumer>> {
        self.consumer(self.certificates.get(part))
    }

    /// The consumer of this name with its password's hash.
    pub fn password(&self, name: &str) -> Option<(&Arc<Consumer>, &str)> {
        let entry = self.entry(self.names.get(name))?;
        Some((&entry.consumer, entry.password.as_deref()?))
    }

    /// Some password's hash: what a name that nobody has is checked against, so that it takes as long.
    pub fn any_password(&self) -> Option<&str> {
        self.entries
            .iter()
            .find_map(|entry| entry.password.as_deref())
    }

    fn consumer(&self, index: Option<&u32>) -> Option<&Arc<Consumer>> {
        Some(&self.entry(index)?.consumer)
    }

    fn entry(&self, index: Option<&u32>) -> Option<&Entry> {
        self.entries.get(usize::try_from(*index?).ok()?)
    }
}

fn taken<K>(slot: Slot<'_, K, u32>, index: u32, what: Credential) -> Result<(), Twice> {
    match slot {
        Slot::Vacant(free) => {
            free.insert(index);
            Ok(())
        }
        Slot::Occupied(other) if *other.get() == index => Ok(()),
        Slot::Occupied(other) => Err(twice(*other.get(), what)),
    }
}

fn twice(first: u32, what: Credential) -> Twice {
    let first = usize::try_from(first).unwrap_or_default();
    Twice { what, first }
}

impl PartialEq for Directory {
    fn eq(&self, other: &Self) -> bool {
        self.generation == other.generation
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("consumers", &self.entries.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumer(name: &str) -> ConsumerConfig {
        ConsumerConfig {
            consumer: Consumer {
                name: name.into(),
                ..Consumer::default()
            },
            ..ConsumerConfig::default()
        }
    }

    fn of(name: &str, subjects: &[(Option<&str>, &str)]) -> ConsumerConfig {
        let subject =
            |(of, subject): &(Option<&str>, &str)| (of.map(Into::into), (*subject).into());
        ConsumerConfig {
            subjects: subjects.iter().map(subject).collect(),
            ..consumer(name)
        }
    }

    fn named(found: Option<&Arc<Consumer>>) -> Option<&str> {
        found.map(|consumer| &*consumer.name)
    }

    #[test]
    fn finds_consumers_by_each_of_their_credentials() {
        let mut directory = Directory::default();
        directory
            .add(ConsumerConfig {
                api_keys: vec![[1; 32], [2; 32]],
                password: Some("$argon2id$x".into()),
                certificate: Some("CN=ada".into()),
                ..of("ada", &[(Some("idp"), "1")])
            })
            .unwrap();
        directory.add(consumer("bob")).unwrap();
        assert_eq!(named(directory.by_name("ada")), Some("ada"));
        assert_eq!(named(directory.by_api_key(&[2; 32])), Some("ada"));
        assert_eq!(directory.by_api_key(&[3; 32]), None);
        assert_eq!(directory.by_api_key(&[]), None);
        assert_eq!(named(directory.by_certificate("CN=ada")), Some("ada"));
        assert_eq!(directory.password("ada").unwrap().1, "$argon2id$x");
        assert_eq!(directory.password("bob"), None);
        assert_eq!(directory.password("eve"), None);
    }

    #[test]
    fn a_subject_counts_for_its_provider_only() {
        let mut directory = Directory::default();
        directory.add(of("ada", &[(Some("idp"), "1")])).unwrap();
        directory
            .add(of("bob", &[(Some("partners"), "1")]))
            .unwrap();
        directory.add(of("eve", &[(None, "2")])).unwrap();
        assert_eq!(named(directory.by_subject("idp", "1")), Some("ada"));
        assert_eq!(named(directory.by_subject("partners", "1")), Some("bob"));
        assert_eq!(directory.by_subject("others", "1"), None);
        assert_eq!(named(directory.by_subject("others", "2")), Some("eve"));
    }

    #[test]
    fn no_two_consumers_share_a_credential() {
        let with_key = |name: &str| ConsumerConfig {
            api_keys: vec![[9; 32]],
            ..consumer(name)
        };
        let mut directory = Directory::default();
        directory.add(with_key("ada")).unwrap();
        directory.add(of("bob", &[(Some("idp"), "1")])).unwrap();
        let twice = |what, first| Err(Twice { what, first });
        assert_eq!(
            directory.add(with_key("eve")),
            twice(Credential::ApiKey(0), 0)
        );
        assert_eq!(directory.add(consumer("ada")), twice(Credential::Name, 0));
        let any = of("joe", &[(None, "1")]);
        assert_eq!(directory.add(any), twice(Credential::Subject, 1));
    }

    #[test]
    fn other_consumers_have_another_generation() {
        assert_ne!(
            Directory::default().generation(),
            Directory::default().generation()
        );
    }
}
