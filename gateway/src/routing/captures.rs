//! The captured parts of a request: places in its host and path, kept without a heap.
//!
//! The places are those of the host and path that were searched; they mean nothing in other texts.

use std::ops::Range;
use std::sync::Arc;

use super::pattern::{CAPTURES_MAX, CaptureKind, Matcher, PathPattern, Segment};
use super::split_segment;

/// What a route captures, made once at reload and shared with every request that it matches.
#[derive(Debug)]
pub(super) struct CapturePlan {
    names: Vec<(CaptureKind, String)>,
    path: PathPattern,
}

impl CapturePlan {
    /// None for a route that captures nothing.
    pub(super) fn of(matcher: &Matcher) -> Option<Arc<Self>> {
        let names: Vec<_> = matcher
            .captures()
            .map(|(kind, name)| (kind, name.to_owned()))
            .collect();
        (!names.is_empty()).then(|| {
            Arc::new(Self {
                names,
                path: matcher.path.clone(),
            })
        })
    }
}

/// The captures of one request. Empty until a search fills it.
#[derive(Debug, Clone, Default)]
pub struct Captures {
    plan: Option<Arc<CapturePlan>>,
    places: [(u32, u32); CAPTURES_MAX],
}

impl Captures {
    /// Where the value is: in the host or in the path, and at which bytes.
    pub fn get(&self, name: &str) -> Option<(CaptureKind, Range<usize>)> {
        self.iter()
            .find(|(_, known, _)| *known == name)
            .map(|(kind, _, range)| (kind, range))
    }

    /// The value itself, given the host and the path that were searched.
    pub fn value<'t>(&self, name: &str, host: &'t str, path: &'t str) -> Option<&'t str> {
        let (kind, range) = self.get(name)?;
        match kind {
            CaptureKind::Host => host.get(range),
            CaptureKind::Path | CaptureKind::PathRest => path.get(range),
        }
    }

    /// Every capture: kind, name, place.
    pub fn iter(&self) -> impl Iterator<Item = (CaptureKind, &str, Range<usize>)> {
        let names = self.plan.iter().flat_map(|plan| &plan.names);
        names
            .zip(&self.places)
            .map(|((kind, name), &(start, end))| {
                (*kind, name.as_str(), start as usize..end as usize)
            })
    }

    /// Whether the route captures nothing.
    pub const fn is_empty(&self) -> bool {
        self.plan.is_none()
    }

    pub(super) fn fill(&mut self, plan: Option<&Arc<CapturePlan>>, host: &str, path: &str) {
        self.plan = plan.cloned();
        let Some(plan) = plan else { return };
        let captures_host = plan
            .names
            .first()
            .is_some_and(|(kind, _)| *kind == CaptureKind::Host);
        let label = captures_host.then(|| 0..host.find('.').unwrap_or(host.len()));
        let found = label.into_iter().chain(path_places(&plan.path, path));
        for (place, range) in self.places.iter_mut().zip(found) {
            *place = (short(range.start), short(range.end));
        }
    }
}

/// The places of the named segments in a path that is known to match.
fn path_places<'p>(
    pattern: &'p PathPattern,
    path: &'p str,
) -> impl Iterator<Item = Range<usize>> + 'p {
    let mut rest = path.strip_prefix('/');
    pattern.segments().iter().filter_map(move |segment| {
        let text = rest.unwrap_or_default();
        let start = path.len() - text.len();
        let (part, after) = split_segment(text);
        rest = after;
        match segment {
            Segment::Param(Some(_)) => Some(start..start + part.len()),
            Segment::Rest(Some(_)) => Some(start..path.len()),
            Segment::Literal(_) | Segment::Param(None) | Segment::Rest(None) => None,
        }
    })
}

/// No head comes near 4 GiB; if one did, an out-of-range place reads as "not captured".
fn short(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
