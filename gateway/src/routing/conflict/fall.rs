//! Follows the requests that fail a guarded route's conditions to wherever they may fall.
//!
//! Walks the trees in the order of the search, behind the route's own place, and stops for each
//! method where a route takes whatever is left of it, or where the search would answer 405.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::super::pattern::{HostPattern, Methods, Segment};
use super::super::tree::{Hosts, Leaf, Node, Route};
use super::super::{Guard, Guards, RouteSpec};
use super::Conflict;

/// Every guard that a request may lose when it fails the route's conditions.
pub(super) fn losses(spec: &RouteSpec, hosts: &Hosts) -> Vec<Conflict> {
    // Without conditions nothing falls through: methods do not.
    if spec.guards.is_empty() || spec.matcher.conditions.is_empty() {
        return Vec::new();
    }
    let left = || spec.matcher.methods.clone();
    let mut fall = Fall {
        spec,
        from: None,
        left: left(),
        lost: BTreeMap::new(),
    };
    for trees in ways(&spec.matcher.hosts, hosts) {
        fall.left = left();
        let _stopped = trees
            .into_iter()
            .try_for_each(|(tree, own)| fall.tree(tree, own));
    }
    let loss = |(guard, to)| Conflict::FallThroughLoses {
        from: spec.id,
        to,
        guard,
    };
    fall.lost.into_iter().map(loss).collect()
}

/// For each host pattern: its own tree, then the less specific trees that cover it.
fn ways<'t>(patterns: &[HostPattern], hosts: &'t Hosts) -> Vec<Vec<(&'t Node, Place)>> {
    let any = || (hosts.any(), Place::Behind);
    if patterns.is_empty() {
        return vec![vec![(hosts.any(), Place::Own)]];
    }
    let way = |pattern: &HostPattern| match pattern {
        HostPattern::Exact(host) => {
            let own = hosts.exact(host).map(|tree| (tree, Place::Own));
            let suffix = host.split_once('.').map(|(_, suffix)| suffix);
            let wildcard = suffix.and_then(|suffix| hosts.wildcard(suffix));
            let wildcard = wildcard.map(|tree| (tree, Place::Behind));
            own.into_iter().chain(wildcard).chain([any()]).collect()
        }
        HostPattern::Wildcard { suffix, .. } => {
            let own = hosts.wildcard(suffix).map(|tree| (tree, Place::Own));
            own.into_iter().chain([any()]).collect()
        }
    };
    patterns.iter().map(way).collect()
}

/// Where the walk stands in the order of the search.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Still on the route's own path: what is more specific came before and does not count.
    Own,
    /// Behind it: everything that fits counts.
    Behind,
}

/// Whether a path takes all that the guarded route's path takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    All,
    Some,
}

struct Fall<'t, 's> {
    spec: &'s RouteSpec,
    /// The guarded route itself, once the walk has come to it.
    from: Option<&'t Route>,
    /// The methods whose requests may still be falling.
    left: Methods,
    /// Each guard lost so far, and to whom.
    lost: BTreeMap<Guard, u32>,
}

type Step = ControlFlow<()>;

impl<'t> Fall<'t, '_> {
    fn tree(&mut self, tree: &'t Node, place: Place) -> Step {
        self.walk(tree, self.spec.matcher.path.segments(), place, Reach::All)
    }

    fn walk(&mut self, node: &'t Node, path: &[Segment], place: Place, reach: Reach) -> Step {
        match path.split_first() {
            None => self.leaf(node.end.as_deref(), place, reach)?,
            Some((Segment::Literal(text), after)) => {
                if let Some(child) = node.literals.find(text) {
                    self.walk(child, after, place, reach)?;
                }
                if let Some(child) = node.param.as_deref().filter(|_| !text.is_empty()) {
                    self.walk(child, after, Place::Behind, reach)?;
                }
            }
            Some((Segment::Param(_), after)) => {
                if place == Place::Behind {
                    for (_, child) in node.literals.iter().filter(|(text, _)| !text.is_empty()) {
                        self.walk(child, after, place, Reach::Some)?;
                    }
                }
                if let Some(child) = node.param.as_deref() {
                    self.walk(child, after, place, reach)?;
                }
            }
            Some((Segment::Rest(_), _)) if place == Place::Own => {
                return self.leaf(node.rest.as_deref(), place, reach);
            }
            Some((Segment::Rest(_), _)) => {
                self.leaf(node.end.as_deref(), place, Reach::Some)?;
                for (_, child) in node.literals.iter() {
                    self.walk(child, path, place, Reach::Some)?;
                }
                if let Some(child) = node.param.as_deref() {
                    self.walk(child, path, place, Reach::Some)?;
                }
            }
        }
        self.leaf(node.rest.as_deref(), Place::Behind, reach)
    }

    fn leaf(&mut self, leaf: Option<&'t Leaf>, place: Place, reach: Reach) -> Step {
        let Some(leaf) = leaf else {
            return Step::Continue(());
        };
        let own = leaf
            .routes
            .iter()
            .position(|route| route.id == self.spec.id);
        let behind = match (place, own) {
            (Place::Own, Some(at)) => {
                self.from = leaf.routes.get(at).map(AsRef::as_ref);
                at + 1
            }
            (Place::Own | Place::Behind, _) => 0,
        };
        for route in leaf.routes.iter().skip(behind) {
            self.meet(route, reach);
        }
        if reach == Reach::All {
            // What no route here has is answered with 405 and falls no further.
            self.left.retain(&leaf.methods);
        }
        if self.left == Methods::NONE {
            Step::Break(())
        } else {
            Step::Continue(())
        }
    }

    fn meet(&mut self, route: &Route, reach: Reach) {
        let disjoint = self.from.is_some_and(|from| super::disjoint(from, route));
        if disjoint || !self.left.overlaps(&route.methods) {
            return;
        }
        self.note_losses(route.id, route.guards);
        if reach == Reach::All && route.conditions.is_empty() {
            self.left.remove(&route.methods);
        }
    }

    /// One complaint for each guard: the first route in the file to which it is lost, so that the
    /// complaint does not depend on the order in which a tree keeps its literals.
    fn note_losses(&mut self, to: u32, guards: Guards) {
        for guard in self.spec.guards.missing_in(guards) {
            let first = self.lost.entry(guard).or_insert(to);
            *first = to.min(*first);
        }
    }
}
