//! The key of a request: everything that makes it another one.

use pingora::http::RequestHeader;
use pingora_cache::CacheKey;
use plugins::contract::value::ValueError;

use super::{authority, port, proxies};
use crate::cache::key::Key;
use crate::cache::policy::CachePolicy;
use crate::cache::storage::Ask;
use crate::cache::vary;
use crate::cache::zone::Zone;
use crate::proxy::ctx::Ctx;

/// What the zone is asked.
pub(super) fn ask(
    head: &RequestHeader,
    ctx: &Ctx,
    policy: &CachePolicy,
) -> Result<Ask, ValueError> {
    let (shared, own) = keys(head, ctx, policy)?;
    Ok(Ask::new(shared, own, head.headers.clone()))
}

/// The key of what may serve every identity and, on routes that know who asks, of what serves this one alone.
pub(super) fn keys(
    head: &RequestHeader,
    ctx: &Ctx,
    policy: &CachePolicy,
) -> Result<(Key, Option<Key>), ValueError> {
    let shared = shared(head, ctx, policy)?;
    let own = policy.authenticated.then(|| {
        let mut own = shared.clone();
        let identity = ctx.seen.facts.identity();
        own.optional(identity.map(|identity| identity.key().as_bytes()));
        own
    });
    Ok((shared, own))
}

fn shared(head: &RequestHeader, ctx: &Ctx, policy: &CachePolicy) -> Result<Key, ValueError> {
    let path = ctx.seen.path.as_deref().unwrap_or(head.uri.path());
    let query = policy.query.part(head.uri.query());
    let mut key = Key::with_capacity(policy.space.len() + path.len() + 96);
    key.part(&policy.space);
    key.part(
        ctx.arm()
            .map_or("", |arm| &*arm.upstream.config.name)
            .as_bytes(),
    );
    key.part(if ctx.seen.secure { b"https" } else { b"http" });
    key.part(ctx.seen.host.as_bytes());
    let port = port(head);
    key.part(port.as_bytes());
    let authority = authority(head);
    if authority.strip_suffix(port) != Some(&*ctx.seen.host) {
        // In capitals, say: upstreams see it as it was sent. No path is like this part, which stands before it.
        key.part(b"spelt");
        key.part(authority.as_bytes());
    }
    key.part(path.as_bytes());
    key.optional(query.as_ref().map(|query| query.as_bytes()));
    if ctx.seen.trusted {
        proxies::add(&mut key, &head.headers);
    }
    if policy.vary_on.is_empty() {
        return Ok(key);
    }
    let identified = ctx.seen.identified(&ctx.snapshot, head);
    let view = identified.view(&head.method, head.uri.query(), &head.headers);
    for value in &policy.vary_on {
        match view.lookup(value) {
            Ok(text) => key.optional(Some(text.as_bytes())),
            Err(ValueError::Missing) => key.optional(None),
            Err(error) => return Err(error),
        }
    }
    Ok(key)
}

/// The engine's key: what requests that wait for each other share.
pub(super) fn engine(ask: &std::sync::Arc<Ask>, zone: &Zone) -> CacheKey {
    let mut primary = ask.own.as_ref().unwrap_or(&ask.shared).clone();
    if let Some(names) = zone.varies(&ask.shared) {
        primary.part(vary::values(&ask.fields, &names).bytes());
    }
    let mut key = CacheKey::new(primary.bytes(), "");
    key.extensions.insert(ask.clone());
    key
}
