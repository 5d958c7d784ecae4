//! What the cache would do with a request: the route's own rules are asked, with nothing stored.

use super::tell::Scene;
use crate::admin::describe;
use crate::cache::directives::RequestDirectives;
use crate::routing::RouteRequest;

/// One sentence; none where the route keeps no answers.
pub(super) fn of(scene: &Scene<'_>) -> Option<String> {
    let (policy, config) = (scene.route.cache.as_ref()?, scene.config.cache.as_ref()?);
    let view = scene.view;
    let request = RouteRequest {
        method: view.method,
        host: view.host,
        path: view.path,
        query: view.query,
        headers: view.headers,
    };
    let asks = RequestDirectives::read(view.headers);
    let streams = view.headers.contains_key(http::header::UPGRADE);
    if let Some(reason) = policy.passes_by(&request, view.body, streams, &asks) {
        return Some(format!("is left out: {}", meaning(reason)));
    }
    let identity = view.facts.identity();
    let asker = policy.asker(view.headers, identity.is_some());
    let mut said = format!(
        "is asked first; an answer is kept {}",
        describe::cache_line(config)
    );
    if asker.authorization || asker.cookie {
        said.push_str("; the request holds credentials, so only what its origin says counts");
    }
    if policy.authenticated && !policy.shared {
        said.push_str(", for this identity alone unless its origin calls it public");
    }
    Some(said)
}

fn meaning(reason: &str) -> &'static str {
    match reason {
        "method" => "only GET and HEAD are kept",
        "body" => "the request has a body",
        "stream" => "the request opens a stream",
        "no-store" => "the request says no-store",
        _ => "a condition of `bypass` is met",
    }
}
