//! From a request's head to a route: patterns, path normalisation and the search.
//!
//! ```text
//! config ──▶ pattern (what a match line says) ──▶ Router::build ──▶ conflicts, or a Router
//! request ─▶ path::normalise ──▶ Router::find ──▶ Found + Captures (+ Trace for `explain`)
//! ```

pub mod path;
pub mod pattern;
