//! Limits the shape of requests: how large a body, which methods, which content types.
//!
//! ```toml
//! [route.orders]
//! match = "/orders/**"
//! upstream = "orders"
//! protect = { body-max = "64KiB", methods = ["GET", "POST"], content-types = ["application/json", "image/*"] }
//! ```
//!
//! * `body-max` judges a declared length before anything is forwarded and counts what really arrives: 413
//!   `protect.body-too-large`.
//! * `methods` (`GET` implies `HEAD`): 405 `protect.method` with `Allow`. A CORS preflight asks whether another method
//!   may be used, so that method is judged and not `OPTIONS`; otherwise no route with `methods` could be called from a
//!   browser, whether `cors` below answers or the upstream does.
//! * `content-types` judges requests that have a body: 415 `protect.content-type` with `Accept`; a body without a type is
//!   refused too. Parameters such as `charset` do not matter. A `Content-Type` that is there twice, also within one field,
//!   is read differently by different servers: 400 `protect.content-type-repeated`.

mod media;

use http::header;

use crate::contract::mode::RawMode;
use crate::contract::prelude::*;
use crate::contract::token::{MethodName, preflight_method};
use media::{Declared, MediaRange};

pub use media::MediaRange as ContentType;

static BODY: Refusal = Refusal {
    status: 413,
    code: "protect.body-too-large",
    title: "The request's body is too large.",
};
static METHOD: Refusal = Refusal {
    status: 405,
    code: "protect.method",
    title: "The method is not allowed here.",
};
static TYPE: Refusal = Refusal {
    status: 415,
    code: "protect.content-type",
    title: "The type of the request's body is not accepted here.",
};
static TYPE_REPEATED: Refusal = Refusal {
    status: 400,
    code: "protect.content-type-repeated",
    title: "The request has more than one content type.",
};

/// The compiled limits.
pub struct Protect {
    body_max: Option<u64>,
    methods: Option<Methods>,
    types: Option<Types>,
    mode: Mode,
}

struct Methods {
    allowed: Box<[Method]>,
    allow: HeaderValue,
}

struct Types {
    allowed: Box<[MediaRange]>,
    accept: HeaderValue,
}

/// `protect` as written.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawProtect {
    /// The most bytes that a request's body may have.
    body_max: Option<At<Size>>,
    /// The methods that may be used; `GET` implies `HEAD`.
    methods: Option<At<Vec<At<MethodName>>>>,
    /// The types that a body may have: `"application/json"`, `"image/*"`.
    content_types: Option<At<Vec<At<MediaRange>>>>,
    /// `"shadow"` counts and logs what would be refused.
    mode: Option<At<RawMode>>,
}

/// `protect` as meant.
#[derive(Debug, Clone, PartialEq)]
pub struct ProtectConfig {
    body_max: Option<Size>,
    methods: Option<Vec<Method>>,
    types: Option<Vec<MediaRange>>,
    mode: Mode,
}

/// What has arrived of one attempt's body.
#[derive(Debug, Default)]
pub struct Received {
    bytes: u64,
    /// A shadowed limit speaks once, not at every piece beyond it.
    told: bool,
}

impl Plugin for Protect {
    const NAME: &'static str = "protect";
    const REFUSALS: &'static [&'static Refusal] = &[&BODY, &METHOD, &TYPE, &TYPE_REPEATED];
    type Raw = RawProtect;
    type Config = ProtectConfig;
    type State = Received;
    type Shared = ();

    fn validate(raw: At<RawProtect>, report: &mut Report) -> Option<ProtectConfig> {
        let table = raw.span();
        let raw = raw.into_inner();
        if raw.body_max.is_none() && raw.methods.is_none() && raw.content_types.is_none() {
            report
                .error(table, "protect.empty", "this `protect` limits nothing")
                .help("add `body-max`, `methods` or `content-types`");
        }
        complain_if_empty(raw.methods.as_ref(), "methods", "every request", report);
        complain_if_empty(
            raw.content_types.as_ref(),
            "content-types",
            "every body",
            report,
        );
        Some(ProtectConfig {
            body_max: raw.body_max.map(At::into_inner),
            methods: raw.methods.map(with_head),
            types: raw
                .content_types
                .map(|list| list.into_inner().into_iter().map(At::into_inner).collect()),
            mode: Mode::open_ended(raw.mode),
        })
    }

    fn mode(config: &ProtectConfig) -> Mode {
        config.mode
    }

    fn compile(config: &ProtectConfig, _build: &mut Build<'_, Self>) -> Result<Self, CompileError> {
        Ok(Self {
            body_max: config.body_max.map(Size::bytes),
            methods: config
                .methods
                .as_deref()
                .map(Methods::compile)
                .transpose()?,
            types: config.types.as_deref().map(Types::compile).transpose()?,
            mode: config.mode,
        })
    }

    async fn on_request(&self, request: &RequestView<'_>, state: &mut Received) -> Flow {
        let judged = self
            .judge_method(request)
            .and_then(|()| self.judge_length(request.body, state))
            .and_then(|()| self.judge_type(request));
        match judged {
            Ok(()) => Flow::Continue,
            Err(reply) => Flow::Reply(reply),
        }
    }

    fn on_upstream_request(
        &self,
        _: &RequestView<'_>,
        _: &mut RequestHeader,
        state: &mut Received,
    ) {
        state.bytes = 0;
    }

    fn on_request_body(&self, chunk: &mut BodyChunk<'_>, state: &mut Received) -> Flow {
        let length = chunk.bytes.as_ref().map_or(0, bytes::Bytes::len);
        state.bytes = state
            .bytes
            .saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        if self.body_max.is_none_or(|max| state.bytes <= max) {
            return Flow::Continue;
        }
        if std::mem::replace(&mut state.told, true) && self.mode != Mode::Enforce {
            return Flow::Continue;
        }
        Flow::refuse(&BODY)
    }
}

type Judged = Result<(), Box<Reply>>;

fn refuse(reply: Reply) -> Judged {
    Err(Box::new(reply))
}

impl Protect {
    fn judge_method(&self, request: &RequestView<'_>) -> Judged {
        let Some(methods) = &self.methods else {
            return Ok(());
        };
        let asked = preflight_method(request.method, request.headers);
        if methods
            .allowed
            .contains(asked.as_ref().unwrap_or(request.method))
            || methods.allowed.contains(request.method)
        {
            return Ok(());
        }
        refuse(Reply::refusal(&METHOD).header(header::ALLOW, methods.allow.clone()))
    }

    fn judge_length(&self, body: RequestBody, state: &mut Received) -> Judged {
        match (body, self.body_max) {
            (RequestBody::Length(length), Some(max)) if length > max => {
                state.told = true;
                refuse(Reply::refusal(&BODY))
            }
            _ => Ok(()),
        }
    }

    fn judge_type(&self, request: &RequestView<'_>) -> Judged {
        let Some(types) = &self.types else {
            return Ok(());
        };
        if matches!(request.body, RequestBody::None | RequestBody::Length(0)) {
            return Ok(());
        }
        match media::declared(request.headers) {
            Declared::One(essence) if types.allowed.iter().any(|range| range.holds(essence)) => {
                Ok(())
            }
            Declared::Several => refuse(Reply::refusal(&TYPE_REPEATED)),
            Declared::One(_) | Declared::Nothing => {
                refuse(Reply::refusal(&TYPE).header(header::ACCEPT, types.accept.clone()))
            }
        }
    }
}

impl Methods {
    fn compile(allowed: &[Method]) -> Result<Self, CompileError> {
        Ok(Self {
            allow: listed(allowed)?,
            allowed: allowed.into(),
        })
    }
}

impl Types {
    fn compile(allowed: &[MediaRange]) -> Result<Self, CompileError> {
        Ok(Self {
            accept: listed(allowed)?,
            allowed: allowed.into(),
        })
    }
}

/// A header's value that lists these.
fn listed<T: ToString>(items: &[T]) -> Result<HeaderValue, CompileError> {
    let text = items
        .iter()
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    HeaderValue::try_from(text).map_err(|error| CompileError::from_error(&error))
}

fn with_head(methods: At<Vec<At<MethodName>>>) -> Vec<Method> {
    let mut all = Vec::new();
    for named in methods.into_inner() {
        let implied = (*named.method() == Method::GET).then_some(Method::HEAD);
        for method in std::iter::once(named.method().clone()).chain(implied) {
            if !all.contains(&method) {
                all.push(method);
            }
        }
    }
    all
}

fn complain_if_empty<T>(list: Option<&At<Vec<T>>>, key: &str, what: &str, report: &mut Report) {
    if let Some(list) = list.filter(|list| list.is_empty()) {
        report
            .error(
                list.span(),
                "protect.nothing-allowed",
                format!("`{key}` is empty, so {what} is refused"),
            )
            .help("name what may pass, or remove the key");
    }
}

#[cfg(test)]
mod tests;
