//! `retry` of a route, and of `[defaults]`.

use http::Method;
use plugins::contract::place::At;

use super::{Context, bounds};
use crate::config::model::{RetryConfig, RetryOn};
use crate::config::raw::{Either, RawRetry, RawRetryOrNone};

/// The policy; `None` for `"none"`.
pub(super) fn retry(raw: &At<RawRetryOrNone>, context: &mut Context<'_>) -> Option<RetryConfig> {
    let Either::Long(raw) = &**raw else {
        return None;
    };
    let report = &mut *context.report;
    let per_try = raw.per_try_timeout.as_ref();
    let hedge = raw.hedge_after.as_ref();
    let attempts = bounds::RETRY_ATTEMPTS.take(raw.attempts.as_ref(), report);
    if let Some(hedge) = hedge.filter(|_| attempts < 2) {
        let message = "a second target is a second try, and `attempts` allows one";
        let complaint = report.error(hedge.span(), "retry.hedge-tries", message);
        complaint.help("write attempts = 2, or leave hedge-after out");
    }
    Some(RetryConfig {
        attempts,
        hedge_after: hedge.map(|time| bounds::HEDGE_AFTER.duration(Some(time), report)),
        per_try_timeout: per_try.map(|time| bounds::PER_TRY_TIMEOUT.duration(Some(time), report)),
        backoff: bounds::RETRY_BACKOFF.duration(raw.backoff.as_ref(), report),
        budget: budget(raw, context),
        on: on(raw, context),
        methods: methods(raw, context),
    })
}

fn budget(raw: &RawRetry, context: &mut Context<'_>) -> u32 {
    let Some(written) = &raw.budget else {
        return 20;
    };
    let percent = written.percent();
    if percent == 0 {
        context
            .report
            .error(
                written.span(),
                "retry.budget",
                "a budget of 0% repeats nothing",
            )
            .help("write at least \"1%\", or retry = \"none\"");
    }
    u32::from(percent)
}

fn on(raw: &RawRetry, context: &mut Context<'_>) -> Vec<RetryOn> {
    let Some(written) = &raw.on else {
        return vec![RetryOn::ConnectFailure, RetryOn::Reset];
    };
    let mut causes: Vec<RetryOn> = Vec::new();
    for cause in written.iter() {
        if causes.contains(&cause.0) {
            let message = format!("`{}` is named twice", cause.0);
            let complaint = context
                .report
                .error(cause.span(), "retry.on-twice", message);
            complaint.help("remove one");
        } else {
            causes.push(cause.0);
        }
    }
    if causes.is_empty() {
        context
            .report
            .error(written.span(), "retry.on-empty", "`on` names no reason")
            .help("write for example on = [\"connect-failure\", \"503\"], or retry = \"none\"");
    }
    causes
}

fn methods(raw: &RawRetry, context: &mut Context<'_>) -> Vec<Method> {
    let Some(written) = &raw.methods else {
        return vec![Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE];
    };
    let mut methods = Vec::new();
    for name in written.iter() {
        match Method::from_bytes(name.as_bytes()) {
            Ok(method) if *name.to_ascii_uppercase() == ***name => methods.push(method),
            _ => {
                context
                    .report
                    .error(
                        name.span(),
                        "retry.method",
                        format!("`{}` is not the name of a method", **name),
                    )
                    .help("methods are written in capitals: \"GET\", \"PUT\"");
            }
        }
    }
    if methods.contains(&Method::GET) && !methods.contains(&Method::HEAD) {
        methods.push(Method::HEAD);
    }
    methods
}
