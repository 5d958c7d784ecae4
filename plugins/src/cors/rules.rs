//! The rules of `cors`: as written, as meant, compiled, and the `Vary` that they oblige to.

use http::header;

use super::{Cors, Origin, RawMode};
use crate::contract::prelude::*;
use crate::contract::token::{FieldName, MethodName};

/// Browsers cap it lower than this: Firefox at a day, Chromium at two hours.
const MAX_AGE_MAX: Time = Time::from_secs(86_400);

/// `cors` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawCors {
    /// Whose pages may call: `"https://app.example.com"`, `"https://*.example.com"`, or `"*"` alone.
    origins: At<Vec<At<Origin>>>,
    /// The methods they may use; GET, HEAD and POST unless told. `GET` implies `HEAD`.
    methods: Option<At<Vec<At<MethodName>>>>,
    /// The request headers they may send beyond the harmless ones; `"*"` is all but `authorization`.
    headers: Option<At<Vec<At<FieldName>>>>,
    /// The response headers they may read beyond the harmless ones, or `"*"`.
    expose: Option<At<Vec<At<FieldName>>>>,
    /// Whether browsers send cookies and let the page read the answer.
    credentials: Option<At<bool>>,
    /// For how long a browser may remember a permission; at most `"24h"`, whole seconds.
    max_age: Option<At<Time>>,
    /// `"shadow"` counts and logs what would be refused, and leaves answers alone.
    mode: Option<At<RawMode>>,
}

/// `cors` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct CorsConfig {
    origins: Vec<Origin>,
    methods: Vec<Method>,
    headers: Vec<HeaderName>,
    expose: Vec<HeaderName>,
    credentials: bool,
    max_age: Option<Time>,
    mode: Mode,
}

/// Which request headers a page may send.
pub(super) struct Allowed {
    any: bool,
    names: Box<[HeaderName]>,
}

impl RawCors {
    pub(super) fn validate(self, report: &mut Report) -> CorsConfig {
        let credentials = self.credentials.as_ref().is_some_and(|yes| **yes);
        self.complain_about_origins(report);
        if let Some(yes) = self.credentials.as_ref().filter(|yes| ***yes) {
            self.complain_about_wildcards(yes.span(), report);
        }
        if let Some(methods) = self.methods.as_ref().filter(|methods| methods.is_empty()) {
            report
                .error(
                    methods.span(),
                    "cors.no-method",
                    "`methods` is empty, so every preflight would be refused",
                )
                .help("name a method, or remove the key to allow GET, HEAD and POST");
        }
        if let Some(age) = &self.max_age {
            complain_about_age(age, report);
        }
        CorsConfig {
            origins: self
                .origins
                .into_inner()
                .into_iter()
                .map(At::into_inner)
                .collect(),
            methods: self.methods.map_or_else(simple_methods, with_head),
            headers: names(self.headers),
            expose: names(self.expose),
            credentials,
            max_age: self.max_age.map(At::into_inner),
            mode: Mode::open_ended(self.mode),
        }
    }

    fn complain_about_origins(&self, report: &mut Report) {
        if self.origins.is_empty() {
            report
                .error(
                    self.origins.span(),
                    "cors.no-origin",
                    "`origins` is empty, so no page could call this",
                )
                .help("name an origin, or write cors = \"none\"");
        }
        let any = self.origins.iter().find(|origin| ***origin == Origin::Any);
        if let Some(any) = any.filter(|_| self.origins.len() > 1) {
            report
                .error(
                    any.span(),
                    "cors.any-and-some",
                    "`*` makes the other origins pointless",
                )
                .help("keep `*` or the others");
        }
    }

    fn complain_about_wildcards(&self, credentials: Span, report: &mut Report) {
        let origin = self.origins.iter().find(|origin| ***origin == Origin::Any);
        let header = [&self.headers, &self.expose].into_iter().flatten();
        let header = header
            .flat_map(|list| list.iter())
            .find(|name| is_any(name.name()));
        for span in [origin.map(At::span), header.map(At::span)]
            .into_iter()
            .flatten()
        {
            let message = "`*` cannot be combined with `credentials`";
            report
                .error(span, "cors.any-with-credentials", message)
                .label("everyone, with the user's cookies")
                .related(credentials.clone(), "credentials are allowed here")
                .help("name them one by one, or remove `credentials`");
        }
    }
}

fn complain_about_age(age: &At<Time>, report: &mut Report) {
    let duration = age.duration();
    if **age > MAX_AGE_MAX {
        report
            .error(
                age.span(),
                "cors.max-age",
                "`max-age` is longer than any browser keeps it",
            )
            .help("write \"24h\" or less");
    } else if duration.subsec_nanos() != 0 {
        report
            .error(age.span(), "cors.max-age", "`max-age` counts whole seconds")
            .help(format!("write \"{}s\"", duration.as_secs().max(1)));
    }
}

fn simple_methods() -> Vec<Method> {
    vec![Method::GET, Method::HEAD, Method::POST]
}

fn with_head(methods: At<Vec<At<MethodName>>>) -> Vec<Method> {
    let named = methods
        .into_inner()
        .into_iter()
        .map(|name| name.method().clone());
    let mut all: Vec<Method> = named.collect();
    if all.contains(&Method::GET) && !all.contains(&Method::HEAD) {
        all.push(Method::HEAD);
    }
    all
}

fn names(list: Option<At<Vec<At<FieldName>>>>) -> Vec<HeaderName> {
    let list = list.map(At::into_inner).unwrap_or_default();
    list.into_iter().map(|name| name.name().clone()).collect()
}

/// `*` is a valid token, so it arrives as a name.
fn is_any(name: &HeaderName) -> bool {
    name.as_str() == "*"
}

impl CorsConfig {
    pub(super) fn mode(&self) -> Mode {
        self.mode
    }

    pub(super) fn compile(&self) -> Result<Cors, CompileError> {
        let seconds = self
            .max_age
            .map(|age| HeaderValue::from(age.duration().as_secs()));
        Ok(Cors {
            any_origin: self.origins.contains(&Origin::Any),
            origins: self.origins.clone().into(),
            methods: self.methods.clone().into(),
            headers: Allowed {
                any: self.headers.iter().any(is_any),
                names: self.headers.clone().into(),
            },
            credentials: self.credentials,
            allow_methods: listed(&self.methods)?.unwrap_or(HeaderValue::from_static("")),
            allow_headers: listed(&self.headers)?,
            expose: listed(&self.expose)?,
            max_age: seconds,
            shadow: self.mode != Mode::Enforce,
        })
    }
}

/// A header's value that lists these; `None` for an empty list.
fn listed<T: ToString>(items: &[T]) -> Result<Option<HeaderValue>, CompileError> {
    let text = items
        .iter()
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let value = HeaderValue::try_from(text).map_err(|error| CompileError::from_error(&error))?;
    Ok((!value.is_empty()).then_some(value))
}

impl Allowed {
    /// Whether a page may send all these headers. `*` does not cover `authorization` (Fetch, "CORS-preflight fetch").
    pub(super) fn hold(&self, asked: &HeaderValue) -> bool {
        let Ok(asked) = asked.to_str() else {
            return false;
        };
        let mut names = asked
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        names.all(|name| {
            let listed = self
                .names
                .iter()
                .any(|own| own.as_str().eq_ignore_ascii_case(name));
            listed || (self.any && !name.eq_ignore_ascii_case("authorization"))
        })
    }
}

/// Names what the answer depends on, so that a cache gives nobody the permission of somebody else. Keeps what is there.
pub(super) fn vary(head: &mut ResponseHeader, by_origin: bool, preflight: bool) {
    if !by_origin {
        return;
    }
    let asked = [
        "Access-Control-Request-Method",
        "Access-Control-Request-Headers",
    ];
    let asked = asked.into_iter().filter(|_| preflight);
    for name in std::iter::once("Origin").chain(asked) {
        if !varies(&head.headers, name) {
            // The value is a literal, so nothing is left that could be invalid.
            head.append_header(header::VARY, HeaderValue::from_static(name))
                .ok();
        }
    }
}

fn varies(headers: &HeaderMap, name: &str) -> bool {
    let fields = headers
        .get_all(header::VARY)
        .iter()
        .filter_map(|field| field.to_str().ok());
    let mut names = fields.flat_map(|field| field.split(',')).map(str::trim);
    names.any(|own| own == "*" || own.eq_ignore_ascii_case(name))
}
