//! What the cache would do with a request: the route's own rules are asked, with nothing stored.

use super::tell::Scene;
use crate::cache::directives::RequestDirectives;
use crate::routing::RouteRequest;

/// A line for each thing worth knowing; none where the route keeps no answers.
pub(super) fn of(scene: &Scene<'_>) -> Vec<String> {
    let Some(policy) = &scene.route.cache else {
        return Vec::new();
    };
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
        return vec![format!("is left out: {}", meaning(reason))];
    }
    let asker = policy.asker(view.headers, view.facts.identity().is_some());
    let mut said = vec!["is asked first".to_owned()];
    if asker.authorization || asker.cookie {
        said.push("no ttl applies: the request holds credentials".to_owned());
    }
    if policy.authenticated && !policy.shared {
        said.push(
            "keeps the answer for this identity alone, unless its origin calls it public"
                .to_owned(),
        );
    }
    said
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
