//! The fields that tell clients what is left.
//!
//! `RateLimit` and `RateLimit-Policy` are lists of structured fields (RFC 9651) as in the IETF's draft (version 10):
//! `"plans";q=100;w=60` says what may be used at once and in how many seconds it comes back, `"plans";r=42;t=35` what
//! is left and in how many seconds all of it will be. Several limits on one route are several members of the list.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use super::config::LimitConfig;
use super::written::RawHeaders;
use super::{Verdict, seconds};
use crate::contract::view::ResponseView;

static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
static REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
static RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What a policy writes into answers.
pub(super) struct Fields {
    which: RawHeaders,
    /// What `RateLimit` starts with: `"plans";r=`
    start: Box<[u8]>,
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
            start: format!("\"{name}\";r=").into_bytes().into(),
        }
    }

    /// Writes the fields of one request.
    pub(super) fn write(&self, plan: usize, verdict: &Verdict, response: &mut ResponseView<'_>) {
        let Some((count, policy)) = self.plans.get(plan) else {
            return;
        };
        response.change(|fields| {
            if matches!(self.which, RawHeaders::Ietf | RawHeaders::Both) {
                append(fields, &POLICY, policy.clone());
                append(fields, &RATE_LIMIT, self.left(verdict));
            }
            if matches!(self.which, RawHeaders::Legacy | RawHeaders::Both) {
                legacy(*count, verdict, fields);
            }
        });
    }

    /// `"plans";r=42;t=35`, in one piece of memory of just that length.
    fn left(&self, verdict: &Verdict) -> Option<HeaderValue> {
        const RESET: &[u8] = b";t=";
        let (mut left, mut reset) = (itoa::Buffer::new(), itoa::Buffer::new());
        let left = left.format(verdict.remaining);
        let reset = reset.format(seconds(verdict.reset));
        let length = self.start.len() + left.len() + RESET.len() + reset.len();
        let mut text = Vec::with_capacity(length);
        for part in [&*self.start, left.as_bytes(), RESET, reset.as_bytes()] {
            text.extend_from_slice(part);
        }
        HeaderValue::from_maybe_shared(Bytes::from(text)).ok()
    }
}

/// There is one set of these: of several limits the one of which least is left. Reset is in seconds from now.
fn legacy(count: u64, verdict: &Verdict, fields: &mut HeaderMap) {
    let written = fields.get(&REMAINING);
    let least = written.and_then(|left| left.to_str().ok()?.parse::<u64>().ok());
    if least.is_some_and(|least| least <= verdict.remaining) {
        return;
    }
    for (name, number) in [
        (&LIMIT, count),
        (&REMAINING, verdict.remaining),
        (&RESET, seconds(verdict.reset)),
    ] {
        // Fails only beyond the most fields that a map can hold.
        drop(fields.try_insert(name, HeaderValue::from(number)));
    }
}

fn append(fields: &mut HeaderMap, name: &'static HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        // Fails only beyond the most fields that a map can hold.
        drop(fields.try_append(name, value));
    }
}
