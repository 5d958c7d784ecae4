//! The routes that the search looked at, and why each won or lost.

use super::story::{Candidate, Host, Matching};
use crate::config::Loaded;
use crate::config::model::RouteConfig;
use crate::config::source::SourceMap;
use crate::routing::{Trace, Verdict};

/// What a search told. `method` is the one that decides: of a preflight, the one it asks about.
pub(super) fn matching(trace: &Trace, listener: &str, method: &str, loaded: &Loaded) -> Matching {
    let (config, sources) = (&loaded.config, &loaded.sources);
    let candidate = |(id, verdict): &(u32, Verdict)| {
        let route = config.routes.get(usize::try_from(*id).ok()?)?;
        Some(candidate(route, verdict, method, sources))
    };
    let host = |(pattern, known): &(String, bool)| Host {
        pattern: pattern.clone(),
        known: *known,
    };
    let here = |route: &&RouteConfig| {
        let mut listeners = route
            .listeners
            .iter()
            .filter_map(|at| config.listeners.get(*at));
        listeners.any(|one| *one.name == *listener)
    };
    Matching {
        hosts: trace.hosts.iter().map(host).collect(),
        candidates: trace.candidates.iter().filter_map(candidate).collect(),
        routes: config.routes.iter().filter(here).count(),
    }
}

fn candidate(
    route: &RouteConfig,
    verdict: &Verdict,
    method: &str,
    sources: &SourceMap,
) -> Candidate {
    let condition = |which: &usize| {
        route
            .matcher
            .conditions
            .get(*which)
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    let why = match verdict {
        Verdict::Chosen => None,
        Verdict::Method => Some(format!("not for {method}")),
        Verdict::Condition { which, found: None } => {
            Some(format!("{}: the request has none", condition(which)))
        }
        Verdict::Condition {
            which,
            found: Some(found),
        } => Some(format!(
            "{}: the request says \"{}\"",
            condition(which),
            found.escape_debug()
        )),
        Verdict::Ambiguous { which } => Some(format!(
            "{}: the request says it more than once",
            condition(which)
        )),
        Verdict::LessSpecific => Some("less specific".to_owned()),
    };
    Candidate {
        route: route.name.to_string(),
        r#match: route.matcher.to_string(),
        at: sources.place(&route.match_span),
        chosen: *verdict == Verdict::Chosen,
        why,
    }
}
