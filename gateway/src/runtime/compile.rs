//! Configuration → snapshot. Reads the files that the configuration names; spawns nothing, binds nothing.

mod action;
pub mod check;
mod error;

use std::collections::HashMap;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use plugins::chain::{Chain, SharedParts};
use plugins::contract::plugin::CompileError as PluginError;
use plugins::contract::services::Services;
use plugins::ip_filter::Ranges;

use super::notices::Followers;
use super::outside::Outside;
use super::route::Route;
use super::{Listener, Snapshot, pages};
use crate::cache::policy::CachePolicy;
use crate::cache::zone::{self, Zone};
use crate::config::Loaded;
use crate::config::model::{Config, ListenerConfig, RouteConfig, TlsConfig};
use crate::observe::metrics::Metrics;
use crate::overload::Rules;
use crate::routing::{Conflict, Guards, RouteSpec, Router};
use crate::store::Stores;
use crate::upstream::Upstream;
use crate::upstream::retry::Retry;

pub use error::CompileError;

/// Compiles a configuration. What must outlive a reload is taken from the previous snapshot by name.
pub fn compile(
    loaded: Arc<Loaded>,
    outside: &Outside,
    previous: Option<&Snapshot>,
) -> Result<Snapshot, CompileError> {
    let config = &loaded.config;
    let metrics = &*outside.metrics;
    let before: HashMap<&str, &Arc<Upstream>> = previous
        .iter()
        .flat_map(|old| &old.upstreams)
        .map(|old| (&*old.config.name, old))
        .collect();
    let upstreams = config
        .upstreams
        .iter()
        .map(|new| upstream(new, metrics, before.get(&*new.name).copied()))
        .collect::<Result<Vec<_>, _>>()?;
    let old_routes: HashMap<&str, &Route> = previous
        .iter()
        .flat_map(|old| &old.routes)
        .map(|old| (&*old.name, old))
        .collect();
    let stores = stores(config, outside, previous)?;
    let mut making = Making {
        upstreams: &upstreams,
        metrics,
        services: outside.services(&loaded, stores.services()),
        shared: SharedParts::default(),
        before: previous.map(|old| &old.shared),
    };
    let routes = config
        .routes
        .iter()
        .map(|new| {
            let compiled = making.route(new, old_routes.get(&*new.name).copied())?;
            Ok(Route {
                cache: cache(new, config),
                ..compiled
            })
        })
        .collect::<Result<Vec<Route>, _>>()?;
    let Making {
        services, shared, ..
    } = making;
    let listeners = listeners(config)?;
    pages::check(config, &listeners)?;
    let identity_headers = identity_headers(config);
    let overload = config.overload.as_ref();
    let overload = overload.map(|overload| Rules::new(overload, metrics));
    let zones = zones(&routes);
    let before = previous.map(|old| &old.followers);
    Ok(Snapshot {
        followers: Followers::compile(&zones, &config.cache_zones, &stores, metrics, before),
        zones,
        listeners,
        routes,
        upstreams,
        stores,
        shared,
        services,
        identity_headers,
        overload,
        loaded,
    })
}

/// The zones that routes use, each once.
fn zones(routes: &[Route]) -> Vec<&'static Zone> {
    let mut zones: Vec<&'static Zone> = Vec::new();
    for policy in routes.iter().filter_map(|route| route.cache.as_ref()) {
        if !zones.iter().any(|zone| std::ptr::eq(*zone, policy.zone)) {
            zones.push(policy.zone);
        }
    }
    zones
}

fn cache(route: &RouteConfig, config: &Config) -> Option<CachePolicy> {
    let cache = route.cache.as_ref()?;
    let zone = config
        .cache_zones
        .iter()
        .find(|zone| zone.name == cache.zone)?;
    Some(CachePolicy {
        zone: zone::obtain(&zone.name, zone.memory),
        rules: cache.rules.clone(),
        object_max: cache.object_max,
        query: cache.query.clone(),
        vary_on: cache.vary_on.clone(),
        shared: cache.shared,
        authenticated: !route.policies.auth.is_empty(),
        bypass: cache.bypass.clone(),
        tags_from: cache.tags_from.clone(),
        // Whatever changes what an upstream sees of a request makes other answers.
        space: format!("{}\n{:?}\n{:?}", route.name, route.path, route.host).into_bytes(),
    })
}

/// Headers by which any route tells its upstream who asks.
fn identity_headers(config: &Config) -> Box<[HeaderName]> {
    let policies = config.routes.iter().flat_map(|route| &route.policies.auth);
    let mut names: Vec<HeaderName> = Vec::new();
    for name in policies.flat_map(|auth| auth.config.identity_headers()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into()
}

/// Where nobody is spoken to there are none: whoever would use one does without.
fn stores(
    config: &Config,
    outside: &Outside,
    previous: Option<&Snapshot>,
) -> Result<Stores, CompileError> {
    if !outside.is_live {
        return Ok(Stores::default());
    }
    let previous = previous.map(|old| &old.stores);
    let stores = Stores::compile(&config.stores, &*outside.metrics, previous);
    stores.map_err(CompileError::Store)
}

/// What all routes of a snapshot are made with.
struct Making<'a> {
    upstreams: &'a [Arc<Upstream>],
    metrics: &'a Metrics,
    services: Services,
    shared: SharedParts,
    before: Option<&'a SharedParts>,
}

fn upstream(
    config: &crate::config::model::UpstreamConfig,
    metrics: &Metrics,
    previous: Option<&Arc<Upstream>>,
) -> Result<Arc<Upstream>, CompileError> {
    match previous {
        // The table is the same, wherever it stands in the file: turn and addresses go on as they are.
        Some(previous) if same_but_places(&previous.config, config) => Ok(previous.clone()),
        _ => {
            let upstream = Upstream::compile(config, metrics, previous.map(Arc::as_ref));
            upstream
                .map(Arc::new)
                .map_err(|error| CompileError::Upstream {
                    upstream: config.name.clone(),
                    span: error.span(config).clone(),
                    error,
                })
        }
    }
}

fn same_but_places(
    old: &crate::config::model::UpstreamConfig,
    new: &crate::config::model::UpstreamConfig,
) -> bool {
    let mut old = old.clone();
    old.span = new.span.clone();
    if let (Some(old), Some(new)) = (&mut old.sticky_cookie, &new.sticky_cookie) {
        old.span = new.span.clone();
    }
    for (old, new) in old.targets.iter_mut().zip(&new.targets) {
        old.span = new.span.clone();
    }
    old == *new
}

fn listeners(config: &Config) -> Result<Vec<Listener>, CompileError> {
    let listener = |(index, listener): (usize, &ListenerConfig)| {
        let router = Router::build(&route_specs(config, index)).map_err(first_conflict)?;
        Ok(Listener {
            name: listener.name.clone(),
            address: listener.address.to_string().into(),
            router,
            path_policy: listener.path_policy,
            trusted_proxies: Ranges::new(&listener.trusted_proxies),
            trusts: !listener.trusted_proxies.is_empty(),
            secure: listener.tls.is_some(),
            redirect_https: listener.redirect_https,
            hsts: listener.tls.as_ref().and_then(hsts),
            requires_client: requires_client(listener),
        })
    };
    config.listeners.iter().enumerate().map(listener).collect()
}

fn hsts(tls: &TlsConfig) -> Option<HeaderValue> {
    let seconds = tls.hsts?.as_secs();
    HeaderValue::try_from(format!("max-age={seconds}")).ok()
}

fn requires_client(listener: &ListenerConfig) -> bool {
    let clients = listener.tls.as_ref().and_then(|tls| tls.clients.as_ref());
    clients.is_some_and(|clients| clients.required)
}

/// The routes of one listener as the router needs to know them.
pub fn route_specs(config: &Config, listener: usize) -> Vec<RouteSpec> {
    let spec = |(id, route): (u32, &RouteConfig)| {
        route.listeners.contains(&listener).then(|| RouteSpec {
            id,
            matcher: route.matcher.clone(),
            guards: Guards::of(&route.policies),
        })
    };
    (0..).zip(&config.routes).filter_map(spec).collect()
}

fn first_conflict(conflicts: Vec<Conflict>) -> CompileError {
    #[expect(
        clippy::expect_used,
        reason = "the router returns an error only with a conflict in it"
    )]
    CompileError::Routes(
        conflicts
            .into_iter()
            .next()
            .expect("an error holds a conflict"),
    )
}

impl Making<'_> {
    fn chain(
        &mut self,
        config: &RouteConfig,
        previous: Option<&Route>,
    ) -> Result<Chain, PluginError> {
        Chain::compile(
            &config.policies,
            (&config.name, config.timeout),
            previous.map(|route| &route.chain),
            &mut self.shared,
            self.before,
            &self.services,
        )
    }

    fn route(
        &mut self,
        config: &RouteConfig,
        previous: Option<&Route>,
    ) -> Result<Route, CompileError> {
        let chain = self.chain(config, previous);
        let chain = chain.map_err(|error| CompileError::Plugin {
            route: config.name.clone(),
            span: error.span.clone().unwrap_or_else(|| config.span.clone()),
            error,
        })?;
        let metrics = self.metrics;
        Ok(Route {
            name: config.name.clone(),
            chain,
            action: action::action(config, self.upstreams, metrics)?,
            timeout: config.timeout,
            deadline_from: config.deadline_from.clone(),
            retry: config.retry.as_ref().map(Retry::compile),
            stream: config.stream,
            trailing_slash: config.trailing_slash,
            path: config.path.clone(),
            host: config.host.clone(),
            cache: None,
            metrics: metrics.route(&config.name),
            cached: config
                .cache
                .as_ref()
                .map(|cache| metrics.cache(&config.name, &cache.zone)),
        })
    }
}
