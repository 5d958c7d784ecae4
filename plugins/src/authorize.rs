//! Lets only those pass who may: judges who `auth` found.
//!
//! ```toml
//! [consumer.batch]
//! groups = ["sales", "support"]
//!
//! [route.orders]
//! match = "GET,POST {tenant}.api.example.com/orders/**"
//! upstream = "orders"
//! auth = { api-key = { from = ["header.x-api-key"] } }
//! authorize = {
//!   scopes = { GET = ["orders.read"], POST = ["orders.write"] },
//!   groups = ["sales", "support"],
//!   claims = { tenant = "{host.tenant}", role = ["clerk", "admin"] },
//!   consumers = { deny = ["batch"] },
//!   when = "claims.level >= 3 || request.path == '/orders/help'",
//! }
//! ```
//!
//! Every part that is there must hold.
//!
//! * `scopes`: all of them; by method, a method without a list is refused (`GET` stands for `HEAD`, too); by a value,
//!   `{ by = "host.tenant", map = { acme = […] }, otherwise = […] }`, so is a value that nothing is said of.
//!   `scopes-any`: one of them.
//! * `groups`: one of them.
//! * `claims`: each claim is one of the texts, which may hold values of the request. Of a claim that is a list, one
//!   member must be; numbers and truth values are compared as text; a claim that is missing refuses.
//! * `consumers`: a list, or `{ allow = […], deny = […] }`. `deny` wins; with `allow` everybody else is refused, and so
//!   is whoever is no consumer at all.
//! * `when`: a condition in CEL over `request`, `client.ip`, `claims`, `consumer` and `identity`. What is no plain yes is
//!   a no: a missing claim, a comparison of different types.
//!
//! Refuses with 403 `authorize.denied`, which does not tell the parts apart; `explain` does. Only a missing scope shows,
//! where the client came with a bearer token: `WWW-Authenticate` says `insufficient_scope` (RFC 6750 section 3.1), since
//! it can ask for a better one. Whoever is nobody, on a route where that may be, gets 401 `authorize.anonymous` with the
//! challenges of the route's `auth`. A header or query parameter that a part reads and that is there twice: 400
//! `authorize.value-repeated`; one that is not UTF-8: 400 `authorize.value-not-text`.
//!
//! A name in `consumers` that no consumer has is an error at load (a warning beside a file of consumers, which changes by
//! itself), and so is, as a warning, a group that neither a consumer has nor a claim could bring.

mod condition;
mod raw;
mod rules;
mod scopes;

use http::header;

use crate::contract::consumers::Mentioned;
use crate::contract::identity::Identity;
use crate::contract::prelude::*;
use rules::{Rules, Stop};

pub use condition::Condition;
pub use raw::{AuthorizeConfig, RawAuthorize};

static DENIED: Refusal = Refusal {
    status: 403,
    code: "authorize.denied",
    title: "You may not do this.",
};
static ANONYMOUS: Refusal = Refusal {
    status: 401,
    code: "authorize.anonymous",
    title: "This needs to know who you are.",
};
static REPEATED: Refusal = Refusal {
    status: 400,
    code: "authorize.value-repeated",
    title: "The request has a value more than once that decides whether it may pass.",
};
static NOT_TEXT: Refusal = Refusal {
    status: 400,
    code: "authorize.value-not-text",
    title: "The request has a value that decides whether it may pass and is not UTF-8.",
};

/// The compiled rules.
pub struct Authorize {
    rules: Rules,
}

impl Plugin for Authorize {
    const NAME: &'static str = "authorize";
    const REFUSALS: &'static [&'static Refusal] = &[&DENIED, &ANONYMOUS, &REPEATED, &NOT_TEXT];
    type Raw = RawAuthorize;
    type Config = AuthorizeConfig;
    type State = ();
    type Shared = ();

    fn validate(raw: At<RawAuthorize>, report: &mut Report) -> Option<AuthorizeConfig> {
        let table = raw.span();
        Some(raw.into_inner().validate(table, report))
    }

    fn mode(config: &AuthorizeConfig) -> Mode {
        config.mode
    }

    fn needs(config: &AuthorizeConfig) -> Vec<At<Value>> {
        config.needs()
    }

    fn mentions(config: &AuthorizeConfig) -> Mentioned {
        config.mentions()
    }

    fn compile(
        config: &AuthorizeConfig,
        _build: &mut Build<'_, Self>,
    ) -> Result<Self, CompileError> {
        Ok(Self {
            rules: Rules::compile(config),
        })
    }

    async fn on_request(&self, request: &RequestView<'_>, _state: &mut ()) -> Flow {
        let Some(identity) = request.facts.identity() else {
            // What it takes to be somebody is for `auth` to say, above.
            return Flow::refuse(&ANONYMOUS);
        };
        match self.rules.judge(request, identity) {
            Ok(()) => Flow::Continue,
            Err(stop) => refused(stop, request, identity),
        }
    }
}

fn refused(stop: Stop, request: &RequestView<'_>, identity: &Identity) -> Flow {
    let denied = Reply::refusal(&DENIED);
    match stop {
        Stop::Denied(why) => {
            request.facts.note(|| why.told(identity));
            denied.into()
        }
        Stop::Scope(why) => {
            request.facts.note(|| why.told(identity));
            if came_with_bearer(request) {
                let challenge = HeaderValue::from_static("Bearer error=\"insufficient_scope\"");
                return denied.header(header::WWW_AUTHENTICATE, challenge).into();
            }
            denied.into()
        }
        Stop::Unreadable(value, ValueError::Repeated) => Reply::refusal(&REPEATED)
            .detail(format!("{value} is repeated"))
            .into(),
        Stop::Unreadable(value, _) => Reply::refusal(&NOT_TEXT)
            .detail(format!("{value} is not text"))
            .into(),
    }
}

fn came_with_bearer(request: &RequestView<'_>) -> bool {
    let field = request.headers.get(header::AUTHORIZATION);
    let scheme = field.and_then(|field| field.as_bytes().get(..7));
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
}

#[cfg(test)]
mod tests;
