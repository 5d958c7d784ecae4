//! What the cache did for a request, in words of the log, of metrics and of RFC 9211.

use pingora::prelude::Session;
use pingora_cache::{CachePhase, NoCacheReason};

use super::State;
use crate::cache::freshness::Use;
use crate::observe::cache::{CacheMetrics, CacheResult, Waited};

/// What it did, and why not more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) struct Done {
    pub(in crate::proxy) result: CacheResult,
    pub(in crate::proxy) reason: Option<&'static str>,
    pub(in crate::proxy) stored: bool,
}

/// Counts it.
pub(in crate::proxy) fn count(session: &Session, state: &State, metrics: &CacheMetrics) {
    let done = of(session, state);
    metrics.count(done.result, done.reason);
    let given = matches!(
        done.result,
        CacheResult::Hit | CacheResult::Stale | CacheResult::Revalidated
    );
    if given {
        metrics.gave(session.body_bytes_sent() as u64);
    }
    if state.quick || session.cache.lock_duration().is_none() {
        return;
    }
    metrics.waited(match done.reason {
        Some("waited-in-vain") => Waited::InVain,
        _ if given => Waited::Given,
        _ => Waited::Fetched,
    });
}

/// Reads it off the engine.
pub(in crate::proxy) fn of(session: &Session, state: &State) -> Done {
    if state.quick {
        return Done {
            result: CacheResult::Hit,
            reason: None,
            stored: false,
        };
    }
    let verdict = state.found.as_ref().map(|(_, verdict)| *verdict);
    let (result, reason, stored) = match session.cache.phase() {
        CachePhase::Hit => match verdict {
            Some(Use::Tolerated) => (CacheResult::Stale, Some("max-stale"), false),
            Some(Use::WhileRevalidate) => (CacheResult::Stale, Some("while-revalidate"), false),
            _ => (CacheResult::Hit, None, false),
        },
        CachePhase::Stale | CachePhase::StaleUpdating => (CacheResult::Stale, Some("error"), false),
        CachePhase::Revalidated => (CacheResult::Revalidated, asked(verdict), true),
        CachePhase::RevalidatedNoCache(_) => (CacheResult::Revalidated, state.reason, false),
        CachePhase::Miss => (CacheResult::Miss, None, true),
        CachePhase::Expired => (CacheResult::Miss, asked(verdict).or(Some("expired")), true),
        CachePhase::Bypass => (CacheResult::Bypass, Some("not-stored-lately"), false),
        CachePhase::Disabled(_) if state.bypassed => (CacheResult::Bypass, state.reason, false),
        CachePhase::Disabled(NoCacheReason::CacheLockTimeout) => {
            (CacheResult::Miss, Some("waited-in-vain"), false)
        }
        CachePhase::Disabled(_) | CachePhase::Uninit | CachePhase::CacheKey => {
            (CacheResult::Miss, state.reason, false)
        }
    };
    Done {
        result,
        reason,
        stored,
    }
}

fn asked(verdict: Option<Use>) -> Option<&'static str> {
    (verdict == Some(Use::Asked)).then_some("request")
}
