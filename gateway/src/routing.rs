//! From a request's head to a route: patterns, path normalisation and the search.
//!
//! ```text
//! config ──▶ pattern (what a match line says) ──▶ Router::build ──▶ conflicts, or a Router
//! request ─▶ path::normalise ──▶ Router::find ──▶ Found + Captures (+ Trace for `explain`)
//! ```
//!
//! The order of routes is the order of the search, and there is no other: hosts (exact, wildcard,
//! any), then segments from left to right (literal, parameter, rest), then the number of conditions.
//! The first path that fits and has routes settles the method (405); only conditions fall through.

use http::{HeaderMap, Method};

pub mod captures;
pub mod conflict;
pub mod guards;
pub mod path;
pub mod pattern;
pub mod trace;

mod reading;
mod search;
mod tree;

pub use captures::Captures;
pub use conflict::Conflict;
pub use guards::{Guard, Guards};
pub use search::{Allow, Found};
pub use trace::{Trace, Tracer, Verdict};

use pattern::Matcher;
use search::Search;
use trace::Silent;
use tree::Hosts;

/// A route as the router needs to know it.
#[derive(Debug, Clone)]
pub struct RouteSpec {
    /// What [`Found::Route`] will say.
    pub id: u32,
    /// What it asks of a request.
    pub matcher: Matcher,
    /// What must not be lost by falling through to another route.
    pub guards: Guards,
}

/// What the router reads of a request.
#[derive(Debug, Clone, Copy)]
pub struct RouteRequest<'a> {
    /// The method; of a CORS preflight, the method that it asks for.
    pub method: &'a Method,
    /// The host in lower case and without port; empty if there is none.
    pub host: &'a str,
    /// The path in normal form.
    pub path: &'a str,
    /// The query without `?`, as it came.
    pub query: Option<&'a str>,
    /// The header fields.
    pub headers: &'a HeaderMap,
}

/// The routes of one listener, compiled. Immutable; shared by all its requests.
#[derive(Debug, Default)]
pub struct Router {
    hosts: Hosts,
}

impl Router {
    /// Compiles the routes, or says which of them cannot stand side by side.
    pub fn build(specs: &[RouteSpec]) -> Result<Self, Vec<Conflict>> {
        let hosts = Hosts::plant(specs);
        let conflicts = conflict::all(specs, &hosts);
        if conflicts.is_empty() {
            Ok(Self { hosts })
        } else {
            Err(conflicts)
        }
    }

    /// Finds the route of a request. Allocates nothing for a match, unless a query parameter that a
    /// condition reads has escapes.
    pub fn find(&self, request: &RouteRequest<'_>, captures: &mut Captures) -> Found {
        self.search(request, captures, &mut Silent)
    }

    /// The same, and tells every route that the path could have meant and why it lost.
    pub fn find_traced(
        &self,
        request: &RouteRequest<'_>,
        captures: &mut Captures,
        trace: &mut Trace,
    ) -> Found {
        self.search(request, captures, trace)
    }

    /// For `trailing-slash = "redirect"`, to be asked when nothing was found: the route that the
    /// path with (or without) a trailing slash leads to, and that path.
    pub fn find_other_slash(&self, request: &RouteRequest<'_>) -> Option<(u32, String)> {
        let path = match request.path.strip_suffix('/') {
            Some("") => return None,
            Some(shorter) => shorter.to_owned(),
            None => format!("{}/", request.path),
        };
        let other = RouteRequest {
            path: &path,
            ..*request
        };
        match self.find(&other, &mut Captures::default()) {
            Found::Route(id) => Some((id, path)),
            Found::MethodNotAllowed(_) | Found::NotFound | Found::Ambiguous { .. } => None,
        }
    }

    /// The same, and tells a tracer every step.
    pub fn search<T: Tracer>(
        &self,
        request: &RouteRequest<'_>,
        captures: &mut Captures,
        tracer: &mut T,
    ) -> Found {
        let mut search = Search::new(request, tracer);
        let _decided = search.hosts(&self.hosts);
        search.finish(captures)
    }
}

/// The first segment, and what follows its slash if there is one. A plain loop: segments are short,
/// and a vectorised search costs more to start than it saves.
fn split_segment(path: &str) -> (&str, Option<&str>) {
    let slash = path.bytes().position(|byte| byte == b'/');
    let parts = slash.and_then(|at| Some((path.get(..at)?, path.get(at + 1..)?)));
    parts.map_or((path, None), |(segment, after)| (segment, Some(after)))
}

#[cfg(test)]
mod tests;
