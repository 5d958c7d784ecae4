//! `respond = { status, body, headers }`

use http::{HeaderName, HeaderValue, StatusCode};
use plugins::contract::place::{At, Span};
use plugins::contract::report::Report;

use super::Context;
use crate::config::model::{RespondBody, RespondConfig};
use crate::config::raw::RawRespond;

/// Fields that the gateway writes itself.
const OWN: &[&str] = &[
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn respond(raw: &At<RawRespond>, context: &mut Context<'_>) -> Option<RespondConfig> {
    let status = status(raw.status.as_ref(), context);
    let body = body(raw, context);
    let headers = headers(raw, context);
    let (status, body) = (status?, body?);
    let empty = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if empty && body != RespondBody::Empty {
        let span = raw.body.as_ref().map_or_else(|| raw.span(), At::span);
        context
            .report
            .error(
                span,
                "respond.body",
                format!("an answer with status {} has no content", status.as_u16()),
            )
            .help("remove the body, or choose another status");
    }
    Some(RespondConfig {
        status,
        body,
        headers: headers?,
    })
}

fn status(raw: Option<&At<u16>>, context: &mut Context<'_>) -> Option<StatusCode> {
    let Some(written) = raw else {
        return Some(StatusCode::OK);
    };
    if (200..=599).contains(&**written) {
        return StatusCode::from_u16(**written).ok();
    }
    context
        .report
        .error(
            written.span(),
            "respond.status",
            format!("{} is not the status of an answer", **written),
        )
        .help("write a number from 200 to 599");
    None
}

fn body(raw: &At<RawRespond>, context: &mut Context<'_>) -> Option<RespondBody> {
    match (&raw.body, &raw.body_file) {
        (None, None) => Some(RespondBody::Empty),
        (Some(text), None) => Some(RespondBody::Text(String::clone(text))),
        (None, Some(file)) => Some(RespondBody::File {
            path: context.path(file),
            span: file.span(),
        }),
        (Some(text), Some(file)) => {
            context
                .report
                .error(
                    file.span(),
                    "respond.body",
                    "`body` and `body-file` exclude each other",
                )
                .related(text.span(), "the body is here already")
                .help("remove one of the two");
            None
        }
    }
}

fn headers(
    raw: &At<RawRespond>,
    context: &mut Context<'_>,
) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let mut fields = Some(Vec::new());
    for (name, value) in raw.headers.iter().flatten() {
        let field = field(name, value, "respond.header", context.report);
        match (field, fields.as_mut()) {
            (Some(field), Some(fields)) => fields.push(field),
            (Some(_), None) => {}
            (None, _) => fields = None,
        }
    }
    fields
}

/// A header field that the configuration may write.
pub(super) fn field(
    name: &str,
    value: &At<String>,
    code: &'static str,
    report: &mut Report,
) -> Option<(HeaderName, HeaderValue)> {
    let mut wrong = |span: Span, message: String, help: &str| {
        report.error(span, code, message).help(help);
    };
    let Ok(field) = HeaderName::from_bytes(name.as_bytes()) else {
        wrong(
            value.span(),
            format!("`{name}` is not the name of a header"),
            "a name holds letters, digits and `-`",
        );
        return None;
    };
    if OWN.contains(&field.as_str()) {
        wrong(
            value.span(),
            format!("the gateway writes `{field}` itself"),
            "remove this header",
        );
        return None;
    }
    let Ok(written) = HeaderValue::from_str(value) else {
        wrong(
            value.span(),
            format!("no header can hold the value of `{field}`"),
            "a value holds visible ASCII letters, spaces and tabs",
        );
        return None;
    };
    Some((field, written))
}
