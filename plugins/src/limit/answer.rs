//! The fields that tell clients what is left.
//!
//! `RateLimit` and `RateLimit-Policy` are lists of structured fields (RFC 9651) as in the IETF's draft (version 10):
//! `"plans";q=100;w=60` says what may be used at once and in how many seconds it comes back, `"plans";r=42;t=35` what
//! is left and in how many seconds all of it will be. Several limits on one route are several members of the list.

use std::fmt::Write;

use http::{HeaderName, HeaderValue};
use pingora_http::ResponseHeader;

use super::config::LimitConfig;
use super::written::RawHeaders;
use super::{Verdict, seconds};

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What a policy writes into answers.
pub(super) struct Fields {
    which: RawHeaders,
    /// `"plans"`
    name: Box<str>,
    /// Of each plan: what may be used, and `RateLimit-Policy`.
    plans: Box<[(u64, Option<HeaderValue>)]>,
}

impl Fields {
    /// The name is that of the policy; inline tables of one route are told apart by their number.
    pub(super) fn new(config: &LimitConfig, name: &str, index: usize) -> Self {
        let name = match index {
            0 => name.to_owned(),
            index => format!("{name}-{index}"),
        };
        let plan = |plan: &super::config::PlanConfig| {
            let (count, window) = plan.rule.budget();
            // Names are letters, digits and hyphens, so nothing has to be escaped.
            let policy = format!("\"{name}\";q={count};w={window}");
            (count, HeaderValue::try_from(policy).ok())
        };
        Self {
            which: config.headers,
            plans: config.counts.plans.iter().map(plan).collect(),
            name: name.into(),
        }
    }

    /// Writes the fields of one request.
    pub(super) fn write(&self, plan: usize, verdict: &Verdict, head: &mut ResponseHeader) {
        let Some((count, policy)) = self.plans.get(plan) else {
            return;
        };
        if matches!(self.which, RawHeaders::Ietf | RawHeaders::Both) {
            if let Some(policy) = policy {
                append(head, &POLICY, policy.clone());
            }
            if let Some(left) = self.left(verdict) {
                append(head, &RATE_LIMIT, left);
            }
        }
        if matches!(self.which, RawHeaders::Legacy | RawHeaders::Both) {
            legacy(*count, verdict, head);
        }
    }

    fn left(&self, verdict: &Verdict) -> Option<HeaderValue> {
        let mut text = String::with_capacity(self.name.len() + 48);
        let (left, reset) = (verdict.remaining, seconds(verdict.reset));
        write!(text, "\"{}\";r={left};t={reset}", self.name).ok()?;
        HeaderValue::try_from(text).ok()
    }
}

/// There is one set of these: of several limits the one of which least is left. Reset is in seconds from now.
fn legacy(count: u64, verdict: &Verdict, head: &mut ResponseHeader) {
    let written = head.headers.get(&REMAINING);
    let least = written.and_then(|left| left.to_str().ok()?.parse::<u64>().ok());
    if least.is_some_and(|least| least <= verdict.remaining) {
        return;
    }
    for (name, number) in [
        (&LIMIT, count),
        (&REMAINING, verdict.remaining),
        (&RESET, seconds(verdict.reset)),
    ] {
        // Fails only for names that are no header's.
        drop(head.insert_header(name.clone(), HeaderValue::from(number)));
    }
}

fn append(head: &mut ResponseHeader, name: &HeaderName, value: HeaderValue) {
    // Fails only for names that are no header's.
    drop(head.append_header(name.clone(), value));
}
