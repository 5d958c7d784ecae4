//! What a request that changes something makes stale (RFC 9111 section 4.4).

use http::StatusCode;
use http::header::{self, HeaderName};
use pingora::http::{RequestHeader, ResponseHeader};

use super::url;
use crate::cache::purge;
use crate::proxy::ctx::Ctx;

/// Takes out what is stored under the request's URL, and under those of `Location` and `Content-Location` of the same origin.
pub(in crate::proxy) fn changed(request: &RequestHeader, head: &ResponseHeader, ctx: &Ctx) {
    if ctx.snapshot.zones.is_empty() || request.method.is_safe() || !succeeded(head.status) {
        return;
    }
    let target = url(request, ctx);
    forget(ctx, &target, request.uri.query());
    let Ok(base) = url::Url::parse(&target) else {
        return;
    };
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        if let Some(other) = named(head, &name, &base) {
            let origin = target
                .get(..target.len() - path_of(&target).len())
                .unwrap_or_default();
            forget(ctx, &format!("{origin}{}", other.path()), other.query());
        }
    }
}

/// Here at once; other gateways hear of it soon.
fn forget(ctx: &Ctx, url: &str, query: Option<&str>) {
    purge::changed(&ctx.snapshot.zones, url, query);
    ctx.snapshot.followers.changed(url, query);
}

fn succeeded(status: StatusCode) -> bool {
    status.is_success() || status.is_redirection()
}

/// What follows the authority.
fn path_of(url: &str) -> &str {
    let after = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(after..).unwrap_or_default();
    rest.find('/')
        .and_then(|at| rest.get(at..))
        .unwrap_or_default()
}

fn named(head: &ResponseHeader, name: &HeaderName, base: &url::Url) -> Option<url::Url> {
    let value = head.headers.get(name)?.to_str().ok()?;
    let other = base.join(value).ok()?;
    (other.origin() == base.origin()).then_some(other)
}
