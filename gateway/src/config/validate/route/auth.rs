//! Nobody is public by accident: once anything authenticates, every route says who may call it.

use plugins::chain::PolicyLayer;
use plugins::contract::place::Span;

use super::super::Context;
use super::Shared;

/// Whether any layer authenticates somebody.
pub(super) fn anywhere(shared: &Shared<'_>) -> bool {
    let layers = [&shared.always, &shared.defaults];
    let mut layers = layers.into_iter().chain(shared.own.values());
    layers.any(|layer| layer.auth.as_ref().is_some_and(|auth| !auth.is_empty()))
}

/// Whether what a route says of `auth` may have been taken out with a mistake.
pub(super) fn is_damaged(context: &Context<'_>) -> bool {
    let damage = context.damage;
    damage.any("auth") || damage.any("defaults") || damage.any("always")
}

/// Complains about a route of which nobody says who may call it. `span` is `None` where the route is not whole.
pub(super) fn check(
    name: &str,
    own: &PolicyLayer,
    shared: &Shared<'_>,
    span: Option<&Span>,
    context: &mut Context<'_>,
) {
    let layers = [own, &shared.defaults, &shared.always];
    let said = layers.iter().any(|layer| layer.auth.is_some());
    let Some(span) = span.filter(|_| shared.guarded && !said && !is_damaged(context)) else {
        return;
    };
    context
        .report
        .error(
            span.clone(),
            "route.auth",
            format!("[route.{name}] does not say who may call it"),
        )
        .label("add `auth`")
        .help("name a provider: auth = \"NAME\"; auth = \"none\" makes it public");
}
