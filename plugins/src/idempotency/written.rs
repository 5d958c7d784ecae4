//! The table as written, and as meant.

use std::time::Duration;

use crate::contract::mode::RawMode;
use crate::contract::prelude::*;
use crate::contract::token::MethodName;

const KEEP: Time = Time::from_secs(24 * 3600);
const KEEP_MIN: Time = Time::from_secs(1);
const KEEP_MAX: Time = Time::from_secs(30 * 24 * 3600);
const BODY_MAX: u64 = 1 << 20;
/// An answer is kept in one piece, and a store gets it in one.
const BODY_MAX_MAX: u64 = 16 << 20;

/// `idempotency` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawIdempotency {
    /// The `[store.NAME]` in which all gateways remember together. Left out: each remembers for itself, up to 64MiB.
    store: Option<At<String>>,
    /// What happens while the store does not answer: `"deny"`, `"local"` or `"allow"`. Default: `"deny"`.
    on_error: Option<At<OnError>>,
    /// How long an answer is kept, 1 second to 30 days. Default: `"24h"`.
    keep: Option<At<Time>>,
    /// The most bytes of a request with a key and of an answer that is kept, at most 16MiB. Default: `"1MiB"`.
    body_max: Option<At<Size>>,
    /// Whether a request without a key is refused. Default: `false`.
    required: Option<At<bool>>,
    /// The methods that it is for. Default: `["POST", "PATCH"]`.
    methods: Option<At<Vec<At<MethodName>>>>,
    /// `"shadow"` counts and logs what would be refused, and replays nothing.
    mode: Option<At<RawMode>>,
}

/// What happens while the store does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OnError {
    /// Requests with a key are refused with 503.
    #[default]
    Deny,
    /// Each gateway remembers for itself.
    Local,
    /// Requests pass, and nothing is remembered.
    Allow,
}

impl OnError {
    /// The word for metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Local => "local",
            Self::Allow => "allow",
        }
    }
}

/// `idempotency` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct IdempotencyConfig {
    pub(super) store: Option<At<String>>,
    pub(super) on_error: OnError,
    pub(super) keep: Duration,
    pub(super) body_max: u64,
    pub(super) required: bool,
    pub(super) methods: Vec<Method>,
    pub(super) mode: Mode,
}

/// Reports every mistake.
pub(super) fn validate(raw: RawIdempotency, report: &mut Report) -> IdempotencyConfig {
    if let (None, Some(on_error)) = (&raw.store, &raw.on_error) {
        report
            .error(
                on_error.span(),
                "idempotency.on-error",
                "`on-error` without `store` does nothing",
            )
            .help("add store = \"NAME\" or remove this key");
    }
    IdempotencyConfig {
        keep: keep(raw.keep.as_ref(), report),
        body_max: body_max(raw.body_max.as_ref(), report),
        methods: methods(raw.methods, report),
        store: raw.store,
        on_error: raw.on_error.map(At::into_inner).unwrap_or_default(),
        required: raw.required.is_some_and(|required| *required),
        mode: Mode::open_ended(raw.mode),
    }
}

fn keep(written: Option<&At<Time>>, report: &mut Report) -> Duration {
    let Some(written) = written else {
        return KEEP.duration();
    };
    if !(KEEP_MIN..=KEEP_MAX).contains(&**written) {
        report
            .error(
                written.span(),
                "idempotency.keep",
                "an answer is kept for 1 second to 30 days",
            )
            .help("a day is usual: keep = \"24h\"");
    }
    written.duration()
}

fn body_max(written: Option<&At<Size>>, report: &mut Report) -> u64 {
    let Some(written) = written else {
        return BODY_MAX;
    };
    if !(1..=BODY_MAX_MAX).contains(&written.bytes()) {
        report
            .error(
                written.span(),
                "idempotency.body-max",
                "`body-max` is out of range",
            )
            .help("write a size from \"1B\" to \"16MiB\"");
    }
    written.bytes()
}

fn methods(written: Option<At<Vec<At<MethodName>>>>, report: &mut Report) -> Vec<Method> {
    let Some(written) = written else {
        return vec![Method::POST, Method::PATCH];
    };
    if written.is_empty() {
        report
            .error(
                written.span(),
                "idempotency.methods",
                "`methods` is empty, so no key is ever looked at",
            )
            .help("name methods, or remove the policy");
    }
    let mut methods = Vec::new();
    for named in written.into_inner() {
        let method = named.method().clone();
        if method.is_safe() || method == Method::CONNECT {
            report
                .error(
                    named.span(),
                    "idempotency.methods",
                    format!("a {method} may be repeated without a key"),
                )
                .help("name methods that change something: POST, PATCH, PUT, DELETE");
        }
        if !methods.contains(&method) {
            methods.push(method);
        }
    }
    methods
}
