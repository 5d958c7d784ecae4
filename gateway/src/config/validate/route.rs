//! `[route.NAME]`: what each route is after `like`, `[defaults]` and `[always]`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use plugins::chain::{NamedPolicies, PoliciesConfig, PolicyLayer, RawNamed, RawPolicies};
use plugins::contract::place::{At, Span};
use plugins::contract::policy::Layer;

use plugins::contract::value::Value;

mod auth;
mod reach;
mod timing;

use super::like::{Routes, lineage, merged, provenance};
use super::matcher::matcher;
use super::{Context, Names, action, cache, conflict, mirror, path_change, people, plain, retry};
use crate::config::model::{
    Action, CacheConfig, FallbackConfig, PathChange, RetryConfig, RouteConfig, StreamLimits,
    TrailingSlash, UpstreamId,
};
use crate::config::raw::{RawDefaults, RawRoute, RawTrailingSlash, WithPolicies};
use crate::routing::pattern::Matcher;

/// Everything that routes are made of.
pub(super) struct Tables {
    pub(super) routes: Routes,
    pub(super) always: RawPolicies,
    pub(super) defaults: Option<WithPolicies<RawDefaults>>,
    pub(super) named: RawNamed,
}

/// A route as far as it is known; what is `None` has been complained about.
pub(super) struct Draft {
    pub(super) name: Arc<str>,
    pub(super) span: Span,
    pub(super) listeners: Option<Vec<usize>>,
    pub(super) matcher: Option<Matcher>,
    pub(super) match_span: Span,
    pub(super) policies: PoliciesConfig,
    rest: Option<Rest>,
}

/// What only a whole route needs.
struct Rest {
    action: Action,
    action_span: Span,
    timeout: Duration,
    deadline_from: Option<HeaderName>,
    fallback: Option<FallbackConfig>,
    mirror: Option<UpstreamId>,
    retry: Option<RetryConfig>,
    cache: Option<CacheConfig>,
    stream: StreamLimits,
    trailing_slash: TrailingSlash,
    path: PathChange,
    host: Option<plugins::contract::template::Template>,
    provenance: Vec<crate::config::model::Provenance>,
}

/// What all routes share.
struct Shared<'a> {
    names: &'a Names,
    always: PolicyLayer,
    defaults: PolicyLayer,
    own: BTreeMap<String, PolicyLayer>,
    /// Whether somebody must say of every route who may call it.
    guarded: bool,
    retry: Option<(Span, Option<RetryConfig>)>,
    cache: Option<(Span, Option<CacheConfig>)>,
    timing: RawDefaults,
}

/// All routes in the order of their names; `None` if any is wrong.
pub(super) fn all(
    tables: Tables,
    names: &Names,
    context: &mut Context<'_>,
) -> Option<Vec<RouteConfig>> {
    let Tables {
        routes,
        always,
        defaults,
        named,
    } = tables;
    let has_auth = !named.auth.is_empty() || context.damage.any("auth");
    let policies_by_name = named.validate(context.report);
    for store in policies_by_name.stores() {
        context.reference("store", &store, &store.span(), &names.stores);
    }
    let (own_defaults, policies) = defaults
        .map(|defaults| (defaults.own, defaults.policies))
        .unwrap_or_default();
    let mut shared = Shared {
        names,
        guarded: false,
        always: always.validate(Layer::Always, &policies_by_name, context.report),
        defaults: policies.validate(Layer::Defaults, &policies_by_name, context.report),
        own: layers(&routes, &policies_by_name, context),
        retry: own_defaults
            .retry
            .as_ref()
            .map(|raw| (raw.span(), retry::retry(raw, context))),
        cache: default_cache(&own_defaults, names, context),
        timing: own_defaults,
    };
    shared.guarded = has_auth || auth::anywhere(&shared);
    timing::check(&shared.timing, context.report);
    let drafts: Vec<Draft> = routes
        .keys()
        .filter_map(|name| draft(name, &routes, &shared, context))
        .collect();
    conflict::check(&drafts, context);
    let policies = drafts.iter().map(|draft| &draft.policies);
    people::check(policies, &names.people, context);
    if routes.is_empty() && !context.report.has_errors() {
        context
            .report
            .warn(
                0..0,
                "route.none",
                "there is no route, so every request gets a 404",
            )
            .help("add [route.NAME] with `match` and an action");
    }
    drafts.into_iter().map(finished).collect()
}

/// `cache` of `[defaults]`, as far as it is the same for every route.
fn default_cache(
    defaults: &RawDefaults,
    names: &Names,
    context: &mut Context<'_>,
) -> Option<(Span, Option<CacheConfig>)> {
    let raw = defaults.cache.as_ref()?;
    // Which values a route has, it says itself.
    context.authenticated = true;
    let cache = cache::cache(raw, None, &names.cache_zones, context);
    Some((raw.span(), cache))
}

/// The policies that each route says itself.
fn layers(
    routes: &Routes,
    named: &NamedPolicies,
    context: &mut Context<'_>,
) -> BTreeMap<String, PolicyLayer> {
    let mut layers = BTreeMap::new();
    for (name, route) in routes {
        let policies = route.policies.clone();
        let layer = policies.validate(Layer::Route, named, context.report);
        layers.insert(name.clone(), layer);
    }
    layers
}

fn draft(
    name: &str,
    routes: &Routes,
    shared: &Shared<'_>,
    context: &mut Context<'_>,
) -> Option<Draft> {
    let lineage = lineage(name, routes, context)?;
    let whole = !lineage.iter().any(|name| context.damage.has("route", name));
    let span = routes.get(name)?.span.clone();
    let raw = merged(&lineage, routes);
    let forwards = raw.redirect.is_none() && raw.respond.is_none();
    let retry = shared.retry.as_ref().filter(|_| forwards);
    let mut defaults = timing::places(&shared.timing).to_vec();
    defaults.push(("retry", retry.map(|(span, _)| span.clone())));
    let cache = shared.cache.as_ref().filter(|_| forwards);
    defaults.push(("cache", cache.map(|(span, _)| span.clone())));
    let provenance = provenance(&raw, &defaults, &lineage, routes);
    let layer = lineage
        .iter()
        .filter_map(|name| shared.own.get(*name))
        .fold(PolicyLayer::default(), PolicyLayer::or);
    auth::check(name, &layer, shared, whole.then_some(&span), context);
    let policies = PolicyLayer::join(&shared.always, &shared.defaults, layer, context.report);
    let match_span = raw.r#match.as_ref().map_or_else(|| span.clone(), At::span);
    // A pattern that was taken out must not be replaced by the one of the route that this one is like.
    let own = routes
        .get(name)
        .is_some_and(|route| route.own.r#match.is_some());
    let found = match raw.r#match.clone() {
        Some(_) if !own && context.damage.has("route", name) => None,
        Some(written) => matcher(written, context),
        None => missing_match(name, &span, whole, context),
    };
    for file in policies.files() {
        let path = context.path(&file);
        context.watch(&path);
    }
    context.authenticated = !policies.auth.is_empty() || !whole || auth::is_damaged(context);
    for store in policies.stores() {
        context.reference("store", &store, &store.span(), &shared.names.stores);
    }
    for needed in policies.needs() {
        context.value(&needed, &needed.span(), found.as_ref());
    }
    Some(Draft {
        name: Arc::from(name),
        listeners: reach::listeners(name, &raw, &span, whole, shared.names, context),
        rest: rest(name, &raw, &span, whole, found.as_ref(), shared, context)
            .map(|rest| Rest { provenance, ..rest }),
        matcher: found,
        match_span,
        policies,
        span,
    })
}

fn missing_match(
    name: &str,
    span: &Span,
    whole: bool,
    context: &mut Context<'_>,
) -> Option<Matcher> {
    if whole {
        context
            .report
            .error(
                span.clone(),
                "config.missing-key",
                format!("[route.{name}] has no `match`"),
            )
            .label("add `match`")
            .help(
                "for example match = \"GET api.example.com/orders/**\", or \"/**\" for everything",
            );
    }
    None
}

fn rest(
    name: &str,
    raw: &RawRoute,
    span: &Span,
    whole: bool,
    matcher: Option<&Matcher>,
    shared: &Shared<'_>,
    context: &mut Context<'_>,
) -> Option<Rest> {
    let scope = action::Scope {
        route: name,
        span,
        whole,
        matcher,
        upstreams: &shared.names.upstreams,
    };
    let action = action::action(raw, &scope, context);
    let path = path_change::path_change(raw, matcher, context);
    if let Some(host) = &raw.host {
        path_change::host(host, matcher, context);
    }
    let (timeout, stream) = timing::times(raw, &shared.timing, context);
    let retry = match &raw.retry {
        Some(own) => retry::retry(own, context),
        None => shared.retry.as_ref().and_then(|(_, retry)| retry.clone()),
    };
    let cache = match (&raw.cache, &shared.cache) {
        (Some(own), _) => cache::cache(own, matcher, &shared.names.cache_zones, context),
        (None, Some((span, cache))) => cache
            .as_ref()
            .filter(|_| raw.redirect.is_none() && raw.respond.is_none())
            .map(|cache| cache::inherited(cache, span, matcher, context)),
        (None, None) => None,
    };
    let does = action.as_ref().map(|(action, _)| action);
    let mirror = raw
        .mirror
        .as_ref()
        .map(|name| mirror::mirror(name, does, &scope, context));
    let fallback = raw
        .fallback
        .as_ref()
        .map(|raw| action::fallback(raw, does, &scope, context));
    let (action, action_span) = action?;
    let forwards = matches!(action, Action::Upstream(_) | Action::Split(_));
    Some(Rest {
        deadline_from: deadline_from(raw, context),
        mirror: match mirror {
            Some(mirror) => Some(mirror?),
            None => None,
        },
        fallback: match fallback {
            Some(fallback) => Some(fallback?),
            None => None,
        },
        retry: retry.filter(|_| forwards),
        cache: cache.filter(|_| forwards),
        action,
        action_span,
        timeout,
        stream,
        trailing_slash: match plain(raw.trailing_slash.as_ref()) {
            None | Some(RawTrailingSlash::Exact) => TrailingSlash::Exact,
            Some(RawTrailingSlash::Redirect) => TrailingSlash::Redirect,
        },
        path: path?,
        host: raw.host.clone().map(At::into_inner),
        provenance: Vec::new(),
    })
}

fn deadline_from(raw: &RawRoute, context: &mut Context<'_>) -> Option<HeaderName> {
    let written = raw.deadline_from.as_ref()?;
    if let Value::Header(name) = &**written {
        return Some(name.clone());
    }
    context
        .report
        .error(
            written.span(),
            "route.deadline-from",
            format!("a deadline cannot come from `{}`", **written),
        )
        .help("name a header: deadline-from = \"header.x-request-timeout\"");
    None
}

fn finished(draft: Draft) -> Option<RouteConfig> {
    let rest = draft.rest?;
    Some(RouteConfig {
        name: draft.name,
        span: draft.span,
        listeners: draft.listeners?,
        matcher: draft.matcher?,
        match_span: draft.match_span,
        action: rest.action,
        action_span: rest.action_span,
        policies: draft.policies,
        timeout: rest.timeout,
        deadline_from: rest.deadline_from,
        fallback: rest.fallback,
        mirror: rest.mirror,
        retry: rest.retry,
        cache: rest.cache,
        stream: rest.stream,
        trailing_slash: rest.trailing_slash,
        path: rest.path,
        host: rest.host,
        provenance: rest.provenance,
    })
}
