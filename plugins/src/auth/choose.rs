//! Which provider judges: the one to whom a credential was presented, and there is only one credential.

use http::header;

use super::credential::{Credential, Presented, Source};
use super::provider::Mine;
use super::verdict::Reason;
use super::{Auth, Entry};
use crate::contract::prelude::*;

/// What a request shows to the providers of its route.
pub(super) enum Choice<'a> {
    /// Nothing.
    Nothing,
    /// More than one credential.
    Several,
    /// This, for this provider.
    One(usize, Credential<'a>),
    /// Something that no provider need be asked about; blamed on this one.
    Nobody(usize, Reason),
}

/// The best candidate so far.
struct Candidate<'a> {
    index: usize,
    source: Source,
    /// `None`: something stands there that is no credential. Known for certain once there is a second provider for it.
    credential: Option<Credential<'a>>,
    /// How much it is this provider's; known once there is a second provider for it.
    mine: Option<Mine>,
}

impl Auth {
    pub(super) fn choose<'a>(&self, request: &RequestView<'a>) -> Choice<'a> {
        let mut best: Option<Candidate<'a>> = None;
        for (index, entry) in self.entries.iter().enumerate() {
            let (source, credential) = match entry.provider.presented(request) {
                Presented::Absent => continue,
                Presented::Several => return Choice::Several,
                Presented::Malformed(source) => (source, None),
                Presented::One(credential) => (credential.source.clone(), Some(credential)),
            };
            let next = Candidate {
                index,
                source,
                credential,
                mine: None,
            };
            best = match best {
                None => Some(next),
                Some(best) => match self.better(best, next) {
                    Some(better) => Some(better),
                    None => return Choice::Several,
                },
            };
        }
        match best {
            None => self.foreign(request),
            Some(Candidate {
                index,
                mine: Some(Mine::No),
                ..
            }) => Choice::Nobody(index, Reason::Issuer),
            Some(Candidate {
                index,
                credential: Some(credential),
                ..
            }) => Choice::One(index, credential),
            Some(best) => Choice::Nobody(best.index, Reason::Malformed),
        }
    }

    /// The one of two to be asked; `None` if they are two credentials.
    fn better<'a>(
        &self,
        mut first: Candidate<'a>,
        mut second: Candidate<'a>,
    ) -> Option<Candidate<'a>> {
        match (&first.source, &second.source) {
            (one, other) if one == other => {}
            // A certificate is shown by the connection, not by the request: whatever the request shows is meant.
            (Source::Certificate, _) => return Some(second),
            (_, Source::Certificate) => return Some(first),
            // A service that looks at the whole request is asked where nobody else sees a credential.
            (Source::Request { .. }, _) => return Some(second),
            (_, Source::Request { .. }) => return Some(first),
            _ => return None,
        }
        self.rank(&mut first);
        self.rank(&mut second);
        // What is no credential for the one may be one for the other.
        let rank = |it: &Candidate<'_>| (it.credential.is_some(), it.mine);
        Some(if rank(&second) > rank(&first) {
            second
        } else {
            first
        })
    }

    fn rank(&self, candidate: &mut Candidate<'_>) {
        candidate.credential.take_if(|it| it.text().is_none());
        let entry = self.entries.get(candidate.index);
        if let (None, Some(credential), Some(entry)) =
            (candidate.mine, &candidate.credential, entry)
        {
            candidate.mine = Some(entry.provider.claims_it(credential));
        }
    }

    /// Nobody was shown anything. An `Authorization` of another scheme is not nothing where that is what is looked at.
    fn foreign<'a>(&self, request: &RequestView<'_>) -> Choice<'a> {
        let reads = |entry: &Entry| entry.provider.sources().reads_authorization();
        match self.entries.iter().position(reads) {
            Some(index) if request.headers.contains_key(header::AUTHORIZATION) => {
                Choice::Nobody(index, Reason::Scheme)
            }
            _ => Choice::Nothing,
        }
    }
}
