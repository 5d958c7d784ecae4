//! Routes against each other: what the router refuses, said with both places.

use plugins::contract::place::Span;

use super::Context;
use super::route::Draft;
use crate::routing::{Conflict, Guards, RouteSpec, Router};

/// Builds the router of each listener, as the runtime will, for its complaints.
pub(super) fn check(drafts: &[Draft], context: &mut Context<'_>) {
    let listeners = drafts
        .iter()
        .flat_map(|draft| draft.listeners.iter().flatten())
        .max();
    for listener in 0..listeners.map_or(0, |last| last + 1) {
        let specs: Vec<RouteSpec> = (0..)
            .zip(drafts)
            .filter(|(_, draft)| reached_by(draft, listener))
            .filter_map(|(id, draft)| spec(id, draft))
            .collect();
        for conflict in Router::build(&specs).err().unwrap_or_default() {
            complain(&conflict, drafts, context);
        }
    }
}

fn reached_by(draft: &Draft, listener: usize) -> bool {
    draft
        .listeners
        .as_ref()
        .is_some_and(|listeners| listeners.contains(&listener))
}

fn spec(id: u32, draft: &Draft) -> Option<RouteSpec> {
    Some(RouteSpec {
        id,
        matcher: draft.matcher.clone()?,
        guards: Guards::of(&draft.policies),
    })
}

fn complain(conflict: &Conflict, drafts: &[Draft], context: &mut Context<'_>) {
    let route = |id: &u32| usize::try_from(*id).ok().and_then(|id| drafts.get(id));
    let named = |id: &u32| route(id).map_or("", |draft| &draft.name);
    let place = |id: &u32| route(id).map_or(0..0, |draft| draft.match_span.clone());
    match conflict {
        Conflict::Tie { a, b } => {
            // Points at the one written later: it is the one that was added.
            let (first, second) = if place(a).start <= place(b).start {
                (a, b)
            } else {
                (b, a)
            };
            let message = format!(
                "`{}` and `{}` match the same requests",
                named(first),
                named(second)
            );
            context
                .report
                .error(place(second), "route.tie", message)
                .label("no more specific than the other")
                .related(place(first), "the other")
                .help("make one more specific, or give both conditions that exclude each other");
        }
        Conflict::Unreachable { route, by } => {
            let others: Vec<String> = by.iter().map(|id| format!("`{}`", named(id))).collect();
            let message = format!("no request can reach `{}`", named(route));
            let complaint = context
                .report
                .error(place(route), "route.unreachable", message);
            complaint.label(format!("{} come first", others.join(", ")));
            if let [_] = others.as_slice() {
                complaint.label(format!("{} comes first", others.join("")));
            }
            let places: Vec<Span> = by.iter().take(3).map(place).collect();
            for other in places {
                complaint.related(other, "takes its requests");
            }
            complaint.help("remove it, or make it more specific");
        }
        Conflict::FallThroughLoses { from, to, guard } => {
            let message = format!(
                "requests that miss the conditions of `{}` reach `{}`, which has no `{guard}`",
                named(from),
                named(to)
            );
            context
                .report
                .error(place(from), "route.fall-through", message)
                .label(format!("guarded by `{guard}`"))
                .related(place(to), format!("matches them too, without `{guard}`"))
                .help(format!("give `{}` the same `{guard}`", named(to)));
        }
    }
}
