//! Routes that cannot stand side by side: ties, routes out of reach, guards lost by falling through.
//!
//! Runs once at reload, over the same trees that requests search.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::pattern::Condition;
use super::tree::{Hosts, Leaf, Route};
use super::{Guard, RouteSpec};

mod cover;
mod fall;

/// Two or more routes that contradict each other, by their ids.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conflict {
    /// Equal in rank, and some request may fit both.
    Tie {
        /// One route.
        a: u32,
        /// The other.
        b: u32,
    },
    /// Every request that fits is taken by others before.
    Unreachable {
        /// The route that no request reaches.
        route: u32,
        /// The routes that together take everything.
        by: Vec<u32>,
    },
    /// A request that fails the conditions of one route reaches another that guards less.
    FallThroughLoses {
        /// The guarded route.
        from: u32,
        /// Where its requests may end up.
        to: u32,
        /// What they lose.
        guard: Guard,
    },
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tie { a, b } => {
                write!(
                    f,
                    "routes {a} and {b} match the same requests and neither is more specific"
                )
            }
            Self::Unreachable { route, by } => {
                let by: Vec<String> = by.iter().map(u32::to_string).collect();
                write!(
                    f,
                    "route {route} can never be reached: {} come first",
                    by.join(", ")
                )
            }
            Self::FallThroughLoses { from, to, guard } => write!(
                f,
                "a request that fails the conditions of route {from} reaches route {to}, \
                 which has no {guard}"
            ),
        }
    }
}

/// Every conflict, once, in a stable order.
pub(super) fn all(specs: &[RouteSpec], hosts: &Hosts) -> Vec<Conflict> {
    let mut found = BTreeSet::new();
    let mut shadows = Shadows::default();
    let mut visit = |leaf| {
        ties(leaf, &mut found);
        shadows.add(leaf);
    };
    hosts.iter().for_each(|tree| tree.leaves(&mut visit));
    found.extend(shadows.finish());
    for spec in specs {
        found.extend(fall::losses(spec, hosts));
    }
    found.into_iter().collect()
}

/// Whether no request can satisfy the conditions of both.
fn disjoint(a: &Route, b: &Route) -> bool {
    a.conditions.iter().any(|one| {
        b.conditions
            .iter()
            .any(|other| one.same_key(other) && one.test().disjoint(other.test()))
    })
}

fn ties(leaf: &Leaf, found: &mut BTreeSet<Conflict>) {
    for equals in leaf.routes.chunk_by(|a, b| rank(a) == rank(b)) {
        for rivals in rivals(equals) {
            for (at, a) in rivals.iter().enumerate() {
                let others = rivals.iter().skip(at + 1);
                for b in others.filter(|b| a.methods.overlaps(&b.methods) && !disjoint(a, b)) {
                    found.insert(Conflict::Tie {
                        a: a.id.min(b.id),
                        b: a.id.max(b.id),
                    });
                }
            }
        }
    }
}

/// Routes of equal rank, apart where they all ask one value for a literal: thousands of tenants at
/// one path, told apart by a header, need not be compared each with each.
fn rivals(equals: &[Arc<Route>]) -> Vec<Vec<&Route>> {
    let literal = |route: &'_ Route, key: &Condition| {
        let same = route
            .conditions
            .iter()
            .find(|condition| condition.same_key(key));
        same.and_then(|condition| condition.test().literal().map(str::to_owned))
    };
    let keys = equals
        .first()
        .into_iter()
        .flat_map(|first| &first.conditions);
    let mut apart = keys.filter_map(|key| {
        let literals = equals.iter().map(|route| literal(route, key));
        literals.collect::<Option<Vec<String>>>()
    });
    let Some(literals) = apart.next() else {
        return vec![equals.iter().map(AsRef::as_ref).collect()];
    };
    let mut groups: BTreeMap<String, Vec<&Route>> = BTreeMap::new();
    for (literal, route) in literals.into_iter().zip(equals) {
        groups.entry(literal).or_default().push(route);
    }
    groups.into_values().collect()
}

fn rank(route: &Route) -> usize {
    route.conditions.len()
}

/// For each route: in how many leaves it stands, and which routes take everything there.
#[derive(Default)]
struct Shadows {
    standing: BTreeMap<u32, (usize, usize, BTreeSet<u32>)>,
}

impl Shadows {
    fn add(&mut self, leaf: &Leaf) {
        for (at, route) in leaf.routes.iter().enumerate() {
            // Routes of equal rank either tie or are disjoint: only higher ranks can shadow.
            let higher: Vec<&Route> = leaf
                .routes
                .iter()
                .take(at)
                .map(AsRef::as_ref)
                .take_while(|other| rank(other) > rank(route))
                .collect();
            let (leaves, shadowed, by) = self.standing.entry(route.id).or_default();
            *leaves += 1;
            if let Some(covering) = cover::covering(route, &higher) {
                *shadowed += 1;
                by.extend(covering);
            }
        }
    }

    /// A route with several hosts is out of reach only if it is under each of them.
    fn finish(self) -> impl Iterator<Item = Conflict> {
        let unreachable = self
            .standing
            .into_iter()
            .filter(|(_, (all, lost, _))| all == lost);
        unreachable.map(|(route, (.., by))| Conflict::Unreachable {
            route,
            by: by.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests;
