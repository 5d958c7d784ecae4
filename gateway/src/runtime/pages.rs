//! Pages that a policy answers itself, callback and logout of a login, must lie on a route that has it: browsers are sent
//! there.

use http::HeaderMap;
use plugins::auth::Page;
use plugins::contract::plugin::CompileError as PluginError;

use super::Listener;
use super::compile::CompileError;
use crate::config::model::Config;
use crate::routing::{Captures, Found, RouteRequest};

/// Asks the routers for every page.
pub(super) fn check(config: &Config, listeners: &[Listener]) -> Result<(), CompileError> {
    for route in &config.routes {
        for placed in &route.policies.auth {
            let lost = |page: &Page<'_>| !listeners.iter().any(|at| serves(config, at, page));
            if let Some(page) = placed.config.pages().find(lost) {
                let message = format!(
                    "browsers are sent to {} {}{}, where no route has this `auth`",
                    page.method, page.host, page.path
                );
                return Err(CompileError::Plugin {
                    route: route.name.clone(),
                    span: placed.span.clone(),
                    error: PluginError::from_error(&message),
                });
            }
        }
    }
    Ok(())
}

fn serves(config: &Config, listener: &Listener, page: &Page<'_>) -> bool {
    let request = RouteRequest {
        method: &page.method,
        host: page.host,
        path: page.path,
        query: None,
        headers: &HeaderMap::new(),
    };
    let found = listener.router.find(&request, &mut Captures::default());
    let Found::Route(id) = found else {
        return false;
    };
    let route = usize::try_from(id)
        .ok()
        .and_then(|id| config.routes.get(id));
    route.is_some_and(|route| {
        let mut policies = route.policies.auth.iter();
        policies.any(|placed| placed.config.pages().any(|other| other == *page))
    })
}
