//! Sets, adds and removes header fields of requests on their way to the upstream and of answers on their way back.
//!
//! ```toml
//! [route.orders]
//! match = "/orders/{id}"
//! upstream = "orders"
//! headers = {
//!   request = { set = { x-order = "{path.id}", x-client = "{client.ip}" }, remove = ["cookie"] },
//!   response = { set = { cache-control = "no-store" }, add = { vary = "accept" }, remove = ["server"] },
//! }
//! ```
//!
//! * `set` replaces every field of the name, `add` leaves those that are there, `remove` takes them away. A name may be in
//!   one of them only.
//! * What comes from the request is percent-encoded where it is not visible ASCII: nothing can end the line.
//! * A request that lacks a value which the table names is refused before anything is forwarded: 400
//!   `headers.value-missing`, 400 `headers.value-repeated`, 400 `headers.value-not-text`. An answer to a request that was
//!   refused goes without the fields for which values are missing.
//! * Framing and hop-by-hop fields cannot be touched: they belong to a connection, not to a message.
//! * A route's `headers` is merged with the default's, name by name. Where several apply, the one that stands first has
//!   the last word on each name, and `[always]` stands before all.
//!
//! There is no `mode`: this changes requests rather than judging them, and one that it cannot change as written has no
//! form in which it could pass.

mod edits;

use crate::contract::prelude::*;
use edits::{Edits, EditsConfig, RawEdits};

static MISSING: Refusal = Refusal {
    status: 400,
    code: "headers.value-missing",
    title: "The request lacks a value that is needed here.",
};
static REPEATED: Refusal = Refusal {
    status: 400,
    code: "headers.value-repeated",
    title: "The request has a value more than once that is needed here.",
};
static NOT_TEXT: Refusal = Refusal {
    status: 400,
    code: "headers.value-not-text",
    title: "The request has a value that is needed here and is not UTF-8.",
};

/// The compiled changes.
pub struct Headers {
    request: Edits,
    response: Edits,
}

/// `headers` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawHeaders {
    /// Changes to the request that the upstream gets.
    request: Option<At<RawEdits>>,
    /// Changes to the answer that the client gets, whoever made it.
    response: Option<At<RawEdits>>,
}

/// `headers` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct HeadersConfig {
    request: EditsConfig,
    response: EditsConfig,
}

impl Plugin for Headers {
    const NAME: &'static str = "headers";
    const REFUSALS: &'static [&'static Refusal] = &[&MISSING, &REPEATED, &NOT_TEXT];
    type Raw = RawHeaders;
    type Config = HeadersConfig;
    type State = ();
    type Shared = ();

    fn validate(raw: At<RawHeaders>, report: &mut Report) -> Option<HeadersConfig> {
        let table = raw.span();
        let raw = raw.into_inner();
        let before = report.complaints().len();
        let mut side = |side: Option<At<RawEdits>>| {
            side.map(|raw| raw.into_inner().validate(report))
                .unwrap_or_default()
        };
        let config = HeadersConfig {
            request: side(raw.request),
            response: side(raw.response),
        };
        let unharmed = report.complaints().len() == before;
        if unharmed && config.request.is_empty() && config.response.is_empty() {
            report
                .error(table, "headers.empty", "this `headers` changes nothing")
                .help("add request = { set = { name = \"value\" } }, or write headers = \"none\"");
        }
        Some(config)
    }

    fn over(own: HeadersConfig, default: &HeadersConfig) -> HeadersConfig {
        HeadersConfig {
            request: own.request.over(&default.request),
            response: own.response.over(&default.response),
        }
    }

    fn needs(config: &HeadersConfig) -> Vec<At<Value>> {
        config
            .request
            .needs()
            .chain(config.response.needs())
            .collect()
    }

    fn compile(config: &HeadersConfig, _build: &mut Build<'_, Self>) -> Result<Self, CompileError> {
        Ok(Self {
            request: config.request.compile()?,
            response: config.response.compile()?,
        })
    }

    async fn on_request(&self, request: &RequestView<'_>, _state: &mut ()) -> Flow {
        for value in self.request.values().chain(self.response.values()) {
            if let Err(error) = request.lookup(value) {
                let detail = format!("{value} {error}");
                return Reply::refusal(refusal(error)).detail(detail).into();
            }
        }
        Flow::Continue
    }

    fn on_upstream_request(
        &self,
        request: &RequestView<'_>,
        head: &mut RequestHeader,
        _state: &mut (),
    ) {
        self.request.apply(request, head);
    }

    fn on_response(
        &self,
        request: &RequestView<'_>,
        response: &mut ResponseView<'_>,
        _state: &mut (),
    ) {
        self.response.apply(request, response.head);
    }
}

fn refusal(error: ValueError) -> &'static Refusal {
    match error {
        ValueError::Missing => &MISSING,
        ValueError::Repeated => &REPEATED,
        // The second is about paths and cannot happen in a header.
        ValueError::NotText | ValueError::NotPath => &NOT_TEXT,
    }
}

#[cfg(test)]
mod tests;
