//! `strip-prefix`, `rewrite` and `host`: how the request changes on its way to the upstream.

use plugins::contract::place::{At, Span};
use plugins::contract::template::Template;

use super::Context;
use crate::config::leaf::HostChoice;
use crate::config::model::PathChange;
use crate::config::raw::RawRoute;
use crate::routing::pattern::{Matcher, Segment};

/// `None` if it has been complained about.
pub(super) fn path_change(
    raw: &RawRoute,
    matcher: Option<&Matcher>,
    context: &mut Context<'_>,
) -> Option<PathChange> {
    if raw.redirect.is_some() || raw.respond.is_some() {
        idle(raw, context);
    }
    match (&raw.strip_prefix, &raw.rewrite) {
        (None, None) => Some(PathChange::Keep),
        (Some(prefix), None) => strip_prefix(prefix, matcher, context).map(PathChange::StripPrefix),
        (None, Some(path)) => rewrite(path, matcher, context).map(PathChange::Rewrite),
        (Some(prefix), Some(path)) => {
            context
                .report
                .error(
                    path.span(),
                    "route.path-change",
                    "`strip-prefix` and `rewrite` exclude each other",
                )
                .related(prefix.span(), "the prefix is stripped here")
                .help("write the whole new path as `rewrite`");
            None
        }
    }
}

/// A route that forwards nothing has no use for these keys.
fn idle(raw: &RawRoute, context: &mut Context<'_>) {
    let keys = [
        ("strip-prefix", raw.strip_prefix.as_ref().map(At::span)),
        ("rewrite", raw.rewrite.as_ref().map(At::span)),
        ("host", raw.host.as_ref().map(At::span)),
        ("deadline-from", raw.deadline_from.as_ref().map(At::span)),
        ("fallback", raw.fallback.as_ref().map(At::span)),
        ("mirror", raw.mirror.as_ref().map(At::span)),
        ("retry", raw.retry.as_ref().map(At::span)),
    ];
    for (key, span) in keys {
        if let Some(span) = span {
            context
                .report
                .error(
                    span,
                    "route.path-change",
                    format!("`{key}` does nothing on a route without an upstream"),
                )
                .help("remove it");
        }
    }
}

fn strip_prefix(
    prefix: &At<String>,
    matcher: Option<&Matcher>,
    context: &mut Context<'_>,
) -> Option<String> {
    let mut wrong = |message: String, help: String| {
        context
            .report
            .error(prefix.span(), "route.strip-prefix", message)
            .help(help);
        None
    };
    let text = prefix.trim_end_matches('/');
    let Some(path) = text.strip_prefix('/') else {
        return wrong(
            format!("`{}` strips nothing", **prefix),
            "write the leading segments, for example \"/orders\"".to_owned(),
        );
    };
    let literals: Vec<&str> = matcher
        .into_iter()
        .flat_map(|matcher| matcher.path.segments())
        .map_while(|segment| match segment {
            Segment::Literal(text) => Some(text.as_str()),
            Segment::Param(_) | Segment::Rest(_) => None,
        })
        .collect();
    let stripped: Vec<&str> = path.split('/').collect();
    if matcher.is_some() && !literals.starts_with(&stripped) {
        let common = literals.join("/");
        let help = if common.is_empty() {
            "the pattern starts with no literal segment: use `rewrite`".to_owned()
        } else {
            format!("at most \"/{common}\" can be stripped")
        };
        return wrong(
            format!("not every path of this route starts with `{text}`"),
            help,
        );
    }
    Some(text.to_owned())
}

fn rewrite(
    path: &At<Template>,
    matcher: Option<&Matcher>,
    context: &mut Context<'_>,
) -> Option<Template> {
    context.template(path, &path.span(), matcher);
    let start = path.literal_start();
    if !start.starts_with('/') || start.starts_with("//") {
        context
            .report
            .error(
                path.span(),
                "route.rewrite",
                "the new path does not start with one `/`",
            )
            .help("write for example \"/v2/{path.id}\"");
        return None;
    }
    Some((**path).clone())
}

pub(super) fn host(host: &At<Template>, matcher: Option<&Matcher>, context: &mut Context<'_>) {
    let span: Span = host.span();
    context.template(host, &span, matcher);
    let is_host =
        |text: &str| !matches!(text, "client" | "target") && text.parse::<HostChoice>().is_ok();
    if let Some(text) = host.literal().filter(|text| !is_host(text)) {
        context
            .report
            .error(span, "route.host", format!("`{text}` is not a host"))
            .help("write a host name; \"client\" and \"target\" are choices of an upstream");
    }
}
