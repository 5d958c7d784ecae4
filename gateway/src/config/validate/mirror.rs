//! `mirror`: who gets a copy of each request. Somebody else: an upstream that got both would do everything twice.

use plugins::contract::place::At;

use super::Context;
use super::action::Scope;
use crate::config::model::{Action, UpstreamId};

/// The upstream of the copies; `None` if it has been complained about.
pub(super) fn mirror(
    name: &At<String>,
    action: Option<&Action>,
    scope: &Scope<'_>,
    context: &mut Context<'_>,
) -> Option<UpstreamId> {
    let id = context.upstream(name, &name.span(), scope)?;
    if action.is_some_and(|action| action.upstreams().contains(&id)) {
        let route = scope.route;
        context
            .report
            .error(
                name.span(),
                "route.mirror",
                format!("`{}` would get requests of [route.{route}] twice", **name),
            )
            .label("the route itself forwards there")
            .help("name another upstream, or remove it");
        return None;
    }
    Some(id)
}
