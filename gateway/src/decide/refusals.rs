//! The refusals of routing itself: what is wrong with the path, or that no route fits.

use http::{HeaderName, HeaderValue, header};
use plugins::contract::flow::{Refusal, Reply};
use plugins::contract::value::ValueError;

use crate::routing::Allow;
use crate::routing::path::PathRefusal;
use crate::routing::pattern::ConditionSource;

const fn refusal(status: u16, code: &'static str, title: &'static str) -> Refusal {
    Refusal {
        status,
        code,
        title,
    }
}

/// The connection was made for another host (RFC 9110 section 15.5.20).
pub static MISDIRECTED: Refusal = refusal(
    421,
    "host.misdirected",
    "This connection is not for this host.",
);
/// No route fits.
pub static NO_ROUTE: Refusal = refusal(404, "route.none", "No route matches this request.");
/// Routes fit the path but not the method.
pub static METHOD: Refusal = refusal(
    405,
    "route.method",
    "This path exists, but not for this method.",
);
/// A value that decides about the route is there twice, or is no text.
pub static AMBIGUOUS: Refusal = refusal(
    400,
    "route.ambiguous",
    "A value that decides about the route is ambiguous.",
);
/// Nobody knows to which host a redirect to `https` should lead.
pub static NO_HOST: Refusal = refusal(
    400,
    "redirect.host",
    "The request names no host to which it could be redirected.",
);
/// A dispatch has no answer for the request's value.
pub static NO_MATCH: Refusal = refusal(404, "dispatch.no-match", "Nothing serves this value here.");
/// A value that the answer or the upstream's request needs is not in the request.
pub static VALUE_MISSING: Refusal = refusal(
    400,
    "request.value-missing",
    "The request lacks a value that this route needs.",
);
/// Or it is there twice, or it is unfit for its place.
pub static VALUE_UNFIT: Refusal = refusal(
    400,
    "request.value-unfit",
    "A value of the request is repeated or malformed.",
);

/// One refusal for each way in which a path can be wrong; the code is the path's own.
macro_rules! path_refusals {
    ($($kind:ident),+ $(,)?) => {
        fn path_refusal(refused: PathRefusal) -> &'static Refusal {
            match refused {
                $( PathRefusal::$kind => {
                    static REFUSAL: Refusal =
                        refusal(400, PathRefusal::$kind.code(), "The path of this request cannot be accepted.");
                    &REFUSAL
                } )+
            }
        }
    };
}

path_refusals!(
    NotAbsolute,
    IllegalByte,
    Control,
    Backslash,
    MalformedEscape,
    DoubleEscape,
    InvalidUtf8,
    EncodedSlash,
    PathParams,
    HiddenDots,
    AboveRoot,
);

/// The answer to a path that has no normal form. The code names what is wrong.
pub(super) fn path(refused: PathRefusal) -> Box<Reply> {
    let mut detail = refused.to_string();
    detail.replace_range(
        ..1,
        &detail.get(..1).unwrap_or_default().to_ascii_uppercase(),
    );
    detail.push('.');
    Box::new(Reply::refusal(path_refusal(refused)).detail(detail))
}

/// 405 with the methods that exist.
pub(super) fn method(allow: &Allow) -> Box<Reply> {
    let mut reply = Reply::refusal(&METHOD);
    if let Ok(allow) = HeaderValue::try_from(allow.to_string()) {
        reply = reply.header(header::ALLOW, allow);
    }
    Box::new(reply)
}

/// 400 for a value that two readers could read differently.
pub(super) fn ambiguous(source: ConditionSource, name: &str) -> Box<Reply> {
    let what = match source {
        ConditionSource::Header => "header field",
        ConditionSource::Query => "query parameter",
        ConditionSource::Cookie => "cookie",
    };
    Box::new(
        Reply::refusal(&AMBIGUOUS).detail(format!("The {what} `{name}` occurs more than once.")),
    )
}

/// 400 for a deadline that is no time, or is there twice.
pub(super) fn deadline(name: &HeaderName) -> Box<Reply> {
    Box::new(
        Reply::refusal(&VALUE_UNFIT).detail(format!("The deadline in `{name}` cannot be read.")),
    )
}

/// 400 for a value that a template needs.
pub fn value(error: ValueError) -> Box<Reply> {
    let refusal = match error {
        ValueError::Missing => &VALUE_MISSING,
        ValueError::Repeated | ValueError::NotText | ValueError::NotPath => &VALUE_UNFIT,
    };
    Box::new(Reply::refusal(refusal))
}
