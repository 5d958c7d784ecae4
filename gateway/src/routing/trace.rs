//! What a search tells whoever listens: `explain` does, the proxy does not and pays nothing.

/// Hears of every step of a search. What a closure builds is built only if somebody listens.
pub trait Tracer {
    /// Whether the search should go on after the decision, to name the routes that came too late.
    const LISTENS: bool;

    /// A host pattern was looked up; `known` says whether any route has it.
    fn host(&mut self, pattern: impl FnOnce() -> String, known: bool);

    /// A route whose host and path fit was judged.
    fn candidate(&mut self, route: u32, verdict: impl FnOnce() -> Verdict);
}

/// Why a candidate won or lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the route.
    Chosen,
    /// It has not the method.
    Method,
    /// A condition failed.
    Condition {
        /// Its place among the matcher's conditions.
        which: usize,
        /// What the request said instead; none if it said nothing.
        found: Option<String>,
    },
    /// A condition reads something that the request says more than once.
    Ambiguous {
        /// Its place among the matcher's conditions.
        which: usize,
    },
    /// The search had already ended, with a route, a 405 or a 400.
    LessSpecific,
}

/// Everything that a search tried, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// The host patterns looked up, and whether any route has them.
    pub hosts: Vec<(String, bool)>,
    /// The routes whose host and path fit.
    pub candidates: Vec<(u32, Verdict)>,
}

impl Tracer for Trace {
    const LISTENS: bool = true;

    fn host(&mut self, pattern: impl FnOnce() -> String, known: bool) {
        self.hosts.push((pattern(), known));
    }

    fn candidate(&mut self, route: u32, verdict: impl FnOnce() -> Verdict) {
        self.candidates.push((route, verdict()));
    }
}

/// Nobody listens.
pub struct Silent;

impl Tracer for Silent {
    const LISTENS: bool = false;

    fn host(&mut self, _: impl FnOnce() -> String, _: bool) {}

    fn candidate(&mut self, _: u32, _: impl FnOnce() -> Verdict) {}
}
