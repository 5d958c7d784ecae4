//! The targets of an upstream at one moment, arranged for picking. What names stand for changes, and this is swapped
//! whole: who picks sees one state or the next.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;

use super::balance::{Group, Search};
use super::endpoint::Endpoint;
use super::members::{Member, Rank};
use super::names::Host;
use super::refusals::Refusals;
use super::{Target, Upstream};
use crate::config::model::{TargetConfig, TargetHost};

/// One state.
#[derive(Default)]
pub(super) struct Ready {
    /// What each entry of the configuration stands for.
    pub(super) hosts: Vec<Vec<Host>>,
    /// Every target, in the order of the entries.
    pub(super) members: Vec<Member>,
    /// Those whose addresses are known. A rank takes over when nobody before it can.
    ranks: Vec<Group>,
    /// Rank and index of a target by its tag.
    tags: HashMap<u64, (usize, usize)>,
    /// Whether some entry has several addresses.
    several: bool,
}

impl Ready {
    pub(super) fn new(upstream: &Upstream, hosts: Vec<Vec<Host>>, members: Vec<Member>) -> Self {
        let refusals = refusals(&members);
        let mut ranks: BTreeMap<Rank, Vec<Endpoint>> = BTreeMap::new();
        for member in members.iter().filter(|member| !member.addresses.is_empty()) {
            let tagger = upstream.tagger.as_ref();
            let endpoint = Endpoint::new(
                member.target.clone(),
                member.weight,
                tagger.map(|tagger| tagger.tag(&upstream.config.name, &member.target.address)),
                upstream.peers(member),
                refusals.get(&member.entry).cloned(),
            );
            ranks.entry(member.rank).or_default().push(endpoint);
        }
        let mut tags = HashMap::new();
        for (rank, endpoints) in ranks.values().enumerate() {
            let tagged = endpoints.iter().enumerate();
            tags.extend(tagged.filter_map(|(index, one)| Some((one.tag?, (rank, index)))));
        }
        let group = |endpoints| Group::new(endpoints, &upstream.config.balance);
        Self {
            hosts,
            several: !refusals.is_empty(),
            ranks: ranks.into_values().map(group).collect(),
            tags,
            members,
        }
    }

    pub(super) fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.members.iter().map(|member| &member.target)
    }

    /// Whether some entry has several addresses, so that one that takes no connection can be avoided.
    pub(super) fn has_several(&self) -> bool {
        self.several
    }

    /// Whether some name stands for somebody already.
    pub(super) fn has_names(&self, entries: &[TargetConfig]) -> bool {
        let is_name = |entry: &TargetConfig| !matches!(entry.host, TargetHost::Address(_));
        let mut all = entries.iter().zip(&self.hosts);
        all.any(|(entry, hosts)| is_name(entry) && !hosts.is_empty())
    }

    /// The target that the client's cookie names, if it may be picked.
    pub(super) fn by_cookie(&self, search: &Search<'_>) -> Option<&Endpoint> {
        let (rank, index) = self.tags.get(&search.wish.sticky?)?;
        let known = self.ranks.get(*rank)?.endpoints.get(*index)?;
        search.accepts(known).then_some(known)
    }

    pub(super) fn choose(&self, search: &Search<'_>, panic_threshold: f64) -> Option<&Endpoint> {
        self.ranks.iter().find_map(|rank| {
            let good = search.good && !rank.panics(panic_threshold, search.wish.now);
            rank.choose(&Search { good, ..*search })
        })
    }
}

/// What is remembered of the addresses of each entry that has several.
fn refusals(members: &[Member]) -> HashMap<usize, Arc<Refusals>> {
    let mut entries: HashMap<usize, Vec<SocketAddr>> = HashMap::new();
    for member in members {
        let addresses = entries.entry(member.entry).or_default();
        addresses.extend_from_slice(&member.addresses);
    }
    let several = |(entry, addresses): (usize, Vec<SocketAddr>)| {
        Some((entry, Refusals::of(addresses.into_iter())?))
    };
    entries.into_iter().filter_map(several).collect()
}
