//! Says which pages of other origins may call a route from a browser, and answers their preflights.
//!
//! ```toml
//! [route.orders]
//! match = "/orders/**"
//! upstream = "orders"
//! cors = {
//!   origins = ["https://app.example.com", "https://*.partner.example"], methods = ["GET", "POST", "DELETE"],
//!   headers = ["content-type", "authorization"], expose = ["x-request-id"], credentials = true, max-age = "10min",
//! }
//! ```
//!
//! `origins`, `headers` and `expose` may be `["*"]`, which excludes `credentials`; `*.` is exactly one label; `null` is
//! never allowed. `methods` are GET, HEAD and POST unless told.
//!
//! A preflight is answered here with 204, before anything asks for credentials, which preflights never carry. One that
//! may not pass is refused: 403 `cors.origin`, 403 `cors.method`, 403 `cors.header`. Other requests pass whatever their
//! origin, without permission for the page to read the answer: the browser keeps it from the page, and clients that are
//! no browsers are none of CORS's business. `Origin` or `Access-Control-Request-*` more than once: 400 `cors.repeated`.
//!
//! The gateway decides alone: `Access-Control-*` from upstreams is removed, and every answer on the route, also one that
//! the gateway made, carries its own. `mode = "shadow"` leaves answers alone and passes preflights on.

pub mod origin;
mod rules;

use http::header;

use crate::contract::mode::RawMode;
use crate::contract::prelude::*;
use crate::contract::token::preflight_method;
use origin::Origin;
use rules::{Allowed, vary};

pub use rules::{CorsConfig, RawCors};

static ORIGIN: Refusal = Refusal {
    status: 403,
    code: "cors.origin",
    title: "Pages of this origin may not call this.",
};
static METHOD: Refusal = Refusal {
    status: 403,
    code: "cors.method",
    title: "Pages of other origins may not use this method here.",
};
static HEADER: Refusal = Refusal {
    status: 403,
    code: "cors.header",
    title: "Pages of other origins may not send one of these headers here.",
};
static REPEATED: Refusal = Refusal {
    status: 400,
    code: "cors.repeated",
    title: "A header by which a browser asks for permission is repeated.",
};

/// The compiled rules: every value that an answer can carry is ready.
pub struct Cors {
    origins: Box<[Origin]>,
    any_origin: bool,
    methods: Box<[Method]>,
    headers: Allowed,
    credentials: bool,
    allow_methods: HeaderValue,
    allow_headers: Option<HeaderValue>,
    expose: Option<HeaderValue>,
    max_age: Option<HeaderValue>,
    shadow: bool,
}

/// What the plugin remembers of one request.
#[derive(Debug, Default)]
pub struct Asked {
    /// The answer is our permission to a preflight.
    granted: bool,
}

impl Plugin for Cors {
    const NAME: &'static str = "cors";
    const REFUSALS: &'static [&'static Refusal] = &[&ORIGIN, &METHOD, &HEADER, &REPEATED];
    // Two of them would have to agree on one answer.
    const SINGLE: bool = true;
    type Raw = RawCors;
    type Config = CorsConfig;
    type State = Asked;
    type Shared = ();

    fn validate(raw: At<RawCors>, report: &mut Report) -> Option<CorsConfig> {
        Some(raw.into_inner().validate(report))
    }

    fn mode(config: &CorsConfig) -> Mode {
        config.mode()
    }

    fn compile(config: &CorsConfig, _build: &mut Build<'_, Self>) -> Result<Self, CompileError> {
        config.compile()
    }

    async fn on_request(&self, request: &RequestView<'_>, state: &mut Asked) -> Flow {
        if is_repeated(request.headers) {
            return Flow::refuse(&REPEATED);
        }
        let Some(asked) = preflight_method(request.method, request.headers) else {
            return Flow::Continue;
        };
        if let Some(refusal) = self.judge(&asked, request.headers) {
            return Flow::refuse(refusal);
        }
        if self.shadow {
            return Flow::Continue;
        }
        state.granted = true;
        Reply::plain(StatusCode::NO_CONTENT, ReplyBody::Empty).into()
    }

    fn on_response(
        &self,
        request: &RequestView<'_>,
        response: &mut ResponseView<'_>,
        state: &mut Asked,
    ) {
        if self.shadow {
            return;
        }
        for name in &PERMISSIONS {
            response.head.remove_header(name);
        }
        let preflight = preflight_method(request.method, request.headers).is_some();
        vary(response.head, !self.any_origin, preflight);
        let Some(origin) = self.permitted(request.headers) else {
            return;
        };
        put(
            response.head,
            &header::ACCESS_CONTROL_ALLOW_ORIGIN,
            Some(&origin),
        );
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            put(
                response.head,
                &header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                Some(&yes),
            );
        }
        if state.granted {
            self.grant(response.head);
        } else {
            put(
                response.head,
                &header::ACCESS_CONTROL_EXPOSE_HEADERS,
                self.expose.as_ref(),
            );
        }
    }
}

/// What an upstream may have said and the gateway says instead.
static PERMISSIONS: [HeaderName; 8] = [
    header::ACCESS_CONTROL_ALLOW_ORIGIN,
    header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
    header::ACCESS_CONTROL_ALLOW_METHODS,
    header::ACCESS_CONTROL_ALLOW_HEADERS,
    header::ACCESS_CONTROL_EXPOSE_HEADERS,
    header::ACCESS_CONTROL_MAX_AGE,
    HeaderName::from_static("access-control-allow-private-network"),
    HeaderName::from_static("access-control-allow-local-network"),
];

impl Cors {
    /// Why a preflight may not pass, if it may not.
    fn judge(&self, method: &Method, headers: &HeaderMap) -> Option<&'static Refusal> {
        if self.permitted(headers).is_none() {
            return Some(&ORIGIN);
        }
        if !self.methods.contains(method) {
            return Some(&METHOD);
        }
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        (!asked.is_none_or(|asked| self.headers.hold(asked))).then_some(&HEADER)
    }

    /// The `Access-Control-Allow-Origin` that this request gets. Everyone's needs no `Origin`, so that a cache may give
    /// the answer to anyone.
    fn permitted(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.any_origin {
            return Some(HeaderValue::from_static("*"));
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let (Some(origin), None) = (origins.next(), origins.next()) else {
            return None;
        };
        let text = origin.to_str().ok()?;
        self.origins
            .iter()
            .any(|own| own.holds(text))
            .then(|| origin.clone())
    }

    fn grant(&self, head: &mut ResponseHeader) {
        put(
            head,
            &header::ACCESS_CONTROL_ALLOW_METHODS,
            Some(&self.allow_methods),
        );
        put(
            head,
            &header::ACCESS_CONTROL_ALLOW_HEADERS,
            self.allow_headers.as_ref(),
        );
        put(head, &header::ACCESS_CONTROL_MAX_AGE, self.max_age.as_ref());
    }
}

fn is_repeated(headers: &HeaderMap) -> bool {
    [
        header::ORIGIN,
        header::ACCESS_CONTROL_REQUEST_METHOD,
        header::ACCESS_CONTROL_REQUEST_HEADERS,
    ]
    .iter()
    .any(|name| headers.get_all(name).iter().nth(1).is_some())
}

fn put(head: &mut ResponseHeader, name: &HeaderName, value: Option<&HeaderValue>) {
    if let Some(value) = value {
        // Name and value are typed, so nothing is left that could be invalid.
        head.insert_header(name, value).ok();
    }
}

#[cfg(test)]
mod tests;
