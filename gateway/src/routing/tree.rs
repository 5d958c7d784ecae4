//! The routes as trees of segments, one tree for each host pattern.
//!
//! Built once at reload, in any order of routes; walked by `search` and `conflict`.

use std::collections::HashMap;
use std::sync::Arc;

use super::captures::CapturePlan;
use super::pattern::{Condition, HostPattern, Methods, Segment};
use super::{Guards, RouteSpec};

/// Below this many literal children, comparing them is faster than hashing.
const FEW: usize = 4;

type Map<V> = HashMap<Box<str>, V, ahash::RandomState>;

/// All trees of a router.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: Map<Node>,
    /// By what follows the first label's dot.
    wildcard: Map<Node>,
    any: Node,
}

/// A point between two segments.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) literals: Literals,
    pub(super) param: Option<Box<Node>>,
    /// Routes whose path ends here.
    pub(super) end: Option<Box<Leaf>>,
    /// Routes that take whatever follows.
    pub(super) rest: Option<Box<Leaf>>,
}

/// Routes with the same host pattern and the same path, names aside.
#[derive(Debug)]
pub(super) struct Leaf {
    /// Most conditions first; of equally many, in the order given.
    pub(super) routes: Vec<Arc<Route>>,
    /// The methods of all of them.
    pub(super) methods: Methods,
}

/// What a search needs of a route once host and path fit.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) id: u32,
    pub(super) methods: Methods,
    pub(super) conditions: Vec<Condition>,
    pub(super) captures: Option<Arc<CapturePlan>>,
    pub(super) guards: Guards,
}

impl Hosts {
    /// Puts every route into the trees of its hosts.
    pub(super) fn plant(specs: &[RouteSpec]) -> Self {
        let mut hosts = Self::default();
        for spec in specs {
            let route = Arc::new(Route {
                id: spec.id,
                methods: spec.matcher.methods.clone(),
                conditions: spec.matcher.conditions.clone(),
                captures: CapturePlan::of(&spec.matcher),
                guards: spec.guards,
            });
            let path = spec.matcher.path.segments();
            if spec.matcher.hosts.is_empty() {
                hosts.any.plant(path, &route);
            }
            for host in &spec.matcher.hosts {
                hosts.of_pattern(host).plant(path, &route);
            }
        }
        hosts
    }

    fn of_pattern(&mut self, host: &HostPattern) -> &mut Node {
        match host {
            HostPattern::Exact(host) => self.exact.entry(host.as_str().into()).or_default(),
            HostPattern::Wildcard { suffix, .. } => {
                self.wildcard.entry(suffix.as_str().into()).or_default()
            }
        }
    }

    /// The tree of exactly this host.
    pub(super) fn exact(&self, host: &str) -> Option<&Node> {
        self.exact.get(host)
    }

    /// The tree of all hosts one label below the given name.
    pub(super) fn wildcard(&self, suffix: &str) -> Option<&Node> {
        self.wildcard.get(suffix)
    }

    /// The tree of routes that ask for no host.
    pub(super) const fn any(&self) -> &Node {
        &self.any
    }

    /// Every tree.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Node> {
        self.exact
            .values()
            .chain(self.wildcard.values())
            .chain([&self.any])
    }
}

impl Node {
    fn plant(&mut self, path: &[Segment], route: &Arc<Route>) {
        match path.split_first() {
            None => Leaf::add(&mut self.end, route),
            Some((Segment::Rest(_), _)) => Leaf::add(&mut self.rest, route),
            Some((Segment::Param(_), after)) => {
                self.param.get_or_insert_default().plant(after, route);
            }
            Some((Segment::Literal(text), after)) => {
                self.literals.grow(text).plant(after, route);
            }
        }
    }

    /// Every leaf at or below this point.
    pub(super) fn leaves<'t>(&'t self, visit: &mut impl FnMut(&'t Leaf)) {
        self.end
            .iter()
            .chain(&self.rest)
            .for_each(|leaf| visit(leaf));
        self.literals
            .iter()
            .for_each(|(_, node)| node.leaves(visit));
        self.param.iter().for_each(|node| node.leaves(visit));
    }
}

impl Leaf {
    fn add(slot: &mut Option<Box<Self>>, route: &Arc<Route>) {
        let leaf = slot.get_or_insert_with(|| {
            Box::new(Self {
                routes: Vec::new(),
                methods: Methods::NONE,
            })
        });
        let more = |other: &Arc<Route>| other.conditions.len() >= route.conditions.len();
        let at = leaf.routes.partition_point(more);
        leaf.routes.insert(at, Arc::clone(route));
        leaf.methods.extend(&route.methods);
    }
}

/// The literal children of a node.
#[derive(Debug)]
pub(super) enum Literals {
    Few(Vec<(Box<str>, Node)>),
    Many(Map<Node>),
}

impl Default for Literals {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Literals {
    pub(super) fn find(&self, text: &str) -> Option<&Node> {
        match self {
            Self::Few(all) => all
                .iter()
                .find(|(known, _)| **known == *text)
                .map(|(_, node)| node),
            Self::Many(all) => all.get(text),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Node)> {
        let (few, many) = match self {
            Self::Few(all) => (Some(all), None),
            Self::Many(all) => (None, Some(all)),
        };
        let few = few
            .into_iter()
            .flatten()
            .map(|(text, node)| (&**text, node));
        few.chain(
            many.into_iter()
                .flatten()
                .map(|(text, node)| (&**text, node)),
        )
    }

    fn grow(&mut self, text: &str) -> &mut Node {
        if let Self::Few(all) = self
            && all.len() >= FEW
        {
            *self = Self::Many(all.drain(..).collect());
        }
        match self {
            Self::Many(all) => all.entry(text.into()).or_default(),
            Self::Few(all) => {
                let at = all
                    .iter()
                    .position(|(known, _)| **known == *text)
                    .unwrap_or(all.len());
                if at == all.len() {
                    all.push((text.into(), Node::default()));
                }
                #[expect(
                    clippy::indexing_slicing,
                    reason = "found or just pushed at this place"
                )]
                &mut all[at].1
            }
        }
    }
}
