//! What a route does: exactly one of `upstream`, `split`, `redirect`, `respond`.

use std::collections::BTreeMap;

use plugins::contract::place::{At, Span};
use plugins::contract::report::nearest;

use super::matcher::conditions;
use super::{Context, bounds, redirect, respond};
use crate::config::model::{Action, Dispatch, FallbackConfig, SplitConfig, UpstreamId};
use crate::config::raw::{
    Either, RawConditions, RawDispatch, RawRespond, RawRoute, RawRouteUpstream, RawSplit,
};
use crate::routing::pattern::{Condition, Matcher};

/// The route that an action belongs to.
pub(super) struct Scope<'a> {
    pub(super) route: &'a str,
    pub(super) span: &'a Span,
    /// Whether the shape check took nothing from it.
    pub(super) whole: bool,
    pub(super) matcher: Option<&'a Matcher>,
    pub(super) upstreams: &'a BTreeMap<String, usize>,
}

/// The action and its place.
pub(super) fn action(
    raw: &RawRoute,
    scope: &Scope<'_>,
    context: &mut Context<'_>,
) -> Option<(Action, Span)> {
    let upstream = raw.upstream.as_ref();
    let (split, redirect) = (raw.split.as_ref(), raw.redirect.as_ref());
    let respond = raw.respond.as_ref();
    let written = [
        ("upstream", upstream.map(At::span)),
        ("split", split.map(At::span)),
        ("redirect", redirect.map(At::span)),
        ("respond", respond.map(At::span)),
    ];
    let span = only(&written, scope, context);
    let action = upstream
        .map(|raw| forward(raw, scope, context).map(Action::Upstream))
        .or_else(|| split.map(|raw| self::split(raw, scope, context).map(Action::Split)))
        .or_else(|| redirect.map(|raw| redirect::redirect(raw, scope.matcher, context)))
        .or_else(|| respond.map(|raw| respond::respond(raw, context).map(Action::Respond)))
        .flatten();
    Some((action?, span?))
}

/// The place of the one action; complains about none and about two.
fn only(
    written: &[(&str, Option<Span>)],
    scope: &Scope<'_>,
    context: &mut Context<'_>,
) -> Option<Span> {
    let mut actions = written
        .iter()
        .filter_map(|(key, span)| Some((key, span.clone()?)));
    let route = scope.route;
    let Some((first, span)) = actions.next() else {
        if scope.whole {
            context
                .report
                .error(
                    scope.span.clone(),
                    "route.no-action",
                    format!("[route.{route}] does nothing"),
                )
                .label("add an action")
                .help("add `upstream`, `split`, `redirect` or `respond`");
        }
        return None;
    };
    let Some((second, other)) = actions.next() else {
        return Some(span);
    };
    context
        .report
        .error(
            other,
            "route.two-actions",
            format!("[route.{route}] has both `{first}` and `{second}`"),
        )
        .related(span, "the first action")
        .help("a route does one thing: remove one of the two");
    None
}

impl Context<'_> {
    pub(super) fn upstream(
        &mut self,
        name: &str,
        span: &Span,
        scope: &Scope<'_>,
    ) -> Option<UpstreamId> {
        self.reference("upstream", name, span, scope.upstreams)
            .map(UpstreamId)
    }
}

/// What happens when the action's upstream has failed for good.
pub(super) fn fallback(
    raw: &At<Either<String, RawRespond>>,
    action: Option<&Action>,
    scope: &Scope<'_>,
    context: &mut Context<'_>,
) -> Option<FallbackConfig> {
    let name = match &**raw {
        Either::Short(name) => name,
        Either::Long(table) => {
            let table = At::new(table.clone(), raw.span());
            return respond::respond(&table, context).map(FallbackConfig::Respond);
        }
    };
    let id = context.upstream(name, &raw.span(), scope)?;
    if matches!(action, Some(Action::Upstream(Dispatch::Always(same))) if *same == id) {
        context
            .report
            .error(
                raw.span(),
                "route.fallback",
                format!("`{name}` is the upstream that has failed"),
            )
            .help("name another upstream, or write an answer: { status = 503, body = \"sorry\" }");
    }
    Some(FallbackConfig::Upstream(id))
}

fn forward(
    raw: &At<RawRouteUpstream>,
    scope: &Scope<'_>,
    context: &mut Context<'_>,
) -> Option<Dispatch<UpstreamId>> {
    match &**raw {
        Either::Short(name) => context
            .upstream(name, &raw.span(), scope)
            .map(Dispatch::Always),
        Either::Long(table) => dispatch(table, scope, context),
    }
}

fn dispatch(
    raw: &RawDispatch,
    scope: &Scope<'_>,
    context: &mut Context<'_>,
) -> Option<Dispatch<UpstreamId>> {
    context.value(&raw.by, &raw.by.span(), scope.matcher);
    if raw.map.is_empty() {
        context
            .report
            .error(raw.by.span(), "route.dispatch-empty", "`map` is empty")
            .help("name an upstream for each value: map = { acme = \"acme\" }");
    }
    let mut map = Some(BTreeMap::new());
    for (value, name) in &raw.map {
        match (context.upstream(name, &name.span(), scope), map.as_mut()) {
            (Some(id), Some(map)) => drop(map.insert(value.clone(), id)),
            (Some(_), None) => {}
            (None, _) => map = None,
        }
    }
    let otherwise = match &raw.otherwise {
        Some(name) => Some(context.upstream(name, &name.span(), scope)?),
        None => None,
    };
    Some(Dispatch::By {
        value: raw.by.clone().into_inner(),
        map: map?,
        otherwise,
    })
}

fn split(raw: &At<RawSplit>, scope: &Scope<'_>, context: &mut Context<'_>) -> Option<SplitConfig> {
    if let Some(sticky) = &raw.sticky {
        context.value(sticky, &sticky.span(), scope.matcher);
    }
    let mut arms = Vec::new();
    let mut whole = true;
    for (name, weight) in raw.to.iter() {
        let weight_value = bounds::SHARE.take(Some(weight), context.report);
        let place = context.part(&raw.to.span(), name);
        match context.upstream(name, &place, scope) {
            Some(id) => arms.push((id, weight_value)),
            None => whole = false,
        }
    }
    let pick = picks(raw, scope, context);
    if !raw.to.values().any(|weight| **weight > 0) {
        context
            .report
            .error(
                raw.to.span(),
                "route.split-weights",
                "no weight is above zero, so no request could go anywhere",
            )
            .help("give at least one upstream a weight: to = { stable = 90, canary = 10 }");
    }
    whole.then_some(SplitConfig {
        arms,
        sticky: raw.sticky.clone().map(At::into_inner),
        pick: pick?,
    })
}

fn picks(
    raw: &At<RawSplit>,
    scope: &Scope<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<(usize, Vec<Condition>)>> {
    let arms: BTreeMap<&str, usize> = raw.to.keys().map(String::as_str).zip(0..).collect();
    let mut picks = Some(Vec::new());
    for (name, table) in raw.pick.iter().flatten() {
        let read = pick(name, table, &arms, scope, context);
        match (read, picks.as_mut()) {
            (Some(pick), Some(picks)) => picks.push(pick),
            (Some(_), None) => {}
            (None, _) => picks = None,
        }
    }
    picks
}

fn pick(
    name: &str,
    table: &At<RawConditions>,
    arms: &BTreeMap<&str, usize>,
    scope: &Scope<'_>,
    context: &mut Context<'_>,
) -> Option<(usize, Vec<Condition>)> {
    let read = conditions((**table).clone(), context);
    let arm = arms.get(name).copied();
    if arm.is_none() {
        let listed: Vec<String> = arms.keys().map(|name| format!("`{name}`")).collect();
        let help = match nearest(name, arms.keys().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", listed.join(", ")),
        };
        context
            .report
            .error(
                table.span(),
                "route.split-pick",
                format!("`pick` names `{name}`, which is not among `to`"),
            )
            .help(help);
    }
    if read.as_ref().is_some_and(Vec::is_empty) && scope.whole {
        context
            .report
            .error(
                table.span(),
                "route.split-pick",
                format!("`pick` of `{name}` has no condition"),
            )
            .help("add one: { header = { x-cohort = \"beta\" } }");
    }
    Some((arm?, read?))
}
