//! `redirect = { to, status }`: a client never chooses where to.

use http::StatusCode;
use plugins::contract::place::At;
use plugins::contract::template::Template;
use plugins::contract::value::Value;

use super::Context;
use crate::config::model::Action;
use crate::config::raw::RawRedirect;
use crate::routing::pattern::Matcher;

pub(super) fn redirect(
    raw: &At<RawRedirect>,
    matcher: Option<&Matcher>,
    context: &mut Context<'_>,
) -> Option<Action> {
    let to: &Template = &raw.to;
    context.template(to, &raw.to.span(), matcher);
    if let Some((message, help)) = wrong_target(to) {
        context
            .report
            .error(raw.to.span(), "redirect.target", message)
            .help(help);
    }
    let status = match &raw.status {
        None => StatusCode::PERMANENT_REDIRECT,
        Some(written) if matches!(**written, 301 | 302 | 303 | 307 | 308) => {
            StatusCode::from_u16(**written).ok()?
        }
        Some(written) => {
            context
                .report
                .error(
                    written.span(),
                    "redirect.status",
                    format!("{} is not the status of a redirect", **written),
                )
                .help("write 301, 302, 303, 307 or 308");
            return None;
        }
    };
    Some(Action::Redirect {
        to: to.clone(),
        status,
    })
}

/// Why a target could lead where the client wants.
fn wrong_target(to: &Template) -> Option<(&'static str, &'static str)> {
    let start = to.literal_start();
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|scheme| start.strip_prefix(scheme));
    if to.starts_with_value() {
        return Some((
            "a value of the request comes first in the target",
            "write the start yourself: \"/new/{path.rest}\" or \"https://www.example.com/{path.rest}\"",
        ));
    }
    if start.starts_with("//") || start.starts_with("/\\") {
        return Some((
            "a target that starts with `//` leads to another host",
            "write a path with one slash, or a whole URL",
        ));
    }
    if start == "/" && to.values().next().is_some_and(may_start_with_slash) {
        return Some((
            "with this value the target could start with `//`, which leads to another host",
            "put a literal segment before the value, or capture it from the path",
        ));
    }
    match rest {
        Some("")
            if !to
                .values()
                .next()
                .is_some_and(|value| *value == Value::Host) =>
        {
            Some((
                "a value of the request chooses the host",
                "write the host, or {host} for the one that was asked",
            ))
        }
        None if !start.starts_with('/') => Some((
            "the target is neither a path nor a URL",
            "start it with `/`, `https://` or `http://`",
        )),
        Some(_) | None => None,
    }
}

/// A captured part of the path is normalised and starts with no slash; anything else may.
fn may_start_with_slash(value: &Value) -> bool {
    !matches!(
        value,
        Value::PathPart(_) | Value::HostPart(_) | Value::Host | Value::ClientIp
    )
}
