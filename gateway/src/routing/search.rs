//! The search: one walk down the trees, most specific first, generic over who listens.

use std::fmt;
use std::ops::ControlFlow;

use super::pattern::{ConditionSource, Methods};
use super::reading::{Reading, read};
use super::trace::{Tracer, Verdict};
use super::tree::{Hosts, Leaf, Node, Route};
use super::{Captures, RouteRequest, split_segment};

/// What a search ends with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The route with this id.
    Route(u32),
    /// Routes at this path exist, none for the method: 405.
    MethodNotAllowed(Allow),
    /// No route fits: 404.
    NotFound,
    /// A condition reads something that the request says more than once: 400.
    Ambiguous {
        /// What it is.
        source: ConditionSource,
        /// And its name, as configured.
        name: String,
    },
}

/// The methods that a path has. `Display` gives the value of the `Allow` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow(pub(super) Methods);

impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, method) in self.0.iter().enumerate() {
            write!(f, "{}{method}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// A decision that still points into the trees.
enum Decision<'t> {
    Route(&'t Route),
    MethodNotAllowed(&'t Methods),
    Ambiguous(ConditionSource, &'t str),
}

/// Breaks off as soon as it is decided, unless somebody listens.
type Step = ControlFlow<()>;

pub(super) struct Search<'t, 'r, T> {
    request: &'r RouteRequest<'r>,
    tracer: &'r mut T,
    decision: Option<Decision<'t>>,
}

impl<'t, 'r, T: Tracer> Search<'t, 'r, T> {
    pub(super) fn new(request: &'r RouteRequest<'r>, tracer: &'r mut T) -> Self {
        Self {
            request,
            tracer,
            decision: None,
        }
    }

    /// Tries the exact host, then the wildcard that it falls under, then the routes of any host.
    pub(super) fn hosts(&mut self, hosts: &'t Hosts) -> Step {
        let host = self.request.host;
        self.tree(hosts.exact(host), || host.to_owned())?;
        // `.example.com` has no first label, so no wildcard covers it.
        if let Some((label, suffix)) = host.split_once('.')
            && !label.is_empty()
        {
            self.tree(hosts.wildcard(suffix), || format!("*.{suffix}"))?;
        }
        self.tree(Some(hosts.any()), || "any".to_owned())
    }

    /// The answer, with the captures of the route that was found.
    pub(super) fn finish(self, captures: &mut Captures) -> Found {
        let RouteRequest { host, path, .. } = *self.request;
        let plan = match self.decision {
            Some(Decision::Route(route)) => route.captures.as_ref(),
            _ => None,
        };
        captures.fill(plan, host, path);
        match self.decision {
            Some(Decision::Route(route)) => Found::Route(route.id),
            Some(Decision::MethodNotAllowed(methods)) => {
                Found::MethodNotAllowed(Allow(methods.clone()))
            }
            Some(Decision::Ambiguous(source, name)) => Found::Ambiguous {
                source,
                name: name.to_owned(),
            },
            None => Found::NotFound,
        }
    }

    fn tree(&mut self, tree: Option<&'t Node>, pattern: impl FnOnce() -> String) -> Step {
        self.tracer.host(pattern, tree.is_some());
        match (tree, self.request.path.strip_prefix('/')) {
            (Some(tree), Some(path)) => self.descend(tree, Some(path)),
            _ => Step::Continue(()),
        }
    }

    /// Goes as deep as the patterns do, never as deep as the path.
    fn descend(&mut self, node: &'t Node, path: Option<&str>) -> Step {
        match path {
            None => self.leaf(node.end.as_deref())?,
            Some(path) => {
                let (segment, after) = split_segment(path);
                if let Some(child) = node.literals.find(segment) {
                    self.descend(child, after)?;
                }
                if let Some(child) = node.param.as_deref().filter(|_| !segment.is_empty()) {
                    self.descend(child, after)?;
                }
            }
        }
        self.leaf(node.rest.as_deref())
    }

    /// Judges the routes of a path that fits.
    fn leaf(&mut self, leaf: Option<&'t Leaf>) -> Step {
        let Some(leaf) = leaf else {
            return Step::Continue(());
        };
        let decided_before = self.decision.is_some();
        for route in &leaf.routes {
            if self.decision.is_some() {
                self.tracer.candidate(route.id, || Verdict::LessSpecific);
            } else if route.methods.allows(self.request.method) {
                self.conditions(route)?;
            } else {
                self.tracer.candidate(route.id, || Verdict::Method);
            }
        }
        if decided_before || leaf.methods.allows(self.request.method) {
            return Step::Continue(());
        }
        self.decide(Decision::MethodNotAllowed(&leaf.methods))
    }

    fn conditions(&mut self, route: &'t Route) -> Step {
        for (which, condition) in route.conditions.iter().enumerate() {
            let value = match read(condition, self.request) {
                Reading::Missing => None,
                Reading::One(value) => Some(value),
                Reading::Repeated => {
                    self.tracer
                        .candidate(route.id, || Verdict::Ambiguous { which });
                    let (source, name) = (condition.source(), condition.name());
                    return self.decide(Decision::Ambiguous(source, name));
                }
            };
            if !condition.test().accepts(value.as_deref()) {
                self.tracer.candidate(route.id, || {
                    let found = value.map(|value| String::from_utf8_lossy(&value).into_owned());
                    Verdict::Condition { which, found }
                });
                return Step::Continue(());
            }
        }
        self.tracer.candidate(route.id, || Verdict::Chosen);
        self.decide(Decision::Route(route))
    }

    fn decide(&mut self, decision: Decision<'t>) -> Step {
        self.decision = Some(decision);
        if T::LISTENS {
            Step::Continue(())
        } else {
            Step::Break(())
        }
    }
}
