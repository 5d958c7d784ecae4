//! What becomes of an answer that an upstream gave: kept, kept again, or not.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{self, HeaderMap, HeaderName};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::prelude::Session;
use pingora_cache::{NoCacheReason, RespCacheable};

use super::{State, url};
use crate::cache::entry::{Entry, Place, merged_fields};
use crate::cache::policy::CachePolicy;
use crate::cache::storable::{Exchange, Keeping, keep};
use crate::cache::storage::{Ask, Plan, head_of, meta_for};
use crate::proxy::ctx::Ctx;
use crate::proxy::{lower, response, response_head};

/// Tags of one answer that count.
const TAGS_MAX: usize = 64;

/// Decides; what is said of a stored answer that its origin has confirmed counts whole.
pub(in crate::proxy) fn store(
    session: &Session,
    head: &ResponseHeader,
    ctx: &mut Ctx,
) -> RespCacheable {
    let Some(mut state) = ctx.progress.cache.take() else {
        return not_kept("no-policy");
    };
    let decided = match ctx.route().and_then(|route| route.cache.as_ref()) {
        Some(policy) => decide(session, head, ctx, policy, &mut state),
        None => not_kept("no-policy"),
    };
    ctx.progress.cache = Some(state);
    decided
}

fn decide(
    session: &Session,
    head: &ResponseHeader,
    ctx: &Ctx,
    policy: &CachePolicy,
    state: &mut State,
) -> RespCacheable {
    let stored = state.found.as_ref().map(|(entry, _)| entry);
    let confirmed = state
        .confirmed
        .take()
        .zip(stored)
        .map(|(fields, entry)| again(entry, &fields));
    let (head, confirmed) = match confirmed {
        Some((head, entry)) => (head, Some(entry)),
        None => (head.clone(), None),
    };
    let exchange = Exchange {
        asked: state.asked,
        arrived: SystemTime::now(),
    };
    let kept = keep(
        &policy.rules,
        state.asker,
        head.status,
        &head.headers,
        exchange,
    );
    let unfit = response_head::look(&head).is_err() || response::is_stream(&head);
    let keeping = match kept {
        Ok(keeping) if keeping.vary.iter().any(|name| state.ours.contains(name)) => {
            // It was chosen by what no later request can be asked for.
            state.reason = Some("vary");
            return not_kept("vary");
        }
        Ok(_) if unfit => {
            state.reason = Some("stream");
            return not_kept("stream");
        }
        Ok(_) if too_large(&head.headers, policy.object_max) => {
            state.reason = Some("too-large");
            return not_kept("too-large");
        }
        Ok(keeping) => keeping,
        Err(refused) => {
            state.reason = Some(refused.name());
            return not_kept(refused.name());
        }
    };
    let Some(ask) = state.ask.clone() else {
        return not_kept("no-key");
    };
    let place = place(session.req_header(), ctx, policy, &ask, &keeping);
    let tags = tags(&head.headers, &policy.tags_from);
    if policy.zone.recalled_since(state.mark, &place, &tags) {
        state.reason = Some("purged");
        return not_kept("purged");
    }
    let plan = Plan {
        place: Arc::new(place),
        tags,
        keeping,
        ask,
        confirmed,
        object_max: policy.object_max,
        asked: state.mark,
    };
    RespCacheable::Cacheable(meta_for(plan, head))
}

fn place(
    request: &RequestHeader,
    ctx: &Ctx,
    policy: &CachePolicy,
    ask: &Ask,
    keeping: &Keeping,
) -> Place {
    let own = ask.own.as_ref().filter(|_| !serves_all(policy, keeping));
    let query = request.uri.query();
    Place {
        key: own.unwrap_or(&ask.shared).clone(),
        url: url(request, ctx).into(),
        query: policy.query.part(query).map(Into::into),
        rule: Arc::new(policy.query.clone()),
    }
}

fn serves_all(policy: &CachePolicy, keeping: &Keeping) -> bool {
    policy.shared || keeping.shareable
}

/// The head of a stored answer after its origin has confirmed it.
fn again(entry: &Arc<Entry>, fields: &HeaderMap) -> (ResponseHeader, Arc<Entry>) {
    let mut head = head_of(entry);
    lower::response(&mut head, |stored| *stored = merged_fields(stored, fields));
    (head, entry.clone())
}

fn not_kept(reason: &'static str) -> RespCacheable {
    RespCacheable::Uncacheable(NoCacheReason::Custom(reason))
}

fn too_large(fields: &HeaderMap, most: usize) -> bool {
    let length = fields
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok());
    length.is_some_and(|length| length.parse::<usize>().is_ok_and(|length| length > most))
}

fn tags(fields: &HeaderMap, names: &[HeaderName]) -> Box<[Arc<str>]> {
    let lines = names.iter().flat_map(|name| fields.get_all(name));
    let words = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split([',', ' ', '\t']))
        .filter(|word| !word.is_empty());
    words.take(TAGS_MAX).map(Arc::from).collect()
}
